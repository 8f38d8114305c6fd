"""Quantiles behind every interval of an estimate, and the pooling of the standard errors behind its weights."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95  #: of every interval
PRIOR_DEGREES_OF_FREEDOM = 6  # chosen: those of one five-point sweep with two seeds; 20 works as well
STATED_DEGREES_OF_FREEDOM = 12  # chosen: weight of the stated errors relative to the scatter of a few widths
POINT_MASS = 1e-12  # standard error that stands for zero: far below what any sweep resolves
BISECTIONS = 40  # halvings: the range shrinks by 1e-12


def quantile(degrees_of_freedom: float) -> float:
    """Return the two-sided Student quantile at `CONFIDENCE`; the normal one at infinite degrees of freedom.

    >>> round(quantile(2), 3), round(quantile(math.inf), 3)
    (4.303, 1.96)
    """
    from scipy.special import ndtri, stdtrit

    level = (1 + CONFIDENCE) / 2
    return float(ndtri(level)) if math.isinf(degrees_of_freedom) else float(stdtrit(degrees_of_freedom, level))


def pooled_scale(scatter: float, degrees_of_freedom: int) -> tuple[float, int]:
    """Return the factor on stated errors, and its degrees of freedom, after observing χ² = `scatter` about a fit.

    The stated errors count like a scatter of their own size with `STATED_DEGREES_OF_FREEDOM` (a scaled inverse χ²
    prior, as in Smyth 2004): many widths overrule them, one degree of freedom does not.

    >>> pooled_scale(2.0, 2)
    (1.0, 14)
    """
    total = STATED_DEGREES_OF_FREEDOM + degrees_of_freedom
    return math.sqrt((STATED_DEGREES_OF_FREEDOM + scatter) / total), total


def moderated_errors(standard_errors: ArrayLike, degrees_of_freedom: ArrayLike) -> NDArray[np.float64]:
    """Return the standard errors of similar sweeps, each pulled towards their common size, (W,).

    An error estimated from a few residuals is itself noisy: by chance one sweep has a tiny error and gets
    nearly all the weight of a weighted fit. Each variance is averaged with the typical one, weighted by degrees
    of freedom (Smyth 2004, "Linear models and empirical Bayes methods", with a fixed prior weight). The typical
    one is the geometric mean, so that one flat sweep does not distort the others, corrected for the log of a χ²
    being low on average. Errors without degrees of freedom (from the spacing of a grid) are not changed.

    Eight widths with one seed each: without this the 95 % interval of a slope covered 83 %, with it 96 %, and
    the slope's own spread fell by a third.
    """
    from scipy.special import digamma

    error_W = np.array(standard_errors, dtype=np.float64)
    dof_W = np.asarray(degrees_of_freedom, dtype=np.float64)
    known = dof_W > 0
    if int(known.sum()) < 2:
        return error_W
    dof_K, variance_K = dof_W[known], error_W[known] ** 2
    typical = np.exp(np.mean(np.log(variance_K) - digamma(dof_K / 2) + np.log(dof_K / 2)))
    pooled_K = (dof_K * variance_K + PRIOR_DEGREES_OF_FREEDOM * typical) / (dof_K + PRIOR_DEGREES_OF_FREEDOM)
    error_W[known] = np.sqrt(pooled_K)
    return error_W


def mixture_interval(
    centres: ArrayLike, errors: ArrayLike, degrees_of_freedom: ArrayLike, weights: ArrayLike
) -> tuple[float, float]:
    """Return the central `CONFIDENCE` interval of a mixture of Student distributions; an error of 0 is a point mass.

    `weights` sum to 1. The interval is found by bisection.

    >>> low, high = mixture_interval([0.0, 5.0], [1.0, 1.0], [1e9, 1e9], [1.0, 0.0])
    >>> round(low, 3), round(high, 3)
    (-1.96, 1.96)
    """
    from scipy.special import stdtr, stdtrit

    centre_M, weight_M = np.asarray(centres, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    dof_M = np.asarray(degrees_of_freedom, dtype=np.float64)
    error_M = np.maximum(np.asarray(errors, dtype=np.float64), POINT_MASS)
    widest = stdtrit(dof_M, (1 + CONFIDENCE) / 2) * error_M
    # A mixture's quantile lies between the smallest and the largest quantile of its parts.
    tails = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low_T = np.full(2, np.min(centre_M - widest))
    high_T = np.full(2, np.max(centre_M + widest))
    for _ in range(BISECTIONS):
        middle_T = (low_T + high_T) / 2
        below_T = stdtr(dof_M[:, None], (middle_T - centre_M[:, None]) / error_M[:, None]).T @ weight_M < tails
        low_T, high_T = np.where(below_T, middle_T, low_T), np.where(below_T, high_T, middle_T)
    return float(low_T[0]), float(high_T[1])
