"""How far the optima of single models scatter about any law over widths, beyond their own errors.

A law predicts where optima lie on average; the optimum of one model misses it by u ~ N(0, ω²) besides. A few widths
hardly determine ω, so every line through them is fitted for each of several ω, and ω has a prior: half of it says that
there is no scatter, since widths of one proxy can lie on a law exactly, and half that there is as much as on public
sweeps over size, tokens and batch, .1 to .2 octave.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from widthwise.estimate.line import Floats, Line, fit_line
from widthwise.estimate.mixture import Mixture

NO_SCATTER = 0.5  # prior probability of ω = 0; chosen so that benchmarks.known_truth covers evenly with and without
TYPICAL, SPREAD = 0.15, 0.5  # octaves, the median of ω otherwise, and the standard deviation of its log; measured there
NODES = 11  # of the integral over log ω, by Gauss–Hermite quadrature (chosen): more move no interval by a percent


@dataclass(frozen=True)
class ScatteredLine:
    """A line about which points scatter, for every ω: all that is known of it is a mixture over ω."""

    lines: Line  #: members (G,), one line for each ω
    probabilities: Floats  #: of each ω; they sum to 1
    log_evidence: float  #: of the points, line and ω integrated out, nats; only differences are meaningful

    @property
    def scatter(self) -> float:
        """ω in octaves, the mean of its posterior."""
        return float(self.probabilities @ OMEGA_G)

    @property
    def slope(self) -> Mixture:
        """The slope."""
        return Mixture(self.probabilities, self.lines.slope, self.lines.slope_variance)

    @property
    def shrinkage(self) -> float:
        """Share of the slope that its prior removed, 0 to 1."""
        return float(self.probabilities @ self.lines.shrinkage)

    def at(self, h: float, shared_error: float = 0.0) -> Mixture:
        """Return the line at h; `shared_error` is a standard error that all points have in common."""
        return Mixture(self.probabilities, self.lines.at(h), self.lines.variance(h) + shared_error**2)

    def point_at(self, h: float, shared_error: float = 0.0) -> Mixture:
        """Return a new point at h, which scatters about the line."""
        line = self.at(h, shared_error)
        return Mixture(line.weights, line.centres, line.variances + OMEGA_G**2)


def _prior() -> tuple[Floats, Floats]:
    """Return the ω considered and their prior probabilities, both (G,)."""
    node_K, weight_K = np.polynomial.hermite_e.hermegauss(NODES)
    omega_G = np.append(0.0, TYPICAL * np.exp(SPREAD * node_K))
    return omega_G, np.append(NO_SCATTER, (1 - NO_SCATTER) * weight_K / weight_K.sum())


OMEGA_G, PRIOR_G = _prior()


def fit_scattered(
    h_W: Floats, y_W: Floats, error_W: Floats, prior: float, line_W: ArrayLike | None = None
) -> ScatteredLine:
    """Fit the points (h, y) with their standard errors and the scatter; `prior` and `line_W` are those of `fit_line`.

    >>> h = np.arange(6.0)
    >>> quiet, loud = (fit_scattered(h, size * (-1.0) ** h, np.full(6, 0.01), 0.5).scatter for size in (0.0, 0.3))
    >>> quiet < 0.02, 0.25 < loud < 0.45
    (True, True)
    """
    lines = fit_line(h_W, y_W, np.hypot(error_W, OMEGA_G[:, None]), prior, line_W)
    log_G = lines.log_evidence + np.log(PRIOR_G)
    density_G = np.exp(log_G - log_G.max())
    return ScatteredLine(lines, density_G / density_G.sum(), float(log_G.max() + np.log(density_G.sum())))
