"""The shape of a loss curve about its optimum, for the widths of a calibration and the cells of a sweep alike.

With x = log2 of the learning rate and x* its optimum, in octaves, the loss is

    loss(x) = m + κ·φ(x − x*; s) + e,      φ(t; s) = 2·(exp(s·t) − 1 − s·t) / s²

φ is t² at s = 0; for s > 0 it is linear on the slow side and exponential towards divergence. e is noise, and misfit in
proportion to the rise κ·φ. Curves of different widths, sizes or batches have much the same s, and similar κ.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MISFIT = 0.15  # of the rise; measured on 120 dense and 70 sparse sweeps of Step Law (2503.04715), .06 on Tinker's
CURVATURE_SPREAD = 0.45  # standard deviation of log κ about its mean; measured on the same sweeps
FLAT = 1e-4  # |s| below which φ is computed as t²: the difference is of order s·t/3


def phi(t: Floats, s: float) -> Floats:
    """Return φ(t; s)."""
    return np.asarray(t**2 if abs(s) < FLAT else 2 * (np.expm1(s * t) - s * t) / s**2)


def phi_derivatives(t: Floats, s: float) -> tuple[Floats, Floats]:
    """Return the derivatives of φ(t; s) by t and by s.

    >>> by_t, by_s = phi_derivatives(np.array([3.0]), 0.0)
    >>> float(by_t[0]), float(by_s[0])
    (6.0, 9.0)
    """
    if abs(s) < FLAT:
        return 2 * t, t**3 / 3
    by_t = 2 * np.expm1(s * t) / s
    return by_t, (t * by_t - 2 * phi(t, s)) / s


@dataclass(frozen=True)
class CurveShape:
    """The parameters that the curves of all cells share."""

    noise: float  #: σ of one run's loss, nats
    misfit: float  #: τ, relative to the excess over the lowest loss
    skew: float  #: s̄, per octave
    curvature: float  #: exp(k₀): half of the second derivative at the optimum, nats per octave²
    curvature_spread: float  #: ν, of log κ over cells
    skew_spread: float  #: υ, of s over cells

    def excess(self, distance: float, variance: float = 0.0) -> float:
        """Return the expected rise of the loss in nats at N(distance, variance) octaves from the optimum.

        E[exp(s·t)] of a normal t is exp(s·mean + s²·variance/2), and E[κ] = exp(k₀ + ν²/2).
        """
        mean, s = self.curvature * math.exp(self.curvature_spread**2 / 2), self.skew
        if abs(s) < FLAT:
            return mean * (distance**2 + variance)
        return mean * 2 * (math.expm1(s * distance + s * s * variance / 2) - s * distance) / s**2
