"""The initial weights of a model, drawn as its plan says."""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from widthwise.errors import UnplacedTensorsError
from widthwise.groups import trained
from widthwise.torch.matched import matched, refuse_meta
from widthwise.torch.names import canonical_names
from widthwise.torch.shards import sharded_like, whole_of
from widthwise.transfers.plan import Plan, TensorPlan
from widthwise.vocabulary import Role

_UNDRAWN = (Role.VECTOR, Role.SCALAR)  # gains start at 1 and biases at 0: a std says nothing of either
_SCALED = "_widthwise_scaled"  #: of a parameter: the number that it held, and the one that was written
#: Standard errors by which the mean of zero-mean draws may be off (chosen): one parameter in 10⁹.
_STANDARD_ERRORS = 6


def init_(
    model: nn.Module, plan: Plan, base_model: nn.Module | None = None, *, generator: torch.Generator | None = None
) -> dict[str, float | None]:
    """Draw every trainable matrix and table in place, with the plan's std, and return what was done by name.

    The std of each tensor that was drawn, from a normal distribution around 0; None for one that keeps what the model's
    own initialiser made: gains and biases, which no std describes, and matrices that don't start around 0. If the plan
    multiplies the init of a gain or bias, the one number that all its entries hold is multiplied: an equivalent model
    starts every parameter so many times as large. A tied weight is drawn once, a table's padding row stays 0, frozen
    parameters are left alone. Shards (DTensor) get their
    part of what one process draws, so that the weights don't depend on how the model is sharded.

    base_model: the base with the weights that its own initialiser made, needed if the base's `init_std` was not given:
    then a tensor's std is what is measured in its counterpart of the same name (in a deeper model, in those of the
    other blocks) × the plan's multiplier. The target's present weights are never read: whether its initialiser follows
    the width already, they don't tell.

    Call it after the model has storage, and after the model's own initialiser.

    Raises InvalidInputError for parameters on the meta device, and UnplacedTensorsError that lists those for which no
    std is known.
    """
    parameters = {name: each for name, each in matched(model, plan).items() if each.requires_grad}
    refuse_meta(parameters.items(), "draw them")
    stds, problems = planned_stds(plan, base_model, parameters)
    if problems:
        raise UnplacedTensorsError(problems)
    paddings = _padding_rows(model)
    scaled = {tensor.name: tensor.init_std.multiplier for tensor in trained(plan) if tensor.role in _UNDRAWN}
    with torch.no_grad():
        for name, parameter in parameters.items():
            std = stds[name]
            if std is not None:
                _draw(parameter, std, generator, paddings.get(id(parameter)))
                parameter._is_hf_initialized = True  # transformers leaves such a parameter alone
            elif scaled.get(name, 1) != 1:
                _scale(parameter, scaled[name])
    return stds


def planned_stds(
    plan: Plan, base_model: nn.Module | None, parameters: Mapping[str, nn.Parameter]
) -> tuple[dict[str, float | None], list[tuple[str, str]]]:
    """Return the std of some parameters by name, None for those that are not drawn; then (name, what is unknown)."""
    measured = None if base_model is None else _Measured(base_model)
    problems: list[tuple[str, str]] = []
    found: dict[str, float | None] = {}
    for tensor in trained(plan):
        if tensor.name in parameters:
            std = _std(tensor, measured, parameters[tensor.name])
            if isinstance(std, str):
                problems.append((tensor.name, std))
            else:
                found[tensor.name] = std
    return found, problems


def _std(tensor: TensorPlan, measured: "_Measured | None", parameter: nn.Parameter) -> float | str | None:
    """The std to draw with, None to leave a tensor as it is or to scale its one number, or what is unknown."""
    value, multiplier, _ = tensor.init_std
    if tensor.role in _UNDRAWN:
        if multiplier == 1 or parameter.is_meta or _constant(parameter) is not None:
            return None
        draws = None if measured is None else measured.of(tensor.name)
        if draws is not None and draws.is_around_zero():
            return draws.rms * multiplier
        return (
            f"its init × {multiplier:.4g} is a gain's or a bias's, and its entries differ: give base_model, in which "
            "a std is measured if they are drawn around 0, or set it in the model's own initialiser"
        )
    if value is not None:
        return value
    if measured is None:
        return "the plan has no init std for it: give base.init_std, or base_model, in which it is then measured"
    return _measured_std(measured.of(tensor.name), multiplier)


def _measured_std(draws: "_Draws | None", multiplier: float) -> float | str | None:
    if draws is None:
        return "the base has no parameter of this name, nor one that differs in numbers alone; give base.init_std"
    if draws.is_around_zero():
        return draws.rms * multiplier
    if multiplier == 1:
        return None
    return f"the base's values are not drawn around 0, and the plan's × {multiplier:.4g} is for a std"


class _Draws:
    """The moments of some initial weights."""

    def __init__(self) -> None:
        self.count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, values: Any) -> None:
        whole = whole_of(values.detach()).double()
        self.count += whole.numel()
        self._sum += float(whole.sum())
        self._squares += float(whole.square().sum())

    @property
    def rms(self) -> float:
        return math.sqrt(self._squares / self.count)

    def is_around_zero(self) -> bool:
        return abs(self._sum / self.count) <= _STANDARD_ERRORS * self.rms / math.sqrt(self.count)


class _Measured:
    """What the base's own initialiser made, by name; looked at once for each."""

    def __init__(self, base_model: nn.Module) -> None:
        named = list(canonical_names(base_model))
        refuse_meta(named, "measure the base")
        self._exact = dict(named)
        self._like: dict[str, dict[int, nn.Parameter]] = {}
        for name, parameter in named:
            self._like.setdefault(_like(name), {})[id(parameter)] = parameter
        self._known: dict[str, _Draws] = {}

    def of(self, name: str) -> _Draws | None:
        """The values of the base's parameter of this name, or of all whose names differ in numbers alone."""
        key = name if name in self._exact else _like(name)
        if key not in self._known:
            parameters = [self._exact[name]] if key == name else list(self._like.get(key, {}).values())
            if not parameters:
                return None
            draws = self._known[key] = _Draws()
            for parameter in parameters:
                draws.add(parameter)
        return self._known[key]


def _like(name: str) -> str:
    return re.sub(r"\d+", "*", name)


def _draw(parameter: Any, std: float, generator: torch.Generator | None, padding: int | None) -> None:
    device = parameter.device if generator is None else generator.device
    # in float32, whatever the parameter holds: bfloat16 draws have coarse tails
    drawn = torch.empty(parameter.shape, dtype=torch.promote_types(parameter.dtype, torch.float32), device=device)
    drawn.normal_(0.0, std, generator=generator)
    if padding is not None:
        drawn[padding] = 0
    drawn = drawn.to(parameter.device, parameter.dtype)
    parameter.copy_(sharded_like(parameter, drawn))


def _constant(parameter: Any) -> float | None:
    """The one number that all entries of a parameter hold; None if they differ."""
    whole = whole_of(parameter.detach())
    least, most = float(whole.min()), float(whole.max())
    return least if least == most else None


def _scale(parameter: Any, multiplier: float) -> None:
    """Multiply what the model's own initialiser made; a second call finds what the first one wrote."""
    own = _constant(parameter)
    before, written = getattr(parameter, _SCALED, (own, None))
    if own == written:
        own = before
    assert own is not None  # noqa: S101 - other values have a std or are refused
    parameter.fill_(own * multiplier)
    setattr(parameter, _SCALED, (own, _constant(parameter)))
    parameter._is_hf_initialized = True


def _padding_rows(model: nn.Module) -> dict[int, int]:
    """The row of each table that stays 0, by the table's identity."""
    return {
        id(module.weight): module.padding_idx
        for module in model.modules()
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None
    }
