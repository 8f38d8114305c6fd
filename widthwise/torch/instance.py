"""An instance of a model to record: with tensors that have no entries instead of the real ones, or as it is given."""

import gc
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from widthwise.errors import InvalidInputError
from widthwise.torch.running import OnMeta, Run, as_it_is

_WITHOUT_ENTRIES = "torch trace without entries"


@dataclass(frozen=True, slots=True)
class Instance:
    """What stands for a model's tensors while it runs."""

    source: str  #: how the model was run, in words
    prepare: Callable[[Any], Any]  #: of an input tensor, the tensor to run with
    numbers: list[tuple[Any, float]] = field(default_factory=list)  #: buffers of one number, and the number
    run: Run = as_it_is  #: of the operators


@contextmanager
def preserved(model: nn.Module) -> Iterator[None]:
    """Put back the attributes, parameters and hooks of every module at the end, whatever runs inside."""
    before = [(module, dict(module.__dict__), _contents(module)) for module in model.modules()]
    try:
        yield
    finally:
        for module, attributes, contents in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            for held, content in contents:
                held.clear()
                held.update(content) if isinstance(held, dict) else held.extend(content)


def _contents(module: Any) -> list[tuple[Any, Any]]:
    """A module's dictionaries and lists, its parameters and caches among them, each with what it holds."""
    plain = (dict, OrderedDict, list)
    return [(held, held.copy()) for held in module.__dict__.values() if type(held) in plain]


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Pause the garbage collector: a graph only grows while it is recorded, and each search through it takes longer."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def plain_operators() -> Iterator[None]:
    """No gradients, no compiled code, and no fused kernels, whose operators say nothing about axes."""
    fast, fused = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    torch.backends.mkldnn.set_flags(_enabled=False)
    try:
        with (
            torch.no_grad(),
            torch.random.fork_rng(devices=[]),
            torch.compiler.set_stance("force_eager"),
            sdpa_kernel(SDPBackend.MATH),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        torch.backends.mkldnn.set_flags(_enabled=fused)


@contextmanager
def on_meta(model: nn.Module) -> Iterator[Instance]:
    """The model at its full size with tensors that hold nothing and lie on no device: the quickest way to run it."""

    def empty(tensor: Any) -> Any:
        return torch.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="meta")

    yield Instance(_WITHOUT_ENTRIES, empty, _stand_ins(model, empty), OnMeta())


@contextmanager
def without_entries(model: nn.Module) -> Iterator[Instance]:
    """The same on a device that is said to be the CPU, for code that asks which device it runs on, or names one."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(tensor: Any) -> Any:
        with mode:
            return torch.empty_strided(tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device="cpu")

    numbers = _stand_ins(model, fake)
    with mode, _quiet():
        yield Instance(_WITHOUT_ENTRIES, fake, numbers)


def _stand_ins(model: nn.Module, empty: Callable[[Any], Any]) -> list[tuple[Any, float]]:
    """Put tensors without entries into a model, in evaluation mode. Return those that stand for one known number."""
    standing: dict[int, Any] = {}
    numbers = []
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in standing:
                    _check_size(parameter)
                    standing[id(parameter)] = nn.Parameter(empty(parameter), requires_grad=False)
                module._parameters[name] = standing[id(parameter)]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                if id(buffer) not in standing:
                    standing[id(buffer)] = empty(buffer)
                module._buffers[name] = standing[id(buffer)]
                if buffer.numel() == 1 and buffer.is_floating_point() and not buffer.is_meta:
                    numbers.append((module._buffers[name], float(buffer)))
        if isinstance(module, nn.RNNBase):
            module.__dict__["_flat_weights"] = [
                None if weight is None else standing[id(weight)] for weight in module._flat_weights
            ]
        _drop_hooks_of_sharding(module)
    model.eval()
    return numbers


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch logs each operator that fails without entries; the error that follows says it too."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def as_given(model: nn.Module) -> Iterator[Instance]:
    """The model itself, on its own device."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    for parameter in model.parameters():
        _check_size(parameter)
    model.eval()
    source = "torch trace on the meta device" if device.type == "meta" else "torch trace of the model as given"
    yield Instance(source, lambda tensor: tensor.to(device))


def prepared(instance: Instance, inputs: Any) -> Any:
    """Inputs with every tensor replaced by the one to run with."""
    return tree_map_only(torch.Tensor, instance.prepare, inputs)


def _check_size(parameter: Any) -> None:
    if isinstance(parameter, nn.parameter.UninitializedTensorMixin):
        raise InvalidInputError(
            "a lazy module has no sizes before its first run; run the model once, then read it", field="model"
        )


def _drop_hooks_of_sharding(module: Any) -> None:
    """FSDP's hooks gather shards of parameters; the ones that stand here are whole."""
    for name in ("_forward_pre_hooks", "_forward_hooks"):
        kept = {key: hook for key, hook in module.__dict__[name].items() if not _of_sharding(hook)}
        module.__dict__[name] = type(module.__dict__[name])(kept)


def _of_sharding(hook: Any) -> bool:
    owner = getattr(hook, "__self__", hook)
    return any(
        str(getattr(each, "__module__", "")).startswith("torch.distributed") for each in (hook, owner, type(owner))
    )
