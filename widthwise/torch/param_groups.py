"""Parameter groups of PyTorch's optimizers, from a plan."""

from typing import Any, Literal

from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.groups import MAX_GROUPS, Group, groups
from widthwise.torch.matched import matched, refuse_meta
from widthwise.transfers.plan import Plan, TrainingPlan

Style = Literal["absolute", "scale"]
_STYLES = ("absolute", "scale")


def param_groups(
    model: nn.Module, plan: Plan, style: Style = "absolute", *, names: bool = True, max_groups: int = MAX_GROUPS
) -> list[dict[str, Any]]:
    """Return the parameter groups that train a model as its plan says, for any optimizer of `torch.optim`.

    style: "absolute" writes each group's own learning rate, which schedulers of PyTorch multiply. "scale" writes the
    base's learning rate and the factor as `lr_scale`, for loops that multiply the two themselves (timm, MAE, DINOv2);
    without such a loop every group trains with the base's rate, and `attach` is what you want. names: params are (name,
    parameter) pairs, which the optimizer keeps; False for trainers that take bare parameters.

    Each group also has its `name`, the `eps` and `weight_decay` that the plan has, and `betas` where a rule sets both.
    The first group is the base's own. Every trainable parameter is in exactly one group, frozen ones are in none.
    More than `max_groups` different values are merged: see `widthwise.groups.groups`.

    Raises InvalidInputError that lists every parameter that the plan or the model lacks; for parameters on the meta
    device; for an epsilon of Adafactor.
    """
    if style not in _STYLES:
        raise InvalidInputError(f"style is {style!r}; give one of {', '.join(_STYLES)}", field="style")
    parameters = matched(model, plan)
    refuse_meta(parameters.items(), "make parameter groups")
    found = []
    for group in groups(plan, max_groups):
        trained = [(name, parameters[name]) for name in group.tensors if parameters[name].requires_grad]
        if trained:
            params = trained if names else [parameter for _, parameter in trained]
            found.append({"name": group.name, "params": params, **_rate(group, style), **values(group, plan)})
    if not found:
        raise InvalidInputError("every parameter of the model is frozen; there is nothing to train", field="model")
    return found


def values(group: Group, plan: Plan) -> dict[str, Any]:
    """Return what a group of an optimizer holds besides its rate: `eps`, `weight_decay`, `betas`."""
    if group.epsilon is not None and str(plan.provenance.get("optimizer", "")).startswith("adafactor"):
        raise InvalidInputError(
            f"the plan has Adafactor's ε₁ = {group.epsilon:g}, and implementations of Adafactor take it in different "
            "forms: transformers as eps=(ε₁, …), torch.optim as eps=(√ε₁, …). Leave base.epsilon out and give it to "
            "the optimizer, or build its groups from widthwise.groups.groups(plan)",
            field="plan",
        )
    found = {"eps": group.epsilon, "weight_decay": group.weight_decay, "betas": _betas(plan.training)}
    return {key: value for key, value in found.items() if value is not None}


def _rate(group: Group, style: Style) -> dict[str, float]:
    if style == "absolute":
        return {"lr": group.learning_rate}
    return {"lr": group.learning_rate / group.scale, "lr_scale": group.scale}


def _betas(training: TrainingPlan) -> tuple[float, float] | None:
    beta1, beta2 = training.beta1, training.beta2
    if beta1 is None or beta2 is None or beta1.value is None or beta2.value is None:
        return None
    return beta1.value, beta2.value
