"""The loss that a model is trained with, from what its forward pass returns."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.torch.inputs import Inputs, arguments_of
from widthwise.torch.names import unwrapped

#: Of what the model returned and the batch: a tensor of one number.
Loss = Callable[[Any, Any], Any]


def loss_of(model: nn.Module, batch: Inputs, loss: Loss | None = None) -> Any:
    """Run a model on a batch and return the loss, of which gradients can be taken.

    loss: of what the model returned and the batch; without one, the model's own: a tensor of one number, or what it
    returns as `loss`, as transformers do if the batch has labels. Raises InvalidInputError if there is none.
    """
    args, kwargs = arguments_of(unwrapped(model), batch)
    outputs = model(*args, **kwargs)
    found = _own(outputs) if loss is None else loss(outputs, batch)
    if not isinstance(found, torch.Tensor) or found.numel() != 1:
        what = "returns no loss" if loss is None else "has a loss that is not one number"
        raise InvalidInputError(
            f"{type(unwrapped(model)).__name__} {what}; give loss=lambda outputs, batch: …, or a batch with labels if "
            "the model computes its own",
            field="loss",
        )
    return found


def _own(outputs: Any) -> Any:
    if isinstance(outputs, torch.Tensor):
        return outputs
    if isinstance(outputs, Mapping):
        return outputs.get("loss")
    return getattr(outputs, "loss", None)
