"""The names of a model's parameters without those of wrappers around it and inside it."""

import sys
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

#: Attributes by which PyTorch's wrappers hold what they wrap: torch.compile, activation checkpointing, FSDP.
_WRAPPED = ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside torch.compile, DistributedDataParallel, DataParallel and PEFT's outermost module."""
    while True:
        inner = _inner(model)
        if inner is None:
            return model
        model = inner


def _inner(module: Any) -> nn.Module | None:
    if isinstance(module, DistributedDataParallel | DataParallel):
        return module.module  # type: ignore[no-any-return, unused-ignore]
    for name in _WRAPPED:
        held = module._modules.get(name)
        if held is not None and len(module._modules) == 1:
            return held  # type: ignore[no-any-return, unused-ignore]
    return None


def canonical_names(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every name of every parameter, a shared one under each of its names, in the model's order.

    Components that stand for a wrapper alone are left out: a compiled `layers.0._orig_mod.weight` is
    `layers.0.weight`, and PEFT's `base_model.model.layers.0.base_layer.weight` is `layers.0.weight`.
    """
    paths = dict(canonical_paths(model))
    for module_name, module in model.named_modules(remove_duplicate=False):
        for name, parameter in module._parameters.items():
            if parameter is not None:
                path = paths[module_name]
                yield f"{path}.{name}" if path else name, parameter


def canonical_paths(model: nn.Module) -> Iterator[tuple[str, str]]:
    """The path of every module with the same path without wrappers."""
    dropped = {"": ""}
    yield "", ""
    for path, module in model.named_modules(remove_duplicate=False):
        if path:
            yield path, dropped[path]
        for name in module._modules:
            inner = f"{path}.{name}" if path else name
            short = dropped[path]
            dropped[inner] = short if _stands_for_wrapper(module, name) else f"{short}.{name}" if short else name


def _stands_for_wrapper(module: Any, name: str) -> bool:
    if name in _WRAPPED:
        return True
    if isinstance(module, DistributedDataParallel | DataParallel):
        return name == "module"
    peft = sys.modules.get("peft")
    if peft is None:
        return False
    tuners: Any = peft.tuners.tuners_utils
    return (
        (isinstance(module, peft.PeftModel) and name == "base_model")
        or (isinstance(module, tuners.BaseTuner) and name == "model")
        or (isinstance(module, tuners.BaseTunerLayer) and name == "base_layer")
    )
