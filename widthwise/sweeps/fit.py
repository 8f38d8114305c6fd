"""The fit of a sweep over any axes: every cell's optimum, one law over all of them, and predictions from both."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from widthwise.caution import Caution
from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.shape import CurveShape
from widthwise.laws import published_at, published_cautions
from widthwise.sweeps.cautions import column_cautions, fit_cautions, prediction_cautions
from widthwise.sweeps.cell import SweepCell, cells_of
from widthwise.sweeps.estimates import LawEstimate, law_estimates
from widthwise.sweeps.law import law_over
from widthwise.sweeps.learning import learn_shape
from widthwise.sweeps.optimum import CellOptimum, cell_optima
from widthwise.sweeps.posterior import Component, SweepData, fit_posterior
from widthwise.sweeps.prediction import Place, SweepPrediction, exponent_at, predicted
from widthwise.sweeps.residual import residual_features
from widthwise.sweeps.run import SweepRun
from widthwise.sweeps.shape import cell_log_likelihood, common_grid
from widthwise.sweeps.units import check_place
from widthwise.sweeps.unused import column_values, explaining_columns

MARGIN = 4.0  # octaves of the grid beyond every rate: five times the largest scatter


@dataclass(frozen=True)
class SweepFit:
    """A fitted sweep."""

    optima: tuple[CellOptimum, ...]  #: of every cell, in the order of the runs
    law: tuple[LawEstimate, ...]  #: the parameters of the law over the axes
    scatter: float  #: ω, octaves: how far single cells lie from the law and its residual
    shape: CurveShape  #: what the curves of all cells have in common
    warnings: tuple[Caution, ...]
    cells: tuple[SweepCell, ...] = field(repr=False)
    data: SweepData = field(repr=False)
    components: tuple[Component, ...] = field(repr=False)

    def predict(self, **axes: float | str) -> SweepPrediction:
        """Return the best learning rate at a place: give a value for each axis that the runs have.

        Raises `InvalidInputError` for an axis that is missing, unknown or out of range.
        """
        place = self._place(axes)
        warnings = tuple(prediction_cautions(place, self.cells))
        found = predicted(place, self.shape, self.data, self.components, warnings)
        published = published_at({**self._settings, **place})
        differing = published_cautions(found.learning_rate, found.interval, published)
        return replace(found, warnings=(*warnings, *differing), published=published)

    def exponent(self, axis: str, **place: float | str) -> tuple[float, tuple[float, float]]:
        """Return e in rate ∝ axis^e around a place, with its 95 % interval: the law's, without the residual.

        If the batch saturates, the exponents over batch and tokens depend on the place. Raises `InvalidInputError` as
        `predict` does.
        """
        checked = self._place(place)
        if axis not in checked or isinstance(checked[axis], str):
            numbers = [name for name, value in checked.items() if not isinstance(value, str)]
            raise InvalidInputError(f"axis is {axis!r}; give one of {numbers}", field="axis")
        found = exponent_at(axis, checked, self.data, self.components)
        return found.mean, found.interval

    @cached_property
    def _settings(self) -> dict[str, float | str]:
        """Return the columns that are not an axis and have one value in all runs."""
        each = [column_values(cell) for cell in self.cells]
        return {name: value for name, value in each[0].items() if all(other.get(name) == value for other in each)}

    @cached_property
    def saturation_batch(self) -> tuple[float, tuple[float, float]] | None:
        """Return the batch in tokens above which the rate stops growing, at the mean (in log2) number of tokens.

        With its 95 % interval; None with fewer than three batches.
        """
        for one in self.law:
            if one.name == "saturation_batch":
                low, high = one.interval
                return 2.0**one.value, (2.0**low, 2.0**high)
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON-ready values."""
        saturation = self.saturation_batch
        return {
            "optima": [asdict(optimum) for optimum in self.optima],
            "law": [asdict(estimate) for estimate in self.law],
            "scatter": self.scatter,
            "saturation_batch": None if saturation is None else {"value": saturation[0], "interval": saturation[1]},
            "shape": asdict(self.shape),
            "warnings": [caution._asdict() for caution in self.warnings],
        }

    def _repr_html_(self) -> str:
        from widthwise import notebook
        from widthwise.figures.sweep_report import sweep_report

        optima = notebook.optima([(one.axes, one.learning_rate, one.interval, one.edge) for one in self.optima])
        law = notebook.law([(one.name, one.value, one.interval) for one in self.law])
        return optima + law + notebook.warnings(self.warnings) + notebook.picture(sweep_report(self).svg())

    def _place(self, axes: Mapping[str, float | str]) -> Place:
        """Return the axes in the order of the cells', after checking that they are the same ones."""
        names = list(self.cells[0].axes)
        if set(axes) != set(names):
            raise InvalidInputError(
                f"the axes given are {sorted(axes)}; give a value for each that the runs have, {sorted(names)}, or "
                "read the runs without the rest"
            )
        for name, value in self.cells[0].axes.items():
            if isinstance(value, str) != isinstance(axes[name], str):
                kind = "a word" if isinstance(value, str) else "a number"
                raise InvalidInputError(f"{name} is {axes[name]!r}; give {kind}, as the runs do", field=name)
        SweepRun(1.0, None, axes)  # checks the ranges
        check_place(axes, self.cells)
        return {name: axes[name] for name in names}


def fit_sweep(runs: Sequence[SweepRun], *, prescribed: Collection[str] = ()) -> SweepFit:
    """Fit the optima of all cells of a sweep at once.

    prescribed: axes for which the parameterization already scales the learning rates, such as width under muP; their
        exponents are expected near 0.

    Raises `InvalidInputError` for runs that contradict each other or don't have the same axes, and `EstimateError` if
    every run diverged.

    >>> runs = [
    ...     SweepRun(rate * tokens**-0.3, 3 + 0.1 * abs(k) ** 1.5, {"tokens": tokens})
    ...     for tokens in (1.0, 2.0, 4.0, 8.0)
    ...     for k, rate in enumerate((0.001, 0.002, 0.004), start=-1)
    ... ]
    >>> round(fit_sweep(runs).predict(tokens=16.0).learning_rate, 4)
    0.0009
    """
    cells = cells_of(runs)
    if not any(cell.x.size for cell in cells):
        raise EstimateError(f"all {len(runs)} runs diverged; try smaller learning rates")
    shape, grid_G = learn_shape(cells), common_grid(cells, MARGIN)
    law, places = law_over(cells, prescribed), [cell.axes for cell in cells]
    log_likelihood_CxG = np.stack([cell_log_likelihood(cell, shape, grid_G) for cell in cells])
    data = SweepData(law, law.at(places), residual_features(places), grid_G, log_likelihood_CxG)
    components = fit_posterior(data)
    estimates = law_estimates(data, components)
    return SweepFit(
        optima=cell_optima(cells, shape, data, components),
        law=estimates,
        scatter=sum(one.weight * one.omega for one in components),
        shape=shape,
        warnings=(*fit_cautions(cells, estimates), *column_cautions(explaining_columns(cells, data, components))),
        cells=cells,
        data=data,
        components=components,
    )
