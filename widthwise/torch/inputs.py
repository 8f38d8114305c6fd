"""What a model's forward pass takes: checked, and split into positional and keyword arguments."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from widthwise.errors import InvalidInputError

#: Keyword arguments by name, positional ones in order, the one tensor, or nothing.
Inputs: TypeAlias = "Mapping[str, Any] | Sequence[Any] | torch.Tensor | None"


def arguments_of(model: nn.Module, inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments. Raises InvalidInputError if the forward pass needs some and there are none."""
    if inputs is None:
        needed = _needed(model)
        if needed:
            raise InvalidInputError(
                f"inputs: {type(model).__name__}.forward needs {', '.join(needed)}; give them as "
                f'{{"{needed[0]}": tensor}}, with a batch of 2 or more and any values that the model accepts',
                field="inputs",
            )
        return (), {}
    if isinstance(inputs, torch.Tensor):
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, Sequence) and not isinstance(inputs, str | bytes):
        return tuple(inputs), {}
    raise InvalidInputError(
        f"inputs is a {type(inputs).__name__}; give a mapping of keyword arguments, a tuple, or one tensor",
        field="inputs",
    )


def _needed(model: nn.Module) -> list[str]:
    """The arguments that the forward pass cannot do without, or else the first one that it takes."""
    parameters = list(inspect.signature(model.forward).parameters.values())
    named = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    required = [each.name for each in named if each.default is each.empty]
    return required or [each.name for each in named[:1]]


def batch_of(inputs: Any) -> int | None:
    """The size of the batch: the first axis of the first tensor."""
    for leaf in tree_leaves(inputs):
        if isinstance(leaf, torch.Tensor) and leaf.dim() > 0:
            return int(leaf.shape[0])
    return None
