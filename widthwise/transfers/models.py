"""From two readings of a model to what a transfer takes: tensors, sizes and ties as they were read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, TypeVar

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.model import Base, Size, Target
from widthwise.reading.model import ModelReading
from widthwise.reading.pairing import UNDECAYED, PairedParameter, pair
from widthwise.tensors.placement import Tensor
from widthwise.vocabulary import Role

_Size = TypeVar("_Size", bound=Size)


class FromModels(NamedTuple):
    """What two readings give a transfer."""

    base: Base
    target: Target
    tensors: tuple[Tensor, ...]
    cautions: tuple[Caution, ...]


def from_models(
    base_model: ModelReading,
    target_model: ModelReading,
    *,
    base: Base,
    target: Target,
    roles: Mapping[str, Role | str] | None = None,
) -> FromModels:
    """Return tensors, sizes and cautions of a transfer from one model to the other.

    Weight decay given as one number is kept away from gains, biases, learned tokens and positions, as training code
    usually does; a mapping by role is followed as it is. Raises what `pair` raises, and InvalidInputError for a size
    that contradicts the model.
    """
    pairs = pair(base_model, target_model, roles)
    by_role = isinstance(base.weight_decay, Mapping)
    return FromModels(
        base=_with_sizes(base, base_model, "base"),
        target=_with_sizes(target, target_model, "target"),
        tensors=tuple(_tensor(each, decays_all=by_role) for each in pairs),
        cautions=tuple(dict.fromkeys((*base_model.cautions, *target_model.cautions))),
    )


def _tensor(paired: PairedParameter, *, decays_all: bool) -> Tensor:
    return paired.tensor if decays_all or paired.target.use not in UNDECAYED else replace(paired.tensor, decayed=False)


def _with_sizes(size: _Size, model: ModelReading, end: str) -> _Size:
    """The sizes of a model next to those that the user gave. Raises InvalidInputError where the two differ."""
    heads = {attention.head_dim for attention in model.attentions}
    read = {
        "width": model.width,
        "depth": sum(model.blocks) or None,
        "head_dim": heads.pop() if len(heads) == 1 else None,
    }
    for name, value in read.items():
        given = getattr(size, name)
        if given is not None and value is not None and given != value:
            raise InvalidInputError(
                f"{end}.{name} is {given}, and the model has {value}; leave it out, or correct the model",
                field=f"{end}.{name}",
            )
    return replace(size, **{name: value for name, value in read.items() if value is not None})
