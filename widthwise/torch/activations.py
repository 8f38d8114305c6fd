"""What every module of a model takes and returns on one batch."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from widthwise.torch.inputs import Inputs, arguments_of
from widthwise.torch.names import canonical_paths, unwrapped
from widthwise.torch.outputs import tensors_of
from widthwise.torch.shards import whole_of


@dataclass(frozen=True, slots=True)
class Activations:
    """Of one module, the first tensor that goes in and the first that comes out, for each of its calls."""

    module: nn.Module
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)


def activations(model: nn.Module, batch: Inputs, *, seed: int = 0) -> dict[str, Activations]:
    """Run a model once without gradients and return what its modules make of a batch, by path without wrappers.

    The pass runs in the mode that the model is in and draws the random numbers of `seed`, so that two passes drop the
    same units. A module that does not run, or returns no tensor of numbers, is left out.
    """
    paths = dict(canonical_paths(model))
    modules = {paths[path]: module for path, module in model.named_modules()}  # the innermost has a wrapper's path
    found = {name: Activations(module) for name, module in modules.items()}
    args, kwargs = arguments_of(unwrapped(model), batch)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.compiler.set_stance("force_eager"))  # compiled code does not look for new hooks
        stack.enter_context(random_numbers_of(model))
        torch.manual_seed(seed)
        for each in found.values():
            handle = each.module.register_forward_hook(_Keeps(each), with_kwargs=True)
            stack.callback(handle.remove)
        model(*args, **kwargs)
    return {name: each for name, each in found.items() if each.outputs}


@contextmanager
def random_numbers_of(model: nn.Module) -> Iterator[None]:
    """Put back the random numbers of the CPU and of the model's own devices at the end."""
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(devices, key=str)):
        yield


class _Keeps:
    """A hook that copies what a module takes and returns: code may write into either later."""

    def __init__(self, kept: Activations) -> None:
        self._kept = kept

    def __call__(self, _module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
        made = _first(output)
        if made is not None:
            self._kept.inputs.append(_first((args, kwargs)))
            self._kept.outputs.append(made)


def _first(values: Any) -> Any:
    """A copy of the first tensor of floating-point numbers; None without one."""
    found = next((each for each in tensors_of(values) if each.is_floating_point()), None)
    return None if found is None else whole_of(found.detach()).clone()


def rms(values: Any) -> float:
    """The root of the mean of squares over all entries of one or several tensors; double precision keeps small ones."""
    tensors = [each.detach().double() for each in (values if isinstance(values, list | tuple) else [values])]
    squares = sum(float(each.square().sum()) for each in tensors)
    count = sum(each.numel() for each in tensors)
    return float((squares / count) ** 0.5) if count else 0.0
