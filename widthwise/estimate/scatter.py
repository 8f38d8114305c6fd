"""How far the optima of single models scatter about any law over widths, beyond their own errors.

A law predicts where optima lie on average; the optimum of one model misses it by ω besides. On public sweeps over size,
tokens and batch ω is .1 to .2 octave. The residuals of a few widths hardly determine ω, so it has a prior: half-normal,
as wide as what was measured. Of 56 series of Step Law (2503.04715), the law's own intervals held the largest one's
optimum in 45 %, intervals with the scatter in 93 %, at a median width of an octave.
"""

import math

import numpy as np

from widthwise.estimate.line import Floats, fit_line

SCATTER_PRIOR = 0.15  # octaves; measured, see the module's docstring
LARGEST = 4.0  # times the prior (chosen): how far its tail is integrated
STEPS = 80  # of the integral over ω (chosen): a step is less than a hundredth of an octave


def scatter_about(h_W: Floats, y_W: Floats, error_W: Floats, prior: float) -> float:
    """Return ω in octaves, the root mean square of its posterior, for the points (h, y) about a line.

    The line is integrated out: a flat prior on its level, `prior` on its slope (`line`).

    >>> h = np.arange(6.0)
    >>> quiet, loud = (scatter_about(h, size * (-1.0) ** h, np.full(6, 0.01), 0.5) for size in (0.0, 0.3))
    >>> quiet < 0.02, 0.25 < loud < 0.45
    (True, True)
    """
    omega_G = (np.arange(STEPS) + 0.5) * (LARGEST * SCATTER_PRIOR / STEPS)
    log_G = np.array([_log_density(h_W, y_W, np.hypot(error_W, omega), prior) for omega in omega_G])
    log_G -= (omega_G / SCATTER_PRIOR) ** 2 / 2
    weight_G = np.exp(log_G - log_G.max())
    return math.sqrt(float(weight_G @ omega_G**2) / float(weight_G.sum()))


def _log_density(h_W: Floats, y_W: Floats, error_W: Floats, prior: float) -> float:
    """Return the log density of the points with these errors, the line integrated out, up to a constant."""
    line = fit_line(h_W, y_W, error_W, prior)
    residual_W = y_W - (line.mean + line.slope * (h_W - line.centre))
    density = -float(np.sum(np.log(error_W) + (residual_W / error_W) ** 2 / 2)) + math.log(line.mean_variance) / 2
    if prior:
        density += math.log(line.slope_variance) / 2 - (line.slope / prior) ** 2 / 2
    return density
