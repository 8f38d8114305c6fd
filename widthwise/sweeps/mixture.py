"""A value that each component of the posterior knows with its own mean and variance: its mean and its interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from widthwise.estimate.intervals import mixture_interval
from widthwise.sweeps.cell import Floats

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
