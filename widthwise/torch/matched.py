"""The parameters of a model by the names that a plan has for them."""

from collections.abc import Iterable, Sequence

from torch import nn

from widthwise.errors import InvalidInputError, like_tensors
from widthwise.groups import trained
from widthwise.torch.names import canonical_names
from widthwise.transfers.plan import Plan


def matched(model: nn.Module, plan: Plan) -> dict[str, nn.Parameter]:
    """Return each parameter by its name in the plan, in the plan's order; a tied weight once, under its owner's name.

    Wrappers don't count in names: see `canonical_names`. Frozen parameters that the plan has are returned too.
    Raises InvalidInputError that lists every trainable parameter that the plan lacks, every tensor that the model
    lacks, and every weight that only one of the two ties.
    """
    owners = {tensor.name: tensor.tied_to or tensor.name for tensor in plan.tensors}
    names: dict[int, list[str]] = {}
    parameters: dict[int, nn.Parameter] = {}
    for name, parameter in canonical_names(model):
        names.setdefault(id(parameter), []).append(name)
        parameters[id(parameter)] = parameter
    problems: list[tuple[str, str]] = []
    found: dict[str, nn.Parameter] = {}
    for key, parameter in parameters.items():
        known = dict.fromkeys(owners[name] for name in names[key] if name in owners)
        if not known and parameter.requires_grad:
            problems.append((names[key][0], "trained in the model, not in the plan"))
        elif len(known) > 1:
            problems.append((names[key][0], f"one weight in the model, apart from {list(known)[1]!r} in the plan"))
        for owner in known:
            if owner in found:
                problems.append((names[key][0], f"tied to {owner!r} in the plan, apart in the model"))
            found.setdefault(owner, parameter)
    ordered = [tensor.name for tensor in trained(plan)]
    problems += [(name, "in the plan, not in the model") for name in ordered if name not in found]
    if problems:
        raise InvalidInputError(_listed(problems), field="model")
    return {name: found[name] for name in ordered}


def refuse_meta(parameters: Iterable[tuple[str, nn.Parameter]], what: str) -> None:
    """Raise InvalidInputError if some parameters still lie on the meta device."""
    names = [name for name, parameter in parameters if parameter.is_meta]
    if names:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise InvalidInputError(
            f"{names[0]!r}{others} have no storage yet (meta device); {what} after model.to_empty(device=…) and the "
            "model's own initialiser",
            field="model",
        )


def _listed(problems: Sequence[tuple[str, str]]) -> str:
    lines = [f"{each.name!r}{f' (×{each.count})' if each.count > 1 else ''}: {each.problem}" for each in
             like_tensors(problems)]  # fmt: skip
    return f"{len(problems)} parameter(s) don't match the plan; make the plan from this model:\n  " + "\n  ".join(lines)
