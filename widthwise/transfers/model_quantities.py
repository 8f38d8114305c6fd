"""What the model itself multiplies at the target: query·key, embeddings and logits."""

import math
from collections.abc import Iterable, Sequence

from widthwise.model import Base, Size, Target
from widthwise.rules.contract import ChangeName, Changes
from widthwise.transfers.plan import LayerPlan, ModelPlan, ModelQuantity, TensorPlan
from widthwise.vocabulary import Role


def model_plan(
    base: Base,
    target: Target,
    layers: Sequence[LayerPlan],
    tensors: Sequence[TensorPlan],
    changes: Changes,
    *,
    qk_norm: bool,
) -> ModelPlan:
    """The model's quantities; None for one that nothing in the request tells."""
    plans: Iterable[LayerPlan | TensorPlan] = (
        list({id(plan.quantities): plan for plan in tensors}.values()) if tensors else layers
    )
    return ModelPlan(
        attention_scale=_attention_scale(base, target, qk_norm=qk_norm),
        embedding_multiplier=_multiplier(Role.EMBEDDING, "embeddings", plans),
        logit_multiplier=_multiplier(Role.READOUT, "logits", plans),
        residual_multiplier=_residual_multiplier(changes),
        route_scale=_of_change(changes, "route_scale", "the sum of the routed experts"),
        adapter_scale=_of_change(changes, "adapter_scale", "B·A of low-rank adapters ×"),
    )


def _residual_multiplier(changes: Changes) -> ModelQuantity | None:
    change = changes.get("residual_multiplier")
    if change is None:
        return None
    return ModelQuantity(
        None, change.of(1.0), f"every residual branch, next to what it has at the base, {change.reason}"
    )


def _of_change(changes: Changes, name: ChangeName, what: str) -> ModelQuantity | None:
    change = changes.get(name)
    return change and ModelQuantity(change.value, change.of(1.0), f"{what} {change.reason}")


def _attention_scale(base: Base, target: Target, *, qk_norm: bool) -> ModelQuantity | None:
    """∝ 1/d: trained queries and keys align, so that query·key ∝ d and not √d (2203.03466, definition 4.1).

    It is the base's own scale at the base, whatever that is; √d_base/d if the code multiplies by 1/√d_head.
    """
    if base.head_dim is None or target.head_dim is None:
        return None
    if qk_norm:
        return ModelQuantity(
            None, 1.0, "unchanged: normalised queries and keys keep their product whatever the head dim"
        )
    multiplier = attention_factor(base, target)
    source = "since trained queries and keys align (Tensor Programs V, 2203.03466, definition 4.1)"
    if base.attention_scale is None and target.attention_scale is None:
        value = math.sqrt(base.head_dim) / target.head_dim
        what = f"√d_base/d_head = √{base.head_dim}/{target.head_dim}: ×{multiplier:.6g} next to the code's 1/√d_head"
    else:
        own = code_scale(base)
        value = own * base.head_dim / target.head_dim
        what = (
            f"the base's {own:g} × d_base/d_head = {own:g} × {base.head_dim}/{target.head_dim}: ×{multiplier:.6g} next "
            f"to the code's {code_scale(target):g}"
        )
    return ModelQuantity(value, multiplier, f"query·key × {what}, {source}")


def code_scale(size: Size) -> float:
    """What the code multiplies query·key by: 1/√d_head, unless the size says otherwise. Needs head_dim."""
    assert size.head_dim is not None  # noqa: S101 - callers look first
    return 1 / math.sqrt(size.head_dim) if size.attention_scale is None else size.attention_scale


def attention_factor(base: Base, target: Target) -> float:
    """What the attention logits need next to the code's own scale; 1 at the base. Needs both head_dims.

    >>> attention_factor(Base(head_dim=8), Target(head_dim=32))
    0.5
    """
    assert base.head_dim is not None  # noqa: S101 - callers look first
    assert target.head_dim is not None  # noqa: S101
    if base.attention_scale is None and target.attention_scale is None:
        return math.sqrt(base.head_dim / target.head_dim)
    factor = code_scale(base) * base.head_dim / (code_scale(target) * target.head_dim)
    if factor == math.inf:
        raise OverflowError  # a quotient does not raise as a power does
    return factor


def _multiplier(role: Role, what: str, plans: Iterable[LayerPlan | TensorPlan]) -> ModelQuantity | None:
    """The one forward multiplier of a role; None where its tensors have several, or none."""
    multipliers = {plan.forward_multiplier.multiplier for plan in plans if plan.role is role}
    if len(multipliers) != 1:
        return None
    (multiplier,) = multipliers
    return ModelQuantity(
        None, multiplier, f"{what} × this, relative to the base's: the {role.value}'s forward multiplier"
    )
