"""Three candidate laws of the optimum over width, and the choice between them by leaving out widths.

With x = log2 of the best base learning rate, b the base width, and d₀ the drift that theory expects (0 if every tensor
has its own learning rate):

    none    x(n) = x_b − d₀·log2(n/b)
    shift   x(n) = x∞ − k/n − d₀·log2(n/b)      a finite width shifts the optimum (Essential AI, 2505.02222)
    power   x(n) = x_b − d·log2(n/b)            the optimum drifts as n^(−d): theory's exponents are wrong by d − d₀

Over a few narrow widths the last two look alike, but sixteen times further out they are octaves apart. So each is

* **fitted** by weighted least squares, with a normal prior around 0 on the deviation from theory (d − d₀, or κ = k/b).
  The more the widths determine it, the weaker the prior's pull; `shrinkage` is the share of the estimate it removed;
* **judged** by leaving out each width in turn and predicting it from the others: `out_of_sample_error` is the root mean
  square of the errors, weighted like the fit; the largest width counts twice, since predictions are extrapolations;
* **chosen**: theory (`none`), unless the mean square error of another candidate is smaller by more than the variance
  of an optimum; then the one with the smallest error.

The interval of a prediction comes from a mixture of Student distributions, one for each candidate that could be true,
so it includes the uncertainty of the choice. A weight is a root of the candidate's predictive density at the widths
left
out: the density itself is overconfident (Yao et al. 2018, 1704.02030), because with three to five widths it is noisy.
`none` is a special case of both others; its weight goes to the power law, whose interval shows the possible drift.

A prediction is of the optimum of one model, which scatters about the law by ω besides (`scatter`); the interval of the
law alone is given apart.

The interval of the drift comes from the same mixture, without that scatter. Under `shift` the drift is exactly
theory's, so the interval excludes theory's value only if the data exclude `shift`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.intervals import STATED_DEGREES_OF_FREEDOM, mixture_interval, pooled_scale, quantile
from widthwise.estimate.line import Floats, fit_line
from widthwise.estimate.scaling import checked_points
from widthwise.estimate.scatter import scatter_about

Name = Literal["none", "shift", "power"]

#: Standard deviation of the prior on d − d₀. Full and no alignment differ by ½ in c (Everett et al. 2024, Table 1), and
#: theory is off by that much if the choice is wrong.
DRIFT_PRIOR = 0.5
#: Standard deviation, in octaves, of the prior on κ = k/b, the shift between the base width and an infinite one.
#: Chosen: the first doubling moves the optimum by κ/2, which is half of what the prior on the drift allows.
SHIFT_PRIOR = 0.5
WEIGHT_POWER = 1 / 3  # of the density; chosen so that benchmarks.known_truth has even coverage over drifts and shifts
LARGEST_COUNTS = 2.0  # chosen: leaving out the largest width is the only test of upward extrapolation
PRIOR_SCALES: dict[Name, float] = {"none": 0.0, "shift": SHIFT_PRIOR, "power": DRIFT_PRIOR}


class Prediction(NamedTuple):
    """The log2 of the best base learning rate at a width."""

    log2_learning_rate: float  #: of the chosen candidate
    standard_error: float  #: root mean square about it, over the candidates
    interval: tuple[float, float] | None  #: 95 %, in log2, of one model's optimum; None if nothing tests the candidates
    ceiling: float | None = None  #: log2 learning rate that a divergence holds the prediction to; None if it does not
    law_interval: tuple[float, float] | None = None  #: 95 % of the law alone, without the scatter of optima about it


@dataclass(frozen=True)
class Candidate:
    """One law: x(n) = level + slope · h(n) − d₀·log2(n/b), with h = 0 (none), 1 − b/n (shift), log2(n/b) (power)."""

    name: Name
    base_width: float
    theory_drift: float  #: d₀
    level: float  #: x at the base width
    slope: float  #: κ = k/b of `shift`, d₀ − d of `power`, 0 of `none`
    slope_error: float
    centre: float  #: h at which level and slope are uncorrelated
    centre_error: float
    scatter: float  #: χ² of the optima about the law, against their stated errors
    degrees_of_freedom: int  #: widths − parameters
    shrinkage: float  #: share of the slope that the prior removed, 0 to 1
    out_of_sample_error: float | None  #: octaves; None with fewer than three widths
    log_density: float  #: of the widths left out, in nats; only differences are meaningful
    cell_scatter: float  #: ω, octaves: how far the optimum of one model lies from the law, besides its own error
    cell_error: float  #: of the level at `cell_centre`, if optima scatter so far
    cell_slope_error: float  #: of the slope, likewise
    cell_centre: float  #: h at which these are uncorrelated

    @property
    def student_degrees_of_freedom(self) -> int:
        """Degrees of freedom of every interval: those of the stated errors plus those of the scatter."""
        return STATED_DEGREES_OF_FREEDOM + self.degrees_of_freedom

    @property
    def lack_of_fit(self) -> float | None:
        """χ²/dof against the stated errors; None at zero degrees of freedom."""
        return self.scatter / self.degrees_of_freedom if self.degrees_of_freedom else None

    @property
    def drift(self) -> float:
        """d: the optimum goes as n^(−d) at large widths."""
        return self.theory_drift - self.slope if self.name == "power" else self.theory_drift

    @property
    def shift(self) -> float:
        """k, octaves × width: the optimum at width n lies k/n octaves below its limit."""
        return self.slope * self.base_width if self.name == "shift" else 0.0

    def predict(self, width: float) -> tuple[float, float]:
        """Return the log2 optimum at a width and its standard error, if this candidate is true."""
        h = float(_regressor(self.name, width / self.base_width))
        value = self.level + self.slope * h - self.theory_drift * math.log2(width / self.base_width)
        return value, math.hypot(self.centre_error, (h - self.centre) * self.slope_error)

    def predict_cell(self, width: float) -> tuple[float, float]:
        """Return the same for the optimum of one model, which scatters about the law as the measured ones do."""
        h = float(_regressor(self.name, width / self.base_width))
        value, error = self.predict(width)
        scattered = math.hypot(self.cell_error, (h - self.cell_centre) * self.cell_slope_error)
        return value, math.hypot(max(error, scattered), self.cell_scatter)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters in their own units, their errors, and how well the law predicts widths left out."""
        parameters = {"log2_optimum_at_base": self.predict(self.base_width)}
        if self.name == "shift":
            parameters["shift"] = self.shift, self.slope_error * self.base_width
        elif self.name == "power":
            parameters["drift"] = self.drift, self.slope_error
        half = quantile(self.student_degrees_of_freedom)
        return {
            "name": self.name,
            "parameters": {name: value for name, (value, _) in parameters.items()},
            "standard_errors": {name: error for name, (_, error) in parameters.items()},
            "intervals": {
                name: [value - half * error, value + half * error] if self.degrees_of_freedom else None
                for name, (value, error) in parameters.items()
            },
            "out_of_sample_error": self.out_of_sample_error,
            "degrees_of_freedom": self.degrees_of_freedom,
            "lack_of_fit": self.lack_of_fit,
            "prior_scale": {"none": None, "shift": SHIFT_PRIOR * self.base_width, "power": DRIFT_PRIOR}[self.name],
            "shrinkage": self.shrinkage,
            "cell_scatter": self.cell_scatter,
        }


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
        spread = [candidate.predict(width) for candidate in self.all]
        cells = [candidate.predict_cell(width) for candidate in self.all]
        return self._mixed(min(value, most), cells)._replace(
            ceiling=most if value > most else None, law_interval=self._mixed(min(value, most), spread).interval
        )

    @cached_property
    def drift(self) -> Prediction:
        """Return the same for the drift d instead of a log2 optimum: value, standard error, interval."""
        spread = [(one.drift, one.slope_error if one.name == "power" else 0.0) for one in self.all]
        return self._mixed(self.chosen.drift, spread)

    def to_list(self) -> list[dict[str, Any]]:
        """Return every candidate as JSON-ready values."""
        return [
            {**candidate.to_dict(), "weight": weight, "chosen": candidate is self.chosen}
            for candidate, weight in zip(self.all, self.weights, strict=True)
        ]

    def _mixed(self, value: float, spread: Sequence[tuple[float, float]]) -> Prediction:
        """Return a value with its root mean square error and interval over the candidates' values and errors."""
        variance = sum(
            weight * ((centre - value) ** 2 + error**2)
            for weight, (centre, error) in zip(self.weights, spread, strict=True)
        )
        if self.widths < 3:
            return Prediction(value, math.sqrt(variance), None)
        low, high = mixture_interval(
            [centre for centre, _ in spread],
            [error for _, error in spread],
            [candidate.student_degrees_of_freedom for candidate in self.all],
            self.weights,
        )
        interval = min(low, value), max(high, value)
        return Prediction(value, math.sqrt(variance), interval, law_interval=interval)


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
    fitted = tuple(
        _candidate(name, ratio_W, y_W, error_W, base_width=base, theory_drift=theory_drift, shared_error=shared_error)
        for name in names
    )
    return Candidates(fitted, _weights(fitted), _chosen(fitted, y_W, error_W), width_W.size)


def _regressor(name: Name, ratio: ArrayLike) -> Floats:
    """Return h over n/b, which is 0 at the base width for every candidate."""
    ratio_W = np.asarray(ratio, dtype=np.float64)
    if name == "none":
        return np.zeros_like(ratio_W)
    return np.asarray(1 - 1 / ratio_W if name == "shift" else np.log2(ratio_W))


def _candidate(
    name: Name,
    ratio_W: Floats,
    y_W: Floats,
    error_W: Floats,
    *,
    base_width: float,
    theory_drift: float,
    shared_error: float,
) -> Candidate:
    """Fit one candidate, and compute its error at each width left out."""
    h_W, prior = _regressor(name, ratio_W), PRIOR_SCALES[name]
    dof = y_W.size - (1 if name == "none" else 2)
    plain = fit_line(h_W, y_W, error_W, prior)
    scatter = sum(((y - plain.at(h)) / error) ** 2 for h, y, error in zip(h_W, y_W, error_W, strict=True))
    line = fit_line(h_W, y_W, error_W * pooled_scale(scatter, dof)[0], prior)
    omega = scatter_about(h_W, y_W, error_W, prior)
    cells = fit_line(h_W, y_W, np.hypot(error_W, omega), prior)
    missed, log_density = _left_out(h_W, y_W, error_W, prior) if y_W.size > 2 else (None, 0.0)
    return Candidate(
        name=name,
        base_width=base_width,
        theory_drift=theory_drift,
        level=line.at(0.0),
        slope=line.slope,
        slope_error=math.sqrt(line.slope_variance),
        centre=line.centre,
        centre_error=math.hypot(math.sqrt(line.mean_variance), shared_error),
        scatter=scatter,
        degrees_of_freedom=dof,
        shrinkage=line.shrinkage,
        out_of_sample_error=missed,
        log_density=log_density,
        cell_scatter=omega,
        cell_error=math.hypot(math.sqrt(cells.mean_variance), shared_error),
        cell_slope_error=math.sqrt(cells.slope_variance),
        cell_centre=cells.centre,
    )


def _left_out(h_W: Floats, y_W: Floats, error_W: Floats, prior: float) -> tuple[float, float]:
    """Return the root mean square error (octaves) and log density (nats) of each width under the fit of the others."""
    count_W = np.ones(y_W.size)
    count_W[-1] = LARGEST_COUNTS  # widths ascend
    count_W *= y_W.size / count_W.sum()
    weight_W = count_W / error_W**2
    squares = log_density = 0.0
    for left in range(y_W.size):
        others = np.arange(y_W.size) != left
        line = fit_line(h_W[others], y_W[others], error_W[others], prior)
        missed = float(y_W[left] - line.at(h_W[left]))
        variance = line.variance(float(h_W[left])) + float(error_W[left]) ** 2
        squares += float(weight_W[left]) * missed**2
        log_density -= float(count_W[left]) * (math.log(variance) + missed**2 / variance) / 2
    return math.sqrt(squares / float(weight_W.sum())), log_density


def _chosen(fitted: Sequence[Candidate], y_W: Floats, error_W: Floats) -> Candidate:
    """Choose theory, unless another candidate's error is smaller by more than noise."""
    none, *others = fitted
    if y_W.size == 2:
        certain = abs(float(y_W[1] - y_W[0])) > 2 * math.hypot(float(error_W[0]), float(error_W[1]))
        return others[-1] if certain else none
    if none.out_of_sample_error is None or not others:
        return none
    best = min(
        others, key=lambda candidate: candidate.out_of_sample_error or 0.0
    )  # on a tie `shift`, with theory's drift
    noise = 1 / float(np.mean(error_W**-2))
    gain = none.out_of_sample_error**2 - (best.out_of_sample_error or 0.0) ** 2
    return best if gain > noise else none


def _weights(fitted: Sequence[Candidate]) -> tuple[float, ...]:
    """Return the weights in the mixture: a root of each density, with `none` counted for the power law."""
    if len(fitted) == 1:
        return (1.0,)
    highest = max(candidate.log_density for candidate in fitted)
    none, shift, power = (math.exp((candidate.log_density - highest) * WEIGHT_POWER) for candidate in fitted)
    total = none + shift + power
    return 0.0, shift / total, (none + power) / total
