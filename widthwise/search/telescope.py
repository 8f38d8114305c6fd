"""Telescoping (2505.02222): predicts the optimum of the next width, and picks the learning rates to try around it.

Under the right theory the best base learning rate is the same at every width; under a wrong one it moves as a power of
the width. So log2 LR*(n) is modelled as a line in log2 n with a prior slope of 0 ± SLOPE_PRIOR: with one width measured
the prediction is theory's, with more widths it follows the data.

A few widely spaced points are better than many close ones: the wider the spread, the smaller the vertex's error, as
long as the loss is close to a parabola. `python -m benchmarks.telescope` tries layouts on an even and on a skewed
basin: three points an octave apart with two seeds find the vertex as well as five half an octave apart, with six runs
instead of ten. With more spacing the skew dominates; with one seed no residual is left to estimate the error.
"""

import math
from collections.abc import Sequence

import numpy as np

from widthwise.search.bracket import lattice_points

SLOPE_PRIOR = 0.25  # standard deviation, octaves per doubling (chosen): the wrong alignment moves the optimum by ½
SCATTER = 0.1  # octaves (chosen): finite width bends the line by about this much at small widths
WINDOW = 1.0  # octaves on each side of the prediction: the window in which the optimum's parabola is fitted
SURE = 0.6  # octaves of standard error up to which a width does not wait (chosen): two doublings from one known width

Known = Sequence[tuple[int, float, float]]  #: (width, log2 of the best learning rate, its standard error)


def predict(known: Known, width: int) -> tuple[float, float]:
    """Return log2 of the best learning rate at `width`, with its standard error.

    >>> [round(number, 2) for number in predict([(32, -5.0, 0.05)], 64)]
    [-5.0, 0.29]
    """
    x = np.log2([each[0] for each in known]) - math.log2(width)
    y, error = np.array([each[1] for each in known]), np.array([each[2] for each in known])
    weight = 1 / (error**2 + SCATTER**2)
    design = np.column_stack([np.ones_like(x), x])
    precision = design.T @ (weight[:, None] * design) + np.diag([0.0, SLOPE_PRIOR**-2])
    covariance = np.linalg.inv(precision)
    intercept = float((covariance @ design.T @ (weight * y))[0])
    return intercept, math.sqrt(float(covariance[0, 0]) + SCATTER**2)


def seeds_of(seeds: int, telescoped: bool) -> range:
    """Return the seeds of a width: all of them for the whole grid, more than half of them for a telescope.

    >>> [len(seeds_of(seeds, True)) for seeds in (1, 2, 3, 6)]
    [1, 2, 2, 4]
    """
    return range(seeds // 2 + 1 if telescoped else seeds)


def spacing_of(mesh: float, seeds: int, telescoped: bool) -> float:
    """Return the octaves between the learning rates around the optimum of a width.

    A telescope's are twice the mesh apart, at most an octave. With one seed only further points can show the error of
    the vertex, so they are one mesh apart.

    >>> spacing_of(0.5, 3, True), spacing_of(0.5, 1, True), spacing_of(0.5, 3, False)
    (1.0, 0.5, 0.5)
    """
    return min(2 * mesh, WINDOW) if telescoped and len(seeds_of(seeds, True)) > 1 else mesh


def around(prediction: float, error: float, *, mesh: float, spacing: float) -> list[float]:
    """Return the learning rates to try around a predicted log2 optimum, ascending: an octave per side, or its error."""
    half = max(WINDOW, math.ceil(error / spacing) * spacing)
    centre = round(prediction / mesh) * mesh
    return lattice_points(centre - half, centre + half, spacing, mesh, centre)
