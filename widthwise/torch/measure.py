"""Measures of a PyTorch model what a transfer takes: the size of its gradients, and how its updates align."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.reading.pairing import pair
from widthwise.reading.parameter import Parameter
from widthwise.torch.activations import activations, rms
from widthwise.torch.alignment import RATIOS, Ratios, ratios, weights_of
from widthwise.torch.inputs import Inputs
from widthwise.torch.losses import Loss, loss_of
from widthwise.torch.measured import ModelMeasurement, TensorMeasurement
from widthwise.torch.names import canonical_names
from widthwise.torch.shards import is_sharded
from widthwise.torch.trace import trace
from widthwise.torch.untouched import untouched
from widthwise.vocabulary import Role

#: Several batches, or one.
Batches: TypeAlias = "Inputs | Iterable[Inputs]"


def measure(
    model: nn.Module,
    batches: Batches,
    *,
    initial: nn.Module | None = None,
    loss: Loss | None = None,
    roles: Mapping[str, Role | str] | None = None,
) -> ModelMeasurement:
    """Return the RMS of every parameter's gradient, and how training has aligned its updates with activations.

    model: at the size and the step at which to measure: for epsilon, the base at init. batches: what training steps
    take; one mapping or tensor is one batch. A gradient's RMS is over all batches. loss: of what the model returned and
    the batch, if the model doesn't return its loss. roles: as in `widthwise.torch.plan`.

    initial: the same model before it was trained, as `copy.deepcopy` keeps it. With it, α, ω and u of Everett et al.
    2024 (section 3) are read of every linear and convolution layer: log to the base fan-in of ‖ΔW z₀‖ / (‖ΔW‖‖z₀‖),
    ‖W₀ Δz‖ / (‖W₀‖‖Δz‖) and ‖ΔW Δz‖ / (‖ΔW‖‖Δz‖). A constant factor in a ratio adds 0.1 to 0.3 to these at
    one width; `coordinate_check(…).alignment` measures their slopes over width, which have none.

    The model stays as it was: weights, buffers, gradients, random numbers, mode. It runs in the mode it is in.

    Raises InvalidInputError for no batches, no loss, a gradient that is not finite, parameters that are sharded, and
    an initial model that is another one; UnplacedTensorsError for a role that is open.
    """
    given: list[Any] = [batches] if isinstance(batches, Mapping | torch.Tensor) else list(batches or ())
    if not given:
        raise InvalidInputError("batches is empty; give at least one batch", field="batches")
    sharded = next((name for name, parameter in canonical_names(model) if is_sharded(parameter)), None)
    if sharded is not None:
        raise InvalidInputError(f"{sharded!r} is sharded; measure before fully_shard", field="model")
    with untouched(model):
        reading = trace(model, given[0])
        parameters = {each.target.name: each.target for each in pair(reading, reading, roles)}
        sizes = _gradients(model, given, loss)
    aligned: Mapping[str, Ratios] = {}
    if initial is not None:
        with untouched(model), untouched(initial):
            initial.train(model.training)
            aligned = _alignment(model, initial, given, parameters)
    return ModelMeasurement(
        tuple(
            TensorMeasurement(name, of.role, of.fan_in, size, **aligned.get(name, dict.fromkeys(RATIOS)))
            for name, size in _of_each_use(sizes, parameters)
            if (of := parameters[name]).role is not None
        )
    )


def _of_each_use(sizes: Mapping[str, float], parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, float]]:
    """A tied weight has one gradient, and stands for each of its uses."""
    for name, parameter in parameters.items():
        size = sizes.get(parameter.tied_to or name, sizes.get(name))
        if size is not None:
            yield name, size


def _gradients(model: nn.Module, batches: Sequence[Any], loss: Loss | None) -> dict[str, float]:
    """The RMS of each trainable parameter's gradient over all batches, without writing a gradient anywhere."""
    named: dict[int, tuple[str, nn.Parameter]] = {}
    for name, parameter in canonical_names(model):
        if parameter.requires_grad:
            named.setdefault(id(parameter), (name, parameter))
    squares = {name: 0.0 for name, _ in named.values()}
    for batch in batches:
        with torch.enable_grad():
            found = torch.autograd.grad(
                loss_of(model, batch, loss), [each for _, each in named.values()], allow_unused=True
            )
        for name, gradient in zip(squares, found, strict=True):
            if gradient is not None:
                squares[name] += rms(gradient) ** 2
    wrong = next((name for name, square in squares.items() if not math.isfinite(square)), None)
    if wrong is not None:
        raise InvalidInputError(
            f"the gradient of {wrong!r} is not finite; measure at init, or where the loss is finite", field="model"
        )
    return {name: math.sqrt(square / len(batches)) for name, square in squares.items()}


def _alignment(
    model: nn.Module, initial: nn.Module, batches: Sequence[Any], parameters: Mapping[str, Parameter]
) -> dict[str, Ratios]:
    """The readings of each weight whose module multiplies by it, the mean over the batches."""
    read: dict[str, list[Ratios]] = {}
    fan_ins = {name.rpartition(".")[0]: of.fan_in for name, of in parameters.items() if name.endswith("weight")}
    for batch in batches:
        now, start = activations(model, batch), activations(initial, batch)
        for path, found in ratios(now, start, weights_of(start), fan_ins):
            read.setdefault(f"{path}.weight".lstrip("."), []).append(found)
    if not read:
        raise InvalidInputError(
            "no linear or convolution layer of initial has the sizes of the model's; give the same model before it "
            "was trained",
            field="initial",
        )
    return {name: {ratio: _mean([each[ratio] for each in of]) for ratio in RATIOS} for name, of in read.items()}


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
