"""Where the optimum of the next width is expected, and which learning rates to try around it (telescoping, 2505.02222).

Under the right theory the best base learning rate is the same at every width; under a wrong one it moves as a power of
the width. So log2 LR*(n) is taken as a line in log2 n whose slope is 0 before anything is known, give or take
SLOPE_PRIOR: with one width measured the prediction is the theory's, with more it follows what they say.

Few points far apart beat many close together: the vertex of a parabola is as sure as its points are spread, as far as
the loss is near enough to one. `python -m benchmarks.telescope` tries layouts on an even and on a skewed basin: three
points an octave apart with two seeds place the vertex as well as five half an octave apart, with six runs for ten.
Wider apart the skew takes over; with one seed nothing is left over to tell the error by.
"""

import math
from collections.abc import Sequence

import numpy as np

from widthwise.search.bracket import lattice_points

SLOPE_PRIOR = 0.25  # standard deviation, octaves a doubling (chosen): the wrong alignment moves the optimum by ½
SCATTER = 0.1  # octaves (chosen): finite width bends the line by about this much at small widths
WINDOW = 1.0  # octaves to each side of the prediction: the window in which the optimum's parabola is fitted
SURE = 0.6  # octaves of standard error up to which a width need not wait (chosen): two doublings from one known width

Known = Sequence[tuple[int, float, float]]  #: (width, log2 of the best learning rate, its standard error)


def predict(known: Known, width: int) -> tuple[float, float]:
    """log2 of the best learning rate at `width`, with its standard error.

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
    """The seeds of a width: all of them where the whole grid is tried, more than half of them where a telescope looks.

    >>> [len(seeds_of(seeds, True)) for seeds in (1, 2, 3, 6)]
    [1, 2, 2, 4]
    """
    return range(seeds // 2 + 1 if telescoped else seeds)


def spacing_of(mesh: float, seeds: int, telescoped: bool) -> float:
    """Octaves between the learning rates around the optimum of a width.

    A telescope's are twice the mesh apart, an octave at most. With one seed nothing but further points can tell the
    error of the vertex, so there they are one mesh apart.

    >>> spacing_of(0.5, 3, True), spacing_of(0.5, 1, True), spacing_of(0.5, 3, False)
    (1.0, 0.5, 0.5)
    """
    return min(2 * mesh, WINDOW) if telescoped and len(seeds_of(seeds, True)) > 1 else mesh


def around(prediction: float, error: float, *, mesh: float, spacing: float) -> list[float]:
    """The learning rates to try around a predicted log2 optimum, ascending: an octave to each side, or its error."""
    half = max(WINDOW, math.ceil(error / spacing) * spacing)
    centre = round(prediction / mesh) * mesh
    return lattice_points(centre - half, centre + half, spacing, mesh, centre)
