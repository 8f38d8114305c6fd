"""From two readings of a model to a transfer request: tensors, sizes and ties as they were read."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from widthwise.errors import InvalidInputError
from widthwise.model import Base, Size, Target
from widthwise.reading.model import ModelReading
from widthwise.reading.pairing import UNDECAYED, PairedParameter, pair
from widthwise.tensors.placement import Tensor
from widthwise.transfers.request import TransferRequest
from widthwise.vocabulary import Role

_Size = TypeVar("_Size", bound=Size)


def request_of_models(
    base_model: ModelReading,
    target_model: ModelReading,
    *,
    base: Base,
    target: Target | None = None,
    roles: Mapping[str, Role | str] | None = None,
    **words: Any,
) -> TransferRequest:
    """Return the request that transfers from one model to the other.

    base: the tuned values; its sizes may be left out, since the model tells them. target: sizes that no model tells
    (batch_tokens, tokens). roles: by a pattern of names, the role that settles what the readings leave open. words:
    the other fields of TransferRequest (parameterization, optimizer …).

    Weight decay given as one number is kept away from gains, biases, learned tokens and positions, as training code
    usually does; a mapping by role is followed as it is. Raises what `pair` raises, and InvalidInputError for a size
    that contradicts the model.
    """
    pairs = pair(base_model, target_model, roles)
    by_role = isinstance(base.weight_decay, Mapping)
    return TransferRequest(
        base=_with_sizes(base, base_model, "base"),
        target=_with_sizes(target or Target(), target_model, "target"),
        tensors=tuple(_tensor(each, decays_all=by_role) for each in pairs),
        cautions=tuple(dict.fromkeys((*base_model.cautions, *target_model.cautions))),
        **words,
    )


def _tensor(paired: PairedParameter, *, decays_all: bool) -> Tensor:
    return paired.tensor if decays_all or paired.target.use not in UNDECAYED else replace(paired.tensor, decayed=False)


def _with_sizes(size: _Size, model: ModelReading, end: str) -> _Size:
    """The sizes of a model beside those that the user gave. Raises InvalidInputError where the two differ."""
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
