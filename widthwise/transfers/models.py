"""From two readings of a model to what a transfer takes: tensors, sizes and ties as they were read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.model import Base, Size, Target
from widthwise.reading.model import ModelReading
from widthwise.reading.pairing import UNDECAYED, PairedParameter, pair
from widthwise.reading.parameter import Feeds, ParameterUse
from widthwise.tensors.multipliers import ComputedMultiplier
from widthwise.tensors.placement import Tensor
from widthwise.transfers.computed import Computed, computed
from widthwise.vocabulary import Role

_Size = TypeVar("_Size", bound=Size)
_Value = TypeVar("_Value", int, float)
_ROUNDED = 0.005  # chosen: a scale may have passed through bfloat16, which rounds by up to 0.4 %


class FromModels(NamedTuple):
    """What two readings tell a transfer."""

    base: Base
    target: Target
    tensors: tuple[Tensor, ...]
    code_multipliers: tuple[ComputedMultiplier, ...]
    qk_norm: bool
    cautions: tuple[Caution, ...]


def from_models(
    base_model: ModelReading,
    target_model: ModelReading,
    *,
    base: Base,
    target: Target,
    roles: Mapping[str, Role | str] | None = None,
    code_multipliers: Sequence[ComputedMultiplier] = (),
) -> FromModels:
    """Return tensors, sizes, multipliers of the code and cautions of a transfer from one model to the other.

    code_multipliers: replace those that the readings found, if there are any.

    Weight decay given as one number is kept away from gains, biases, learned tokens and positions, as training code
    usually does; a mapping by role is followed as it is. Raises what `pair` raises, and InvalidInputError for a size
    that contradicts the model.
    """
    pairs = pair(base_model, target_model, roles)
    by_role = isinstance(base.weight_decay, Mapping)
    found = Computed(tuple(code_multipliers), ()) if code_multipliers else computed(base_model, target_model, pairs)
    return FromModels(
        base=_with_sizes(base, base_model, "base"),
        target=_with_sizes(target, target_model, "target"),
        tensors=tuple(_tensor(each, decays_all=by_role) for each in pairs),
        code_multipliers=found.multipliers,
        qk_norm=bool(target_model.attentions) and all(each.normalized for each in target_model.attentions),
        cautions=(*_of_both(base_model.cautions, target_model.cautions), *found.cautions),
    )


def _of_both(base: Sequence[Caution], target: Sequence[Caution]) -> tuple[Caution, ...]:
    """What the readings warn of. One of a kind says it of both: a deeper target differs in the names that it lists."""
    said = {caution.code for caution in target}
    return (*(caution for caution in base if caution.code not in said), *target)


def _tensor(paired: PairedParameter, *, decays_all: bool) -> Tensor:
    decayed = decays_all or paired.target.use not in UNDECAYED
    return replace(paired.tensor, decayed=decayed, in_block=paired.target.block is not None)


def _with_sizes(size: _Size, model: ModelReading, end: str) -> _Size:
    """The sizes of a model next to those that the user gave. Raises InvalidInputError where the two differ."""
    head_dim = _one({attention.head_dim for attention in model.attentions})
    read: dict[str, Any] = {
        "width": model.width,
        "depth": sum(model.blocks) or None,
        "head_dim": head_dim,
        "experts": model.experts,
        "rank": model.rank,
        "active_experts": model.active_experts,
        "shared_experts": model.shared_experts,
        "attention_scale": _own_scale(model, head_dim),
    }
    for name, value in read.items():
        given = getattr(size, name)
        if given is not None and value is not None and given != value:
            raise InvalidInputError(
                f"{end}.{name} is {given}, and the model has {value}; leave it out, or correct the model",
                field=f"{end}.{name}",
            )
    if size.parameters is None:  # a number that is given stands: people count gains, heads and tables differently
        read["parameters"] = _without_embeddings(model)
    return replace(size, **{name: value for name, value in read.items() if value is not None})


def _without_embeddings(model: ModelReading) -> int | None:
    """The parameters of the residual blocks, which leave out tables and heads; None if only some of them are active."""
    partly = any(each.feeds is Feeds.ROUTER or each.use is ParameterUse.LOW_RANK for each in model.parameters)
    inside = (each for each in model.parameters if each.block is not None and each.tied_to is None)
    return None if partly else sum(math.prod(each.shape) for each in inside) or None


def _own_scale(model: ModelReading, head_dim: int | None) -> float | None:
    """What the code multiplies query·key by, if that is one number other than 1/√d_head."""
    scale = _one({attention.scale for attention in model.attentions if attention.scale is not None})
    if scale is None or head_dim is None or math.isclose(scale, head_dim**-0.5, rel_tol=_ROUNDED):
        return None
    return scale


def _one(found: set[_Value]) -> _Value | None:
    return found.pop() if len(found) == 1 else None
