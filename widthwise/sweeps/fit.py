"""The fit of a sweep over any axes, and what it predicts for a cell that was not run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.intervals import mixture_interval
from widthwise.sweeps.cell import SweepCell, cells_of
from widthwise.sweeps.law import OFFSET, law_over
from widthwise.sweeps.learning import learn_shape
from widthwise.sweeps.posterior import Component, Data, fit_posterior
from widthwise.sweeps.residual import residual_features
from widthwise.sweeps.run import SweepRun
from widthwise.sweeps.shape import CurveShape, cell_log_likelihood, common_grid

MARGIN = 4.0  # octaves of the grid beyond every rate: five times the largest scatter
STUDENT = 12  # degrees of freedom of every component (chosen): tails for what a normal mode leaves out


@dataclass(frozen=True)
class SweepPrediction:
    """The best learning rate of a cell that may not have been run."""

    learning_rate: float
    interval: tuple[float, float]  #: 95 %, of the cell: law, residual and scatter
    law_interval: tuple[float, float]  #: 95 %, of the law and residual alone
    expected_regret: float  #: nats that training at `learning_rate` loses to the cell's own optimum, on average


@dataclass(frozen=True)
class SweepFit:
    """A fitted sweep."""

    cells: tuple[SweepCell, ...]
    shape: CurveShape
    data: Data
    components: tuple[Component, ...]

    def predict(self, **axes: float | str) -> SweepPrediction:
        """Return the best learning rate of a cell, by its axes: every one that the runs have.

        Raises `InvalidInputError` for an axis that is missing, unknown or out of range.
        """
        place = self._checked(axes)
        at = self.data.law.at([place])
        feature_R, left = (array[0] for array in self.data.features.at([place]))
        unknown = self.data.law.unknown_levels(place) * OFFSET[1] ** 2
        centres, law_variances = [], []
        for component in self.components:
            mean, jacobian = at(component.theta)
            row = np.concatenate([jacobian[0], component.alpha * feature_R])
            centres.append(float(mean[0] + component.alpha * feature_R @ component.nu))
            law_variances.append(float(row @ component.covariance @ row) + component.alpha**2 * left + unknown)
        weights = [component.weight for component in self.components]
        variances = [v + c.omega**2 for v, c in zip(law_variances, self.components, strict=True)]
        rate = float(np.dot(weights, centres))
        dof = [STUDENT] * len(weights)
        low, high = mixture_interval(centres, np.sqrt(variances), dof, weights)
        law_low, law_high = mixture_interval(centres, np.sqrt(law_variances), dof, weights)
        regret = sum(
            w * self.shape.excess(rate - centre, variance)
            for w, centre, variance in zip(weights, centres, variances, strict=True)
        )
        return SweepPrediction(2.0**rate, (2.0**low, 2.0**high), (2.0**law_low, 2.0**law_high), float(regret))

    def _checked(self, axes: dict[str, float | str]) -> dict[str, float | str]:
        """Return the axes in the order of the cells', after checking that they are the same ones."""
        names = list(self.cells[0].axes)
        if set(axes) != set(names):
            raise InvalidInputError(f"the axes are {sorted(axes)}; give those of the runs: {sorted(names)}")
        for name, value in self.cells[0].axes.items():
            if isinstance(value, str) != isinstance(axes[name], str):
                kind = "a word" if isinstance(value, str) else "a number"
                raise InvalidInputError(f"{name} is {axes[name]!r}; give {kind}, as the runs do", field=name)
        return {name: SweepRun(1.0, None, axes).axes[name] for name in names}


def fit_sweep(runs: Sequence[SweepRun], *, prescribed: Collection[str] = ()) -> SweepFit:
    """Fit the optima of all cells of a sweep at once.

    prescribed: axes for which the parameterization already scales the learning rates, such as width under muP.

    Raises `InvalidInputError` for runs that contradict each other or don't have the same axes, and `EstimateError` if
    every run diverged.
    """
    cells = cells_of(runs)
    if not any(cell.x.size for cell in cells):
        raise EstimateError(f"all {len(runs)} runs diverged; try smaller learning rates")
    shape = learn_shape(cells)
    grid_G = common_grid(cells, MARGIN)
    law = law_over(cells, prescribed)
    places = [cell.axes for cell in cells]
    data = Data(
        law,
        law.at(places),
        residual_features(places),
        grid_G,
        np.stack([cell_log_likelihood(cell, shape, grid_G) for cell in cells]),
    )
    return SweepFit(cells, shape, data, fit_posterior(data))
