"""The exponent of a measured size over width, from runs that share their seeds, with a realistic interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.intervals import quantile
from widthwise.vocabulary import ExponentQuantity, ExponentRole


@dataclass(frozen=True)
class Slope:
    """log size = level of the seed + value · log width, so size ∝ width^value."""

    value: float
    standard_error: float | None  #: None if nothing determines it: one seed at two widths
    interval: tuple[float, float] | None  #: 95 %; None with zero degrees of freedom
    degrees_of_freedom: int  #: 0 with two widths, which can't test a power law with any number of seeds
    widths: tuple[int, ...]

    def negated(self) -> "Slope":
        """Return the same as an exponent: size ∝ width^(−value)."""
        interval = None if self.interval is None else (-self.interval[1], -self.interval[0])
        return Slope(0.0 - self.value, self.standard_error, interval, self.degrees_of_freedom, self.widths)

    def estimate(self, quantity: ExponentQuantity, role: ExponentRole, theory: float | None) -> ExponentEstimate | None:
        """Return the exponent to store; None if its error is unknown."""
        if self.standard_error is None:
            return None
        return ExponentEstimate(
            quantity=quantity,
            role=role,
            value=self.value,
            standard_error=self.standard_error,
            interval=self.interval,
            degrees_of_freedom=self.degrees_of_freedom,
            theory=theory,
            widths=self.widths,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "value": self.value,
            "standard_error": self.standard_error,
            "interval": None if self.interval is None else list(self.interval),
            "degrees_of_freedom": self.degrees_of_freedom,
        }


def fit_slope(runs: Sequence[tuple[int, int, float]]) -> Slope | None:
    """Fit log size over log width for `runs` (width, seed, natural log of the size); None with fewer than two widths.

    A seed draws the same batches at every width, so each seed has its own level, which costs one degree of freedom: S
    seeds at W widths leave S(W − 1) − 1. All seeds share a bend of the curve, which no number of seeds averages out, so
    the variance is the larger of two: of all residuals, and of their means at each width about the line, which has
    W − 2 degrees of freedom.

    >>> slope = fit_slope([(n, 0, -0.5 * math.log(n)) for n in (32, 64, 128)])
    >>> round(slope.value, 6), slope.degrees_of_freedom
    (-0.5, 1)
    """
    width_R = np.array([width for width, _, _ in runs])
    seed_R = np.array([seed for _, seed, _ in runs])
    x_R, y_R = np.log(width_R), np.array([value for _, _, value in runs], dtype=np.float64)
    for seed in np.unique(seed_R):
        own = seed_R == seed
        x_R[own] -= x_R[own].mean()
        y_R[own] -= y_R[own].mean()
    spread = float(x_R @ x_R)
    widths = tuple(int(width) for width in np.unique(width_R))
    if len(widths) < 2 or spread == 0.0:
        return None
    slope = float(x_R @ y_R) / spread
    residual_R = y_R - slope * x_R
    left = y_R.size - np.unique(seed_R).size - 1
    variance = float(residual_R @ residual_R) / left if left > 0 else None
    if len(widths) > 2 and variance is not None:
        at_W = [residual_R[width_R == width] for width in widths]
        bend = sum(own.size * float(own.mean()) ** 2 for own in at_W) / (len(widths) - 2)
        variance = max(variance, bend)
    error = None if variance is None else math.sqrt(variance / spread)
    dof = left if len(widths) > 2 else 0
    half = None if error is None or dof < 1 else quantile(dof) * error
    return Slope(slope, error, None if half is None else (slope - half, slope + half), dof, widths)
