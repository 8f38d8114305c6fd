"""Experts: what every rule of them needs to know, and how it acts on their tensors alone.

In formulas m is the ratio of the residual width, m_M of an expert's inner width, A the active routed experts and S the
shared ones.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.contract import NO_CHANGES, Case, Changes, Factors, Subject
from widthwise.theory.parameterization import is_feature_scaled
from widthwise.vocabulary import QuantityName, Role, TensorPart, known_word

PARTS = (TensorPart.ROUTER, TensorPart.EXPERT_UP, TensorPart.EXPERT_DOWN)
NOTHING = Factors({}, "")


@dataclass(frozen=True, slots=True)
class ByPart:
    """Factors of the tensors within experts, by what each is there; none for all others."""

    source: str
    of_part: Callable[[TensorPart, Subject], Factors]
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """Nothing for a role's line: within one role, the parts of experts differ."""
        return self.of_part(subject.part, subject) if subject.part in PARTS else NOTHING


def required_count(rule: NamedRule, case: Case, name: str) -> tuple[int, int]:
    """Return a number of experts at base and target. InvalidInputError if either is not stated."""
    rule.ratio(case, name)  # refuses with what to give
    return getattr(case.base, name), getattr(case.target, name)


def require_mup_with_adam(rule: NamedRule, case: Case) -> None:
    """Raise InvalidInputError outside of what rules of experts were derived for."""
    scheme = case.scheme
    if not is_feature_scaled(scheme.parameterization):
        raise InvalidInputError(
            f"{rule.field} is {rule.word!r}, which is a rule of muP, and parameterization is "
            f"{scheme.parameterization.value!r}; give 'mup', or leave the rule out",
            field=rule.field,
        )
    rule.require_adams_matrices(case)


def require_parts(rule: NamedRule, case: Case) -> None:
    """Raise InvalidInputError if tensors are listed and none says what it is within the experts, or one can't be it."""
    parts = [
        (tensor, placed) for tensor, placed in zip(case.tensors, case.placements, strict=True) if tensor.part in PARTS
    ]
    for tensor, placed in parts:
        if placed.role is not Role.HIDDEN:
            raise InvalidInputError(
                f"tensors: {tensor.name!r} has part {str(tensor.part)!r} and is placed as {placed.role.value}; the "
                "matrices of experts are between two widths: give role 'hidden'",
                field="tensors",
            )
    found = {known_word(TensorPart, tensor.part, "tensors.part") for tensor, _ in parts if tensor.part is not None}
    if case.tensors and TensorPart.EXPERT_DOWN not in found:
        raise InvalidInputError(
            f"{rule.field} is {rule.word!r}, and no tensor has part 'expert_down'; give part (router, expert_up, "
            "expert_down) to each matrix of the experts, shared ones too, or read the model from its config.json",
            field="tensors",
        )


def by_role_cautions(case: Case) -> Iterator[Caution]:
    """Say that lines by role hold nothing of experts."""
    if not case.tensors:
        yield Caution(
            "experts_by_role",
            "no tensors are listed: the line of hidden matrices is without experts, since routers and the two sides "
            "of an expert differ; list the tensors with part, or read the model",
        )


def init_factor(case: Case, subject: Subject, wanted: float) -> float:
    """Return what makes `wanted` of the width rule's factor on the init."""
    return wanted / width_factors(case, subject)["init_std"]


def width_factors(case: Case, subject: Subject) -> Mapping[QuantityName, float]:
    """Return the width rule's factors of a tensor."""
    assert subject.fans is not None  # noqa: S101 - only tensors have parts
    return case.in_force.scalings[subject.role].multipliers(subject.fans)
