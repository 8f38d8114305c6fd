"""A probe: one forward pass that looks whether weights are used through their modules alone."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from widthwise.errors import InvalidInputError
from widthwise.torch.inputs import Inputs, arguments_of
from widthwise.torch.instance import prepared, preserved, without_entries
from widthwise.torch.names import unwrapped


class _Readers(TorchDispatchMode):
    """Which weights are read while no module that holds them runs."""

    def __init__(self, weights: Mapping[int | None, str]) -> None:
        super().__init__()
        self.weights = weights  #: by storage
        self.running: list[int | None] = []  #: storages of the modules that run now
        self.outside: dict[str, str] = {}  #: by weight, the first operator that read it outside

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for leaf in () if func.is_view else tree_leaves((args, kwargs)):  # a view only passes its storage on
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()._cdata
                name = self.weights.get(storage)
                if name is not None and storage not in self.running:
                    self.outside.setdefault(name, str(func))
        return func(*args, **(kwargs or {}))


def refuse_unreached(model: nn.Module, modules: Mapping[str, nn.Module], inputs: Inputs) -> None:
    """Raise InvalidInputError if a forward pass does not run one of the modules, or reads its weight elsewhere.

    The pass runs in the mode that the model is in, without gradients; buffers and random numbers stay as they were.
    """
    args, kwargs = arguments_of(unwrapped(model), inputs)
    ran: set[int] = set()
    with ExitStack() as stack:
        if any(parameter.is_meta for parameter in model.parameters()):
            args, kwargs = stack.enter_context(_on_fake_tensors(model, (args, kwargs)))
        readers = _Readers({_storage(module): name for name, module in modules.items()})
        for module in model.modules():
            if _storage(module) in readers.weights:
                stack.enter_context(_watched(module, readers, ran))
        stack.enter_context(_undone(model))
        with readers:
            model(*args, **kwargs)
    for name, module in modules.items():
        if name in readers.outside:
            raise InvalidInputError(
                f"{readers.outside[name]} reads {name!r} without running its module, as a fused loss does: a hook "
                "cannot multiply there. Switch the fused loss off, or use fold=True",
                field="model",
            )
        if id(module) not in ran:
            raise InvalidInputError(
                f"the forward pass did not run the module of {name!r}, so that its multiplier is not applied; give "
                "the inputs of a training step, or use fold=True",
                field="inputs",
            )


def _storage(module: nn.Module) -> int | None:
    weight = module._parameters.get("weight")
    return None if weight is None else weight.untyped_storage()._cdata


@contextmanager
def _watched(module: nn.Module, readers: _Readers, ran: set[int]) -> Iterator[None]:
    """Know when a module runs, from before its other hooks until after them."""
    storage = _storage(module)

    def enter(*_: Any) -> None:
        ran.add(id(module))
        readers.running.append(storage)

    def leave(*_: Any) -> None:
        readers.running.remove(storage)

    before = module.register_forward_pre_hook(enter, prepend=True)
    after = module.register_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()


@contextmanager
def _on_fake_tensors(model: nn.Module, inputs: Any) -> Iterator[Any]:
    """Run a model without storage: its parameters stand for some on the CPU, in the mode that it is in."""
    training = {module: module.training for module in model.modules()}
    with preserved(model), without_entries(model) as instance:
        for module, was in training.items():
            module.training = was
        yield prepared(instance, inputs)


@contextmanager
def _undone(model: nn.Module) -> Iterator[None]:
    """Without gradients, and with buffers and the random state put back at the end."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)
