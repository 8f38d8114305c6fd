"""A value that several models know, each with its own mean and variance: its mean and its interval over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from widthwise.estimate.intervals import mixture_interval

Floats = NDArray[np.float64]

NEGLIGIBLE = 1e-5  # weight below which a component is left out of a mixture of mixtures: it moves no quantile
STUDENT = 12  # degrees of freedom of every component (chosen): tails for what a normal approximation leaves out


@dataclass(frozen=True)
class Mixture:
    """Student distributions with their weights."""

    weights: Floats  #: (M,), sum to 1
    centres: Floats  #: (M,)
    variances: Floats  #: (M,)

    @property
    def mean(self) -> float:
        """The mean."""
        return float(self.weights @ self.centres)

    @property
    def variance(self) -> float:
        """The variance: of the components and between them."""
        return float(self.weights @ (self.variances + (self.centres - self.mean) ** 2))

    @property
    def interval(self) -> tuple[float, float]:
        """The central 95 % interval."""
        return mixture_interval(
            self.centres, np.sqrt(self.variances), np.full(self.weights.size, STUDENT), self.weights
        )


def mixture(weights: Sequence[float], centres: Sequence[float], variances: Sequence[float]) -> Mixture:
    """Return a mixture from one number for each component."""
    return Mixture(np.array(weights), np.array(centres), np.array(variances))


def joined(weights: Sequence[float], parts: Sequence[Mixture]) -> Mixture:
    """Return the mixture of several mixtures; `weights` sum to 1.

    >>> both = joined([0.5, 0.5], [mixture([1.0], [0.0], [0.0]), mixture([1.0], [2.0], [0.0])])
    >>> both.mean, both.variance
    (1.0, 1.0)
    """
    weight_M = np.concatenate([weight * part.weights for weight, part in zip(weights, parts, strict=True)])
    centre_M = np.concatenate([part.centres for part in parts])
    variance_M = np.concatenate([part.variances for part in parts])
    kept = weight_M > NEGLIGIBLE
    return Mixture(weight_M[kept] / weight_M[kept].sum(), centre_M[kept], variance_M[kept])
