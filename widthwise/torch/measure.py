"""Measures of a PyTorch model what a transfer takes: the size of its gradients, and how its updates align."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import log
from typing import Any, TypeAlias

import torch
from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.reading.pairing import pair
from widthwise.reading.parameter import Parameter
from widthwise.torch.activations import Activations, activations, rms
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
_Ratios = Mapping[str, float | None]  #: α, ω and u of one tensor; None if nothing has moved
_RATIOS = ("alpha", "omega", "u")


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
    one width (docs/theory.md); a calibration measures their slopes over width, which have none.

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
    aligned: Mapping[str, _Ratios] = {}
    if initial is not None:
        with untouched(model), untouched(initial):
            initial.train(model.training)
            aligned = _alignment(model, initial, given, parameters)
    return ModelMeasurement(
        tuple(
            TensorMeasurement(name, of.role, of.fan_in, size, **aligned.get(name, dict.fromkeys(_RATIOS)))
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
) -> dict[str, _Ratios]:
    """The readings of each weight whose module multiplies by it, the mean over the batches."""
    read: dict[str, list[_Ratios]] = {}
    for batch in batches:
        now, start = activations(model, batch), activations(initial, batch)
        for path, each in now.items():
            name = f"{path}.weight".lstrip(".")
            if name in parameters and path in start and _multiplies(each, start[path]):
                read.setdefault(name, []).append(_ratios(each, start[path], parameters[name].fan_in))
    if not read:
        raise InvalidInputError(
            "no linear or convolution layer of initial has the sizes of the model's; give the same model before it "
            "was trained",
            field="initial",
        )
    return {name: {ratio: _mean([each[ratio] for each in of]) for ratio in _RATIOS} for name, of in read.items()}


def _multiplies(now: Activations, start: Activations) -> bool:
    """Whether a module's weight multiplies its input, and both models saw the same entries."""
    known = isinstance(now.module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    known |= type(now.module).__name__ == "Conv1D"  # transformers' is one without being a class of PyTorch
    shapes = [[None if each is None else each.shape for each in of.inputs] for of in (now, start)]
    return known and shapes[0] == shapes[1] and None not in shapes[0]


def _ratios(now: Activations, start: Activations, fan_in: int) -> _Ratios:
    before = start.module.weight.detach().float()
    change = now.module.weight.detach().float() - before
    inputs = [each.float() for each in start.inputs]
    moves = [each.float() - other for each, other in zip(now.inputs, inputs, strict=True)]
    return {
        "alpha": _exponent(now.module, change, inputs, fan_in),
        "omega": _exponent(now.module, before, moves, fan_in),
        "u": _exponent(now.module, change, moves, fan_in),
    }


def _exponent(module: Any, weight: Any, inputs: Sequence[Any], fan_in: int) -> float | None:
    """The log of ‖W z‖ / (‖W‖‖z‖) to the base fan-in, in RMS norms; None if one of these is 0."""
    norms = rms(weight) * rms(inputs)
    product = rms([_product(module, weight, each) for each in inputs])
    return log(product / norms) / log(fan_in) if norms > 0 and product > 0 and fan_in > 1 else None


def _product(module: Any, weight: Any, inputs: Any) -> Any:
    """What a module makes of an input with another weight and without its bias."""
    if isinstance(module, nn.Linear):
        return nn.functional.linear(inputs, weight)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return module._conv_forward(inputs, weight, None)
    return inputs @ weight


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
