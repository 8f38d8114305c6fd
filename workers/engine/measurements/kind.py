"""The contract of a kind of measurement: at which steps it looks, at what, and how it describes the result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from workers.engine.prescription import Prescription
from workers.engine.proxies.contract import Params, Tape, TensorSpec

Numbers = Mapping[str, float | None]  #: of one tensor, by name


@dataclass(frozen=True)
class RunView:
    """A run at one step, traced, so that only what a kind uses is computed."""

    optimizer_state: Any
    gradients: Callable[[], Params]  #: of the next batch
    now: Callable[[], Tape]  #: of the probe batch
    init: Callable[[], Tape]  #: of the probe batch before the first step


@dataclass(frozen=True)
class MeasuredTensor:
    """The tensor that numbers belong to, and what it is trained with."""

    name: str
    use: TensorSpec
    prescription: Prescription


def unchanged(numbers: Mapping[str, float], tensor: MeasuredTensor) -> Numbers:
    """Return the numbers unchanged."""
    del tensor
    return numbers


@dataclass(frozen=True)
class MeasurementKind:
    """One kind of measurement."""

    name: str  #: a member of vocabulary.Measured
    steps: Callable[[int], tuple[int, ...]]  #: maps the steps of a run to those at which it looks, ascending
    look: Callable[[RunView], Mapping[str, Mapping[str, jax.Array]]]  #: scalars by tensor; compiled
    describe: Callable[[Mapping[str, float], MeasuredTensor], Numbers] = unchanged  #: as it is recorded
