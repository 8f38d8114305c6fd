"""A straight line through a few points by weighted least squares, with a normal prior around 0 on its slope."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Line(NamedTuple):
    """y = mean + slope · (h − centre); mean and slope are uncorrelated.

    Fitted with several sets of errors, every member is an array with one number for each set. Parallel lines share the
    slope; centre and mean are those of the first.
    """

    centre: Floats
    mean: Floats
    slope: Floats
    mean_variance: Floats
    slope_variance: Floats  #: of the posterior
    shrinkage: Floats  #: share of the slope that the prior removed, 0 to 1; 0 if the slope is fixed at 0
    misfit: Floats  #: χ² of the points about the line, against their errors
    log_evidence: Floats  #: log density of the points, the line integrated out with a flat prior on each level; nats

    def at(self, h: float) -> Floats:
        """Return the line's value at h."""
        return self.mean + self.slope * (h - self.centre)

    def variance(self, h: float) -> Floats:
        """Return the variance of that value."""
        return self.mean_variance + (h - self.centre) ** 2 * self.slope_variance


def fit_line(h_W: Floats, y_W: Floats, errors: Floats, prior: float, line_W: ArrayLike | None = None) -> Line:
    """Fit the points (h, y) with their standard errors, (W,), or with each of several sets of them, (G, W).

    `prior` is the slope's standard deviation around 0: a prior of 0 fixes the slope at 0, an infinite one is flat. With
    a finite `prior` one point is enough; the slope is then the prior's. `line_W` says on which of several parallel
    lines a point lies; all on one by default.

    >>> line = fit_line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 1.0]), prior=1.0)
    >>> round(float(line.slope), 3), round(float(line.shrinkage), 3)
    (0.333, 0.667)
    """
    weights = 1 / errors**2
    index_W = np.zeros(y_W.size, dtype=int) if line_W is None else np.unique(line_W, return_inverse=True)[1]
    on_WxL = np.eye(index_W.max() + 1)[index_W]
    totals = weights @ on_WxL
    centres, means = (weights * h_W) @ on_WxL / totals, (weights * y_W) @ on_WxL / totals
    level_h, level_y = h_W - centres[..., index_W], y_W - means[..., index_W]
    total, centre, mean = totals[..., 0], centres[..., 0], means[..., 0]
    square = (weights * level_y**2).sum(axis=-1)
    log_evidence = -np.log(errors).sum(axis=-1) - (square + np.log(totals).sum(axis=-1)) / 2
    if not prior:
        nothing = np.zeros_like(total)
        return Line(centre, mean, nothing, 1 / total, nothing, nothing, square, log_evidence)
    precision = (weights * level_h**2).sum(axis=-1) + prior**-2
    slope = (weights * level_h * level_y).sum(axis=-1) / precision
    # ∫ of the likelihood over the slope, against its prior: the squares fall by slope²·precision.
    log_evidence = (
        log_evidence + (slope**2 * precision - np.log(precision)) / 2 - (math.log(prior) if prior < math.inf else 0.0)
    )
    misfit = (weights * (level_y - slope[..., None] * level_h) ** 2).sum(axis=-1)
    return Line(centre, mean, slope, 1 / total, 1 / precision, prior**-2 / precision, misfit, log_evidence)
