"""One law of the optimum over width, fitted: theory alone, a finite-width shift, or a power of the width.

With x = log2 of the best base learning rate, b the base width, and d₀ the drift that theory expects (0 if every tensor
has its own learning rate):

    none    x(n) = x_b − d₀·log2(n/b)
    shift   x(n) = x∞ − k/n − d₀·log2(n/b)      a finite width shifts the optimum (Essential AI, 2505.02222)
    power   x(n) = x_b − d·log2(n/b)            the optimum drifts as n^(−d): theory's exponents are wrong by d − d₀

This is the law of a sweep (`widthwise.sweeps.law`) over one axis. The deviation from theory (d − d₀, or κ = k/b) has a
normal prior around 0, the level a flat one, and the scatter ω of single optima about the law is integrated out
(`scatter`), so that everything known of a law is a mixture over ω.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from widthwise.estimate.line import Floats, fit_line
from widthwise.estimate.mixture import Mixture, mixture
from widthwise.estimate.scatter import ScatteredLine, fit_scattered

Name = Literal["none", "shift", "power"]

#: Standard deviation of the prior on d − d₀. Full and no alignment differ by ½ in c (Everett et al. 2024, Table 1), and
#: theory is off by that much if the choice is wrong.
DRIFT_PRIOR = 0.5
#: Standard deviation, in octaves, of the prior on κ = k/b, the shift between the base width and an infinite one.
#: Chosen: the first doubling moves the optimum by κ/2, which is half of what the prior on the drift allows.
SHIFT_PRIOR = 0.5
PRIOR_SCALES: dict[Name, float] = {"none": 0.0, "shift": SHIFT_PRIOR, "power": DRIFT_PRIOR}


@dataclass(frozen=True)
class Candidate:
    """One law: x(n) = level + slope · h(n) − d₀·log2(n/b), with h = 0 (none), 1 − b/n (shift), log2(n/b) (power)."""

    name: Name
    base_width: float
    theory_drift: float  #: d₀
    fit: ScatteredLine  #: x + d₀·log2(n/b) over h
    shared_error: float  #: standard error of the level, octaves, that all optima have in common
    misfit: float  #: χ² of the optima about the law without scatter, against their stated errors
    degrees_of_freedom: int  #: widths − parameters
    out_of_sample_error: float | None  #: octaves; None with fewer than three widths

    @property
    def lack_of_fit(self) -> float | None:
        """χ²/dof against the stated errors; None at zero degrees of freedom."""
        return self.misfit / self.degrees_of_freedom if self.degrees_of_freedom else None

    @property
    def slope(self) -> float:
        """κ = k/b of `shift`, d₀ − d of `power`, 0 of `none`."""
        return self.fit.slope.mean

    @property
    def slope_error(self) -> float:
        """The standard error of `slope`."""
        return math.sqrt(self.fit.slope.variance)

    @property
    def shrinkage(self) -> float:
        """Share of the slope that the prior removed, 0 to 1."""
        return self.fit.shrinkage

    @property
    def drift(self) -> float:
        """d: the optimum goes as n^(−d) at large widths."""
        return self.drift_mixture.mean

    @property
    def drift_mixture(self) -> Mixture:
        """Return d; `none` and `shift` know it exactly, since it is theory's."""
        if self.name != "power":
            return mixture([1.0], [self.theory_drift], [0.0])
        slope = self.fit.slope
        return Mixture(slope.weights, self.theory_drift - slope.centres, slope.variances)

    @property
    def shift_mixture(self) -> Mixture:
        """Return k, octaves × width: the optimum at width n lies k/n octaves below its limit."""
        if self.name != "shift":
            return mixture([1.0], [0.0], [0.0])
        slope = self.fit.slope
        return Mixture(slope.weights, slope.centres * self.base_width, slope.variances * self.base_width**2)

    @property
    def shift(self) -> float:
        """k, octaves × width, the mean."""
        return self.shift_mixture.mean

    def law_at(self, width: float) -> Mixture:
        """Return the log2 optimum at a width by the law, if this candidate is true."""
        return self._with_theory(self.fit.at(self._h(width), self.shared_error), width)

    def cell_at(self, width: float) -> Mixture:
        """Return the same for the optimum of one model, which scatters about the law as the measured ones do."""
        return self._with_theory(self.fit.point_at(self._h(width), self.shared_error), width)

    def predict(self, width: float) -> tuple[float, float]:
        """Return the log2 optimum at a width by the law and its standard error, if this candidate is true."""
        law = self.law_at(width)
        return law.mean, math.sqrt(law.variance)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters in their own units, their errors, and how well the law predicts widths left out."""
        parameters = {"log2_optimum_at_base": self.law_at(self.base_width)}
        if self.name == "shift":
            parameters["shift"] = self.shift_mixture
        elif self.name == "power":
            parameters["drift"] = self.drift_mixture
        return {
            "name": self.name,
            "parameters": {name: found.mean for name, found in parameters.items()},
            "standard_errors": {name: math.sqrt(found.variance) for name, found in parameters.items()},
            "intervals": {
                name: list(found.interval) if self.degrees_of_freedom else None for name, found in parameters.items()
            },
            "out_of_sample_error": self.out_of_sample_error,
            "degrees_of_freedom": self.degrees_of_freedom,
            "lack_of_fit": self.lack_of_fit,
            "prior_scale": {"none": None, "shift": SHIFT_PRIOR * self.base_width, "power": DRIFT_PRIOR}[self.name],
            "shrinkage": self.shrinkage,
            "cell_scatter": self.fit.scatter,
        }

    def _h(self, width: float) -> float:
        return float(regressor(self.name, width / self.base_width))

    def _with_theory(self, found: Mixture, width: float) -> Mixture:
        fall = self.theory_drift * math.log2(width / self.base_width)
        return Mixture(found.weights, found.centres - fall, found.variances)


def fit_candidate(
    name: Name, ratio_W: Floats, y_W: Floats, error_W: Floats, *, base_width: float, theory_drift: float, shared: float
) -> Candidate:
    """Fit one candidate to the optima y at n/b = `ratio_W`, from which theory's drift is already removed, (W,).

    shared: the standard error that all optima have in common. How well the law predicts a width from the others
    (`out_of_sample_error`) depends on the scatter under all candidates, so `candidates` adds it.
    """
    h_W, prior = regressor(name, ratio_W), PRIOR_SCALES[name]
    return Candidate(
        name=name,
        base_width=base_width,
        theory_drift=theory_drift,
        fit=fit_scattered(h_W, y_W, error_W, prior),
        shared_error=shared,
        misfit=float(fit_line(h_W, y_W, error_W, prior).misfit),
        degrees_of_freedom=y_W.size - (1 if name == "none" else 2),
        out_of_sample_error=None,
    )


def regressor(name: Name, ratio: ArrayLike) -> Floats:
    """Return h over n/b, which is 0 at the base width for every candidate."""
    ratio_W = np.asarray(ratio, dtype=np.float64)
    if name == "none":
        return np.zeros_like(ratio_W)
    return np.asarray(1 - 1 / ratio_W if name == "shift" else np.log2(ratio_W))
