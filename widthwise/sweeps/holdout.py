"""How well a sweep predicts those of its cells that the fit does not see."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.shape import CurveShape, phi
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.fit import fit_sweep
from widthwise.sweeps.optimum import CellOptimum
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.sweeps.run import SweepRun

End = Literal["max", "min"]
SAME = 0.01  # relative: values of an axis this close are the same one, as in `cells_of`


@dataclass(frozen=True)
class HeldOutCell:
    """One cell, predicted without its runs."""

    optimum: CellOptimum  #: as the fit of all runs has it
    prediction: SweepPrediction  #: of the fit without the held-out cells
    shape: CurveShape  #: of the fit of all runs

    @property
    def octaves(self) -> float:
        """By how much the prediction lies above the optimum."""
        return math.log2(self.prediction.learning_rate / self.optimum.learning_rate)

    @property
    def regret(self) -> float:
        """How many nats the predicted rate loses to the optimum, on the cell's own curve as it was fitted."""
        if self.optimum.curvature is None:
            return self.shape.excess(self.octaves)
        return self.optimum.curvature * float(phi(np.array(self.octaves), self.shape.skew))

    @property
    def covered(self) -> bool:
        """Whether the prediction's interval holds the optimum."""
        low, high = self.prediction.interval
        return low <= self.optimum.learning_rate <= high


def hold_out(
    runs: Sequence[SweepRun], axis: str, end: End, *, prescribed: Collection[str] = ()
) -> tuple[HeldOutCell, ...]:
    """Predict the cells at the largest or smallest value of an axis from all others.

    Raises `InvalidInputError` for an axis that the runs don't have or that holds words, `EstimateError` if no cell
    remains.
    """
    values = {run.axes.get(axis) for run in runs}
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) != len(values):
        names = sorted({name for run in runs for name, value in run.axes.items() if not isinstance(value, str)})
        raise InvalidInputError(f"holdout names {axis!r}; give an axis of numbers that the runs have: {names}")
    edge = max(numbers) if end == "max" else min(numbers)
    kept = [run for run in runs if not math.isclose(_number(run, axis), edge, rel_tol=SAME)]
    if not kept:
        raise EstimateError(f"every run has {axis} {edge:g}, so nothing remains to predict it from")
    fit = fit_sweep(kept, prescribed=prescribed)
    whole = fit_sweep(runs, prescribed=prescribed)
    held = [
        index for index, cell in enumerate(cells_of(runs)) if math.isclose(float(cell.axes[axis]), edge, rel_tol=SAME)
    ]
    return tuple(
        HeldOutCell(whole.optima[index], fit.predict(**whole.optima[index].axes), whole.shape) for index in held
    )


def _number(run: SweepRun, axis: str) -> float:
    return float(run.axes[axis])
