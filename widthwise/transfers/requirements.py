"""What a transfer refuses since nothing in the request settles it: each raises InvalidInputError with what would."""

from collections.abc import Mapping, Sequence

from widthwise.errors import InvalidInputError
from widthwise.model import Base, Target, sparsity
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.in_force import Scheme
from widthwise.tensors.placement import Placement, Tensor
from widthwise.theory.parameterization import is_feature_scaled
from widthwise.vocabulary import QuantityName, Role, TensorPart


def require_rule_of_sparsity(base: Base, target: Target, chosen: Sequence[NamedRule]) -> None:
    """Refuse a change of active experts per expert that no rule covers: no transfer of width holds over it."""
    before, after = sparsity(base), sparsity(target)
    if before is None or after is None or before == after or any(rule.about is About.EXPERTS for rule in chosen):
        return
    raise InvalidInputError(
        f"active experts go from {before} to {after} of all experts, over which no rule in force transfers (the "
        "best learning rate drifted by .13 decades over a sweep of the experts at constant active ones, 2601.20205); "
        "keep the share, or name rules.experts 'complete_mue'",
        field="rules.experts",
    )


def require_no_wider_state_space(scheme: Scheme, tensors: Sequence[Tensor], placements: Sequence[Placement]) -> None:
    """Refuse muP for the matrices of state spaces that grow: no derivation of it could be read."""
    if not is_feature_scaled(scheme.parameterization):
        return
    for tensor, (_, fans, *_) in zip(tensors, placements, strict=True):
        if tensor.part == TensorPart.STATE_SPACE and (fans.ratio_in != 1 or fans.ratio_out != 1):
            raise InvalidInputError(
                f"{tensor.name!r} is a matrix of a state-space mixer and grows: there, plain muP does not give feature "
                "learning (OpenReview aQv5AbN1wF), and no rule could be read; give parameterization 'standard', "
                "or leave the mixer's matrices out and tune them at the target",
                field="parameterization",
            )


def require_rule_of_rank(
    tensors: Sequence[Tensor], placements: Sequence[Placement], chosen: Sequence[NamedRule]
) -> None:
    """Refuse an adapter's factor of another rank without a rule: by its shape alone, the rank would be a width."""
    if any(rule.about is About.RANK for rule in chosen):
        return
    for tensor, (_, fans, *_) in zip(tensors, placements, strict=True):
        if tensor.part not in (TensorPart.LORA_A, TensorPart.LORA_B):
            continue
        if (fans.ratio_out if tensor.part == TensorPart.LORA_A else fans.ratio_in) != 1:
            raise InvalidInputError(
                f"{tensor.name!r} is a factor of a low-rank adapter whose rank changes, and the rank is not a width; "
                "name one of rules.rank, or keep the rank",
                field="rules.rank",
            )


def require_values(
    base: Base,
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    names: Mapping[Role, Sequence[QuantityName]],
) -> None:
    """A learning rate or epsilon given by role must cover every role that the tensors have: an optimizer needs one.

    names: the quantities that each role's tensors have.
    """
    required: tuple[QuantityName, ...] = ("learning_rate", "epsilon")
    for name in required:
        values = getattr(base, name)
        if not isinstance(values, Mapping):
            continue
        missing: dict[Role, str] = {}
        for tensor, placement in zip(tensors, placements, strict=True):
            if placement.role not in values and name in names[placement.role]:
                missing.setdefault(placement.role, tensor.name)
        if missing:
            listed = ", ".join(f"role {role.value!r}, which tensor {first!r} has" for role, first in missing.items())
            raise InvalidInputError(
                f"base.{name} has no entry for {listed}; add one, or give the tensor another role", field=f"base.{name}"
            )
