"""What neighbouring cells have in common beyond the law: a Gaussian process over the axes.

The residual g of the cells has covariance α²·R, R = exp(−½·Σ_k (Δ log2 axis_k / 3)²) for cells of equal groups, else 0
(Rasmussen and Williams 2006, eq. 2.31). It is written with features, g = α·F·ν with ν ~ N(0, 1), where F·Fᵀ = R without
R's negligible eigenvalues: neighbouring cells are nearly the same place, so R is singular up to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from widthwise.sweeps.cell import Floats
from widthwise.sweeps.law import log2_axis

LENGTH = 3.0  # octaves in every axis (chosen): a law may be off by the same amount over a factor of eight
NEGLIGIBLE = 1e-6  # eigenvalues below this share of the largest


@dataclass(frozen=True)
class ResidualFeatures:
    """The features of the process at the cells, and how to find them elsewhere."""

    places: tuple[Mapping[str, float | str], ...]
    at_cells: Floats  #: (C, R)
    weights: Floats  #: (C, R), features elsewhere = correlation with the cells · weights

    def at(self, places: Sequence[Mapping[str, float | str]]) -> tuple[Floats, Floats]:
        """Return the features at other places, (N, R), and the share of the variance that they leave over, (N,)."""
        feature_NxR = correlation(places, self.places) @ self.weights
        return feature_NxR, np.maximum(1 - (feature_NxR**2).sum(axis=1), 0)


def residual_features(places: Sequence[Mapping[str, float | str]]) -> ResidualFeatures:
    """Return the features of the process over the cells' axes."""
    values, vectors = np.linalg.eigh(correlation(places, places))
    kept = values > NEGLIGIBLE * values[-1]
    root = np.sqrt(values[kept])
    return ResidualFeatures(tuple(places), vectors[:, kept] * root, vectors[:, kept] / root)


def correlation(places: Sequence[Mapping[str, float | str]], others: Sequence[Mapping[str, float | str]]) -> Floats:
    """Return R between two lists of places, (N, M)."""
    exponent = np.zeros((len(places), len(others)))
    same = np.ones(exponent.shape)
    for name, value in others[0].items():
        if isinstance(value, str):
            same *= np.array([[place[name] == other[name] for other in others] for place in places])
        else:
            apart = log2_axis(places, name)[:, None] - log2_axis(others, name)[None, :]
            exponent += (apart / LENGTH) ** 2
    return np.asarray(np.exp(-exponent / 2) * same)
