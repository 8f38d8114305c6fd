"""Reads a PyTorch model from one forward pass over tensors without entries."""

from dataclasses import replace
from typing import Any

from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.reading.dataflow.graph import Graph
from widthwise.reading.dataflow.reading import read
from widthwise.reading.model import ModelReading
from widthwise.torch.inputs import Inputs, arguments_of, batch_of
from widthwise.torch.instance import (
    Instance,
    as_given,
    nothing_collected,
    on_meta,
    plain_operators,
    prepared,
    preserved,
    without_entries,
)
from widthwise.torch.module_types import contradictions
from widthwise.torch.names import canonical_names, canonical_paths, unwrapped
from widthwise.torch.outputs import tensors_of
from widthwise.torch.recorder import Recorder
from widthwise.torch.siblings import with_siblings


def trace(model: nn.Module, inputs: Inputs = None) -> ModelReading:
    """Return every parameter of a model with its axes, role, use, tie and block, and what its code multiplies by.

    model: of any size, on any device; parameters on the meta device take no memory. inputs: what the forward pass
    takes: keyword arguments as a mapping, positional ones as a tuple, or the one tensor. The pass runs in evaluation
    mode, without gradients, and on tensors that have shapes and no entries; a model whose code asks for entries runs
    as it is given, which `source` says. The model stays as it was.

    Raises InvalidInputError if the forward pass needs inputs and there are none, or if it fails.
    """
    module = unwrapped(model)
    args, kwargs = arguments_of(module, inputs)
    with nothing_collected():
        return _read(module, args, kwargs)


def _read(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ModelReading:
    failures: list[Exception] = []
    for instance_of in (on_meta, without_entries, as_given):
        try:
            with preserved(module), instance_of(module) as instance:
                graph, aliases = _record(module, instance, args, kwargs)
            break
        except InvalidInputError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever the model's own code raises
            if instance_of is not on_meta:  # the next one says what the code lacked
                failures.append(failure)
    else:
        raise InvalidInputError(_failed(module, failures), field="inputs") from failures[-1]
    reading = with_siblings(module, read(graph, instance.source, aliases))
    return replace(reading, cautions=(*reading.cautions, *contradictions(module, reading)))


def _record(
    module: nn.Module, instance: Instance, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Graph, dict[str, tuple[str, ...]]]:
    """The dataflow of one forward pass, and the other names of parameters that have several."""
    names: dict[int, list[str]] = {}
    parameters: dict[int, Any] = {}
    for name, parameter in canonical_names(module):
        names.setdefault(id(parameter), []).append(name)
        parameters[id(parameter)] = parameter
    short = dict(canonical_paths(module))
    paths = {each: short[path] for path, each in module.named_modules()}
    graph = Graph()
    recorder = Recorder(graph, paths, batch_of((args, kwargs)), instance.run)
    for key, parameter in parameters.items():
        recorder.know(parameter, graph.parameter(names[key][0], tuple(parameter.shape)))
    for tensor, number in instance.numbers:
        recorder.know(tensor, graph.constant(tuple(tensor.shape), number))
    args, kwargs = prepared(instance, args), prepared(instance, kwargs)
    recorder.know_inputs((args, kwargs))
    with plain_operators(), recorder.recording():
        outputs = module(*args, **kwargs)
    graph.outputs = [recorder.value(tensor) for tensor in tensors_of(outputs)]
    return graph, {of[0]: tuple(of[1:]) for of in names.values() if len(of) > 1}


def _failed(module: nn.Module, failures: list[Exception]) -> str:
    said = "; then, as it is given, ".join(
        f"{type(failure).__name__}: {(str(failure).splitlines() or [''])[0][:300]}" for failure in failures
    )
    return (
        f"{type(module).__name__} could not run on tensors without entries: {said}. Check the inputs; if the model's "
        "code asks for the entries of its tensors, give a small instance of it with real weights"
    )
