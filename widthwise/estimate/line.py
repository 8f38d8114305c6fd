"""A straight line through a few points by weighted least squares, with a normal prior around 0 on its slope."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Line(NamedTuple):
    """y = mean + slope · (h − centre); mean and slope are uncorrelated.

    Fitted with several sets of errors, every member is an array with one number for each set.
    """

    centre: Floats
    mean: Floats
    slope: Floats
    mean_variance: Floats
    slope_variance: Floats  #: of the posterior
    shrinkage: Floats  #: share of the slope that the prior removed, 0 to 1; 0 if the slope is fixed at 0
    log_evidence: Floats  #: log density of the points, the line integrated out with a flat prior on its level; nats

    def at(self, h: float) -> Floats:
        """Return the line's value at h."""
        return self.mean + self.slope * (h - self.centre)

    def variance(self, h: float) -> Floats:
        """Return the variance of that value."""
        return self.mean_variance + (h - self.centre) ** 2 * self.slope_variance


def fit_line(h_W: Floats, y_W: Floats, errors: Floats, prior: float) -> Line:
    """Fit the points (h, y) with their standard errors, (W,), or with each of several sets of them, (G, W).

    `prior` is the slope's standard deviation around 0. A prior of 0 fixes the slope at 0. With a finite `prior` one
    point is enough; the slope is then the prior's.

    >>> line = fit_line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 1.0]), prior=1.0)
    >>> round(float(line.slope), 3), round(float(line.shrinkage), 3)
    (0.333, 0.667)
    """
    weights = 1 / errors**2
    total = weights.sum(axis=-1)
    centre, mean = weights @ h_W / total, weights @ y_W / total
    level_h, level_y = h_W - centre[..., None], y_W - mean[..., None]
    square = (weights * level_y**2).sum(axis=-1)
    log_evidence = -np.log(errors).sum(axis=-1) - (square + np.log(total)) / 2
    if not prior:
        nothing = np.zeros_like(total)
        return Line(centre, mean, nothing, 1 / total, nothing, nothing, log_evidence)
    precision = (weights * level_h**2).sum(axis=-1) + prior**-2
    slope = (weights * level_h * level_y).sum(axis=-1) / precision
    # ∫ of the likelihood over the slope, against its prior: the squares fall by slope²·precision.
    log_evidence = log_evidence + (slope**2 * precision - np.log(precision)) / 2 - np.log(prior)
    return Line(centre, mean, slope, 1 / total, 1 / precision, prior**-2 / precision, log_evidence)
