"""The fit of the trials that a calibration has so far, and what a picture of it shows besides its result."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate.calibration import PREDICTED, CalibrationResult, fit_calibration
from widthwise.estimate.candidates import Candidates
from widthwise.estimate.choice import NAMES, chosen_in_words, standing
from widthwise.estimate.parabola import adjusted_means
from widthwise.estimate.surface import Surface
from widthwise.estimate.widths import AT_AN_EDGE, WidthOptimum, fit_optima
from widthwise.vocabulary import Measured

POINTS = 33  # of each law's line (chosen): a shift in 1/width bends visibly, and 33 points hide no corner
MARGIN_OCTAVES = 0.4  # that the lines reach beyond the widths (chosen)
#: What a result has too, fitted from the same trials.
OF_RESULT = ("optima", "drift", "raw_slope", "candidates", "warnings")


@dataclass(frozen=True)
class FitSoFar:
    """The optima of every width that has trials, and the result if any width has an optimum."""

    optima: tuple[WidthOptimum, ...]
    result: CalibrationResult | None

    def to_dict(self, *, complete: bool, multiples: Sequence[int] = PREDICTED) -> dict[str, Any]:
        """Return all of it as JSON-ready values.

        complete: whether no run is missing, as of a calibration that has succeeded. multiples: of the largest width,
        where to predict.
        """
        result = self.result
        laws = None if result is None else result.candidates
        fitted = {"optima": [], "candidates": [], "warnings": []} if result is None else result.to_dict()
        return {
            **{name: fitted.get(name) for name in OF_RESULT},
            "widths": [_width(entry, laws, complete) for entry in self.optima],
            "choice": {
                "law": None if laws is None else laws.chosen.name,
                "name": None if laws is None else NAMES[laws.chosen.name],
                "standing": None if laws is None else standing(laws),
                "sentence": "No width has an optimum yet" if result is None else chosen_in_words(result),
            },
            "predictions": [] if result is None else list(result.predictions(multiples)),
            "lines": [] if result is None else list(_lines(result, max(multiples))),
            "band": [] if result is None else list(_band(result, max(multiples))),
        }


def fit_so_far(spec: CalibrationSpec, trials: Sequence[Trial]) -> FitSoFar:
    """Fit the learning rates of the trials that there are, in any order; those of γ and of horizons are left out."""
    return FitSoFar(fit_optima(trials), fitted_rates(spec, trials))


def fitted_rates(spec: CalibrationSpec, trials: Sequence[Trial]) -> CalibrationResult | None:
    """Return the fit of the learning rates alone; None if no width has an optimum yet."""
    try:
        return fit_calibration(replace(spec, measure=(Measured.LEARNING_RATE,)), trials)
    except EstimateError:
        return None


def _width(entry: WidthOptimum, laws: Candidates | None, complete: bool) -> dict[str, Any]:
    surface, optimum = entry.surface, entry.optimum
    edge = None if optimum is None or optimum.bound is None else "final" if complete else "provisional"
    return {
        "width": entry.width,
        "optimum": entry.to_dict(),
        "edge": edge,
        "remark": _provisional(entry) if edge == "provisional" else entry.remark,
        "completed": surface.completed_count,
        "diverged": surface.diverged_count,
        "stopped": surface.stopped_count,
        "means": _means(surface),
        "parabola": None
        if optimum is None or optimum.window is None or optimum.curvature is None
        else {
            "log2_learning_rate": optimum.log2_learning_rate - optimum.skew_shift,
            "loss": optimum.loss,
            "curvature": optimum.curvature,
            "window": list(optimum.window),
        },
        "taken_as_diverged": [
            {"learning_rate": surface.learning_rates[i], "seed": surface.seeds[j]}
            for i, j in np.argwhere(np.isfinite(surface.recognised)).tolist()
        ],
        "law_learning_rate": None if laws is None else 2.0 ** laws.chosen.predict(entry.width)[0],
    }


def _provisional(entry: WidthOptimum) -> str:
    """Return the remark on an optimum at the edge of runs to which a search, or a person, may add others."""
    if entry.optimum is None or entry.optimum.bound is None:
        return entry.remark
    edge, side, more = AT_AN_EDGE[entry.optimum.kind]
    return (
        f"the best learning rate so far is the {edge} that has run, {entry.optimum.learning_rate:.3g}, so the optimum "
        f"is {side} {entry.optimum.bound:.3g}; no {more} one has run"
    )


def _means(surface: Surface) -> list[dict[str, float]]:
    """Return the mean over seeds at each learning rate where none diverged."""
    usable_L = np.isfinite(surface.losses).any(axis=1) & ~surface.diverged.any(axis=1)
    if not usable_L.any():
        return []
    means = adjusted_means(surface.losses[usable_L]).tolist()
    rates = np.array(surface.learning_rates)[usable_L].tolist()
    return [{"learning_rate": rate, "loss": loss} for rate, loss in zip(rates, means, strict=True)]


def _reached(result: CalibrationResult, farthest: int) -> list[float]:
    """Return the widths at which laws are drawn, from below the smallest to beyond the farthest prediction."""
    widths = [entry.width for entry in result.optima]
    low, high = math.log2(min(widths)) - MARGIN_OCTAVES, math.log2(max(widths) * farthest) + MARGIN_OCTAVES
    return [2.0**x for x in np.linspace(low, high, POINTS).tolist()]


def _lines(result: CalibrationResult, farthest: int) -> Iterator[dict[str, Any]]:
    """Return every candidate law as a line over width."""
    for law in () if result.candidates is None else result.candidates.all:
        points = [{"width": n, "learning_rate": 2.0 ** law.predict(n)[0]} for n in _reached(result, farthest)]
        chosen = result.candidates is not None and law is result.candidates.chosen
        yield {"law": law.name, "name": NAMES[law.name], "chosen": chosen, "points": points}


def _band(result: CalibrationResult, farthest: int) -> Iterator[dict[str, float]]:
    """Return the 95 % interval of the prediction over width, as far as there is one."""
    for width in () if result.candidates is None else _reached(result, farthest):
        span = result.predict(width).interval
        if span is not None:
            yield {"width": width, "low": 2.0 ** span[0], "high": 2.0 ** span[1]}
