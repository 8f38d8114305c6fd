"""Three candidate laws of the optimum over width, what they say together, and the choice between them.

Over a few narrow widths a drift and a finite-width shift look alike, but sixteen times further out they are octaves
apart. So each candidate (`candidate`) is

* **weighed** by its evidence, the probability of the optima if it is true, as the components of a sweep's posterior
  are. `none` is a special case of both others; its weight goes to the power law, whose interval shows the possible
  drift;
* **judged** by leaving out each width in turn and predicting it from the others: `out_of_sample_error` is the root mean
  square of the errors, weighted by the optima's errors and scatter; the largest width counts twice, since predictions
  are extrapolations;
* **chosen**: theory (`none`), unless the mean square error of another candidate is smaller by more than the variance
  of an optimum; then the one with the smallest error.

Every interval is that of the mixture of all candidates and all scatters ω, by their weights, so it includes the
uncertainty of the choice. A prediction is of the optimum of one model, which scatters about the law by ω besides; the
interval of the law alone is given apart. Under `shift` the drift is exactly theory's, so the interval of the drift
excludes theory's value only if the data exclude `shift`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.candidate import PRIOR_SCALES, Candidate, Name, fit_candidate, regressor
from widthwise.estimate.line import Floats, fit_line
from widthwise.estimate.mixture import Mixture, joined
from widthwise.estimate.scaling import checked_points

LARGEST_COUNTS = 2.0  # chosen: leaving out the largest width is the only test of upward extrapolation


class Prediction(NamedTuple):
    """The log2 of the best base learning rate at a width."""

    log2_learning_rate: float  #: of the chosen candidate
    standard_error: float  #: root mean square about it, over the candidates
    interval: tuple[float, float] | None  #: 95 %, in log2, of one model's optimum; None if nothing tests the candidates
    ceiling: float | None = None  #: log2 learning rate that a divergence holds the prediction to; None if it does not
    law_interval: tuple[float, float] | None = None  #: 95 % of the law alone, without the scatter of optima about it


@dataclass(frozen=True)
class Candidates:
    """The candidates with their weights, and the one chosen."""

    all: tuple[Candidate, ...]  #: none, shift, power; only `none` if just one width has an optimum
    weights: tuple[float, ...]  #: weights in the mixture, in the same order; they sum to 1
    chosen: Candidate
    widths: int  #: number of widths with an optimum

    def predict(self, width: float, most: float = math.inf) -> Prediction:
        """Return the log2 optimum at a width by the chosen candidate; the interval includes the choice's uncertainty.

        A prediction above `most` is held to it; the standard error is then about `most`.

        Raises `InvalidInputError` for a width that is not positive and finite.
        """
        if not (math.isfinite(width) and width > 0):
            raise InvalidInputError(f"width is {width}; give a positive finite number", field="width")
        value = self.chosen.predict(width)[0]
        held = min(value, most)
        law = self._about(held, [candidate.law_at(width) for candidate in self.all])
        cell = self._about(held, [candidate.cell_at(width) for candidate in self.all])
        interval = None
        if cell.interval is not None and law.interval is not None:  # no model is surer than its law
            interval = min(cell.interval[0], law.interval[0]), max(cell.interval[1], law.interval[1])
        return Prediction(held, cell.standard_error, interval, most if value > most else None, law.interval)

    @cached_property
    def drift(self) -> Prediction:
        """Return the same for the drift d instead of a log2 optimum: value, standard error, interval."""
        found = self._about(self.chosen.drift, [candidate.drift_mixture for candidate in self.all])
        return found._replace(law_interval=found.interval)

    def to_list(self) -> list[dict[str, Any]]:
        """Return every candidate as JSON-ready values."""
        return [
            {**candidate.to_dict(), "weight": weight, "chosen": candidate is self.chosen}
            for candidate, weight in zip(self.all, self.weights, strict=True)
        ]

    def _about(self, value: float, parts: Sequence[Mixture]) -> Prediction:
        """Return a value with its root mean square error and interval over the candidates."""
        found = joined(self.weights, parts)
        error = math.sqrt(found.variance + (found.mean - value) ** 2)
        if self.widths < 3:
            return Prediction(value, error, None)
        low, high = found.interval
        return Prediction(value, error, (min(low, value), max(high, value)))


def fit_candidates(
    widths: ArrayLike,
    log_optima: ArrayLike,
    standard_errors: ArrayLike,
    *,
    base_width: float | None = None,
    theory_drift: float = 0.0,
    shared_error: float = 0.0,
) -> Candidates:
    """Fit every candidate to the optima of several widths and choose one.

    Parameters
    ----------
    widths: (W,), positive and distinct.
    log_optima: (W,), log2 of the optimum at each width; only interior optima, since a bound is not an observation.
    standard_errors: (W,), of log_optima, positive.
    base_width: where every multiplier is 1; the smallest width by default.
    theory_drift: d₀ in theory's LR*(n) ∝ n^(−d₀).
    shared_error: standard error, in octaves, that all optima share: it affects predictions, but not the drift.

    With two widths none can be left out, and a power law and a shift fit equally well. Theory is chosen unless the two
    optima differ by more than twice the standard error of their difference; then the power law. There is no interval.
    With one width there is only theory.

    Raises `InvalidInputError` for shapes that differ, widths that repeat, or values that are not finite;
    `EstimateError` without any width.

    >>> found = fit_candidates([64, 128, 256, 512], [-8.0, -9.0, -10.0, -11.0], [0.05] * 4)
    >>> found.chosen.name, round(found.chosen.drift, 2)
    ('power', 1.0)
    """
    width_W, x_W, error_W = checked_points(widths, log_optima, standard_errors)
    if not width_W.size:
        raise EstimateError("no width has an optimum inside its grid; widen the grids of learning rates")
    base = float(width_W.min()) if base_width is None else base_width
    order = np.argsort(width_W)
    ratio_W, error_W = width_W[order] / base, error_W[order]
    y_W = x_W[order] + theory_drift * np.log2(ratio_W)
    names: tuple[Name, ...] = ("none", "shift", "power") if width_W.size > 1 else ("none",)
    fitted = [
        fit_candidate(name, ratio_W, y_W, error_W, base_width=base, theory_drift=theory_drift, shared=shared_error)
        for name in names
    ]
    probability_K = _probabilities(fitted)
    scatter = sum(p * one.fit.scatter for p, one in zip(probability_K, fitted, strict=True))
    scattered_W = np.hypot(error_W, scatter)
    judged = tuple(_judged(one, ratio_W, y_W, scattered_W) for one in fitted)
    chosen = _chosen(judged, scattered_W) if width_W.size > 2 else _chosen_of_few(judged, y_W, error_W)
    return Candidates(judged, _weights(probability_K), chosen, width_W.size)


def _probabilities(fitted: Sequence[Candidate]) -> Floats:
    """Return the probability of each candidate, (K,), all equally probable before."""
    evidence_K = np.array([one.fit.log_evidence for one in fitted])
    density_K = np.exp(evidence_K - evidence_K.max())
    return np.asarray(density_K / density_K.sum())


def _weights(probability_K: Floats) -> tuple[float, ...]:
    """Return the weights in the mixture: the probabilities, with `none` counted for the power law."""
    if probability_K.size == 1:
        return (1.0,)
    none, shift, power = (float(probability) for probability in probability_K)
    return 0.0, shift, none + power


def _judged(one: Candidate, ratio_W: Floats, y_W: Floats, error_W: Floats) -> Candidate:
    """Return a candidate with the root mean square error, in octaves, of each width under the fit of the others."""
    if y_W.size < 3:
        return one
    h_W, prior = regressor(one.name, ratio_W), PRIOR_SCALES[one.name]
    weight_W = error_W**-2
    weight_W[-1] *= LARGEST_COUNTS  # widths ascend
    missed_W = np.empty(y_W.size)
    for left in range(y_W.size):
        others = np.arange(y_W.size) != left
        missed_W[left] = y_W[left] - fit_line(h_W[others], y_W[others], error_W[others], prior).at(h_W[left])
    return replace(one, out_of_sample_error=math.sqrt(float(weight_W @ missed_W**2 / weight_W.sum())))


def _chosen(judged: Sequence[Candidate], error_W: Floats) -> Candidate:
    """Choose theory, unless another candidate's error is smaller by more than noise."""
    none_square, *squares = [(one.out_of_sample_error or 0.0) ** 2 for one in judged]
    best = int(np.argmin(squares))  # on a tie `shift`, with theory's drift
    noise = 1 / float(np.mean(error_W**-2))
    return judged[1 + best] if none_square - squares[best] > noise else judged[0]


def _chosen_of_few(judged: Sequence[Candidate], y_W: Floats, error_W: Floats) -> Candidate:
    """Choose theory, unless two optima differ by more than twice the error of their difference."""
    if y_W.size == 2 and abs(float(y_W[1] - y_W[0])) > 2 * math.hypot(float(error_W[0]), float(error_W[1])):
        return judged[-1]
    return judged[0]
