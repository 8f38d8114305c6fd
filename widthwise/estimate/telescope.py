"""Where the optimum of the next width is expected, and which learning rates to try around it (telescoping, 2505.02222).

Under the right theory the best base learning rate is the same at every width; under a wrong one it moves as a power of
the width. So log2 LR*(n) is taken as a line in log2 n whose slope is 0 before anything is known, give or take
SLOPE_PRIOR: with one width measured the prediction is the theory's, with more it follows what they say.
"""

import math
from collections.abc import Sequence

import numpy as np

from widthwise.estimate.bracket import lattice_points

SLOPE_PRIOR = 0.25  # standard deviation, octaves a doubling (chosen): the wrong alignment moves the optimum by ½
SCATTER = 0.1  # octaves (chosen): finite width bends the line by about this much at small widths
WINDOW = 1.0  # octaves to each side of the prediction: the window in which the optimum's parabola is fitted
SPACING = 0.5  # octaves between the learning rates of a predicted width


def predict(known: Sequence[tuple[int, float, float]], width: int) -> tuple[float, float]:
    """log2 of the best learning rate at `width` with its standard error, from (width, log2 optimum, standard error).

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


def around(prediction: float, error: float, mesh: float) -> list[float]:
    """The learning rates to try around a predicted log2 optimum, ascending."""
    half = max(WINDOW, math.ceil(error / SPACING) * SPACING)
    centre = round(prediction / mesh) * mesh
    return lattice_points(centre - half - 1e-9, centre + half + 1e-9, SPACING, mesh, centre)
