"""A straight line through a few points by weighted least squares, with a normal prior around 0 on its slope."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Line(NamedTuple):
    """y = mean + slope · (h − centre); mean and slope are uncorrelated."""

    centre: float
    mean: float
    slope: float
    mean_variance: float
    slope_variance: float  #: of the posterior
    shrinkage: float  #: share of the slope that the prior removed, 0 to 1; 0 if the slope is fixed at 0

    def at(self, h: float) -> float:
        """Return the line's value at h."""
        return self.mean + self.slope * (h - self.centre)

    def variance(self, h: float) -> float:
        """Return the standard error of that value."""
        return self.mean_variance + (h - self.centre) ** 2 * self.slope_variance


def fit_line(h_W: Floats, y_W: Floats, error_W: Floats, prior: float) -> Line:
    """Fit the points (h, y) with their standard errors; `prior` is the slope's standard deviation around 0.

    A prior of 0 fixes the slope at 0. With a finite `prior` one point is enough; the slope is then the prior's.

    >>> line = fit_line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 1.0]), prior=1.0)
    >>> round(line.slope, 3), round(line.shrinkage, 3)
    (0.333, 0.667)
    """
    weight_W = 1 / error_W**2
    total = float(weight_W.sum())
    centre, mean = float(weight_W @ h_W) / total, float(weight_W @ y_W) / total
    if not prior:
        return Line(centre, mean, 0.0, 1 / total, 0.0, 0.0)
    spread = float(weight_W @ (h_W - centre) ** 2)
    precision = spread + prior**-2
    slope = float(weight_W @ ((h_W - centre) * (y_W - mean))) / precision
    return Line(centre, mean, slope, 1 / total, 1 / precision, prior**-2 / precision)
