"""What the model itself multiplies at the target: query·key, embeddings and logits."""

import math
from collections.abc import Iterable, Sequence

from widthwise.model import Base, Target
from widthwise.transfers.plan import LayerPlan, ModelPlan, ModelQuantity, TensorPlan
from widthwise.vocabulary import Role


def model_plan(
    base: Base, target: Target, layers: Sequence[LayerPlan], tensors: Sequence[TensorPlan], *, qk_norm: bool
) -> ModelPlan:
    """The model's quantities; None for one that nothing in the request tells."""
    plans: Iterable[LayerPlan | TensorPlan] = (
        list({id(plan.quantities): plan for plan in tensors}.values()) if tensors else layers
    )
    return ModelPlan(
        attention_scale=_attention_scale(base.head_dim, target.head_dim, qk_norm=qk_norm),
        embedding_multiplier=_multiplier(Role.EMBEDDING, "embeddings", plans),
        logit_multiplier=_multiplier(Role.READOUT, "logits", plans),
    )


def _attention_scale(base: int | None, target: int | None, *, qk_norm: bool) -> ModelQuantity | None:
    """√d_base/d: trained queries and keys align, so that query·key ∝ d and not √d (2203.03466, definition 4.1)."""
    if base is None or target is None:
        return None
    if qk_norm:
        return ModelQuantity(
            None, 1.0, "unchanged: normalised queries and keys keep their product whatever the head dim"
        )
    multiplier = attention_factor(base, target)
    return ModelQuantity(
        math.sqrt(base) / target,
        multiplier,
        f"query·key × √d_base/d_head = √{base}/{target}: ×{multiplier:.6g} next to the code's 1/√d_head, since trained "
        "queries and keys align (Tensor Programs V, 2203.03466, definition 4.1)",
    )


def attention_factor(base: int, target: int) -> float:
    """What the attention logits need next to 1/√d_head: √(d_base/d_target), which is 1 at the base.

    >>> attention_factor(8, 32)
    0.5
    """
    return math.sqrt(base / target)


def _multiplier(role: Role, what: str, plans: Iterable[LayerPlan | TensorPlan]) -> ModelQuantity | None:
    """The one forward multiplier of a role; None where its tensors have several, or none."""
    multipliers = {plan.forward_multiplier.multiplier for plan in plans if plan.role is role}
    if len(multipliers) != 1:
        return None
    (multiplier,) = multipliers
    return ModelQuantity(
        None, multiplier, f"{what} × this, relative to the base's: the {role.value}'s forward multiplier"
    )
