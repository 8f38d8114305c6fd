"""A least-squares parabola through the losses of several seeds: its vertex and the vertex's error.

The variance of the vertex has two estimates, and one width uses the larger. The delta method on the residuals of the
pooled fit sees lack of fit and independent noise; every seed has its own intercept, so a seed's shift at all learning
rates cancels. The spread of the seeds' own optima, divided by the number of seeds, sees noise that is smooth in
learning rate, which those residuals understate.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLAT = 1e-12  # rise of a parabola over its window, relative to the loss, that rounding can produce


@dataclass(frozen=True)
class Parabola:
    """loss = loss at the vertex + curvature · (x − vertex)², curvature > 0."""

    vertex: float
    curvature: float
    loss: float  #: at the vertex, mean over seeds
    residual_variance: float | None  #: of the vertex, from the scatter; None without residual degrees of freedom
    seed_variance: float  #: of the vertex, from the seeds' own optima; 0 if they are too few
    degrees_of_freedom: int  #: residual, of the pooled fit

    @property
    def variance(self) -> float | None:
        """The larger error of the vertex; None without residual degrees of freedom."""
        return None if self.residual_variance is None else max(self.residual_variance, self.seed_variance)


def fit_parabola(x: Floats, loss_LxS: Floats) -> Parabola | None:
    """Fit the losses (NaN if there is none) at x (n_lr,); return None unless the fit is convex beyond rounding."""
    present = np.isfinite(loss_LxS)
    row, column = np.nonzero(present)
    origin = float(x[len(x) // 2])  # centred, since otherwise the columns of the design are nearly collinear
    t, y = x[row] - origin, loss_LxS[present]
    intercepts = np.eye(loss_LxS.shape[1])[:, present.any(axis=0)][column]
    design = np.column_stack([t, t**2, intercepts])
    solution, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    if rank < design.shape[1]:  # seeds that share no learning rates can't have their own intercepts
        design = np.column_stack([t, t**2, np.ones_like(t)])
        solution, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    slope, curvature = float(solution[0]), float(solution[1])
    if curvature * float(np.ptp(x)) ** 2 <= FLAT * float(np.max(np.abs(y))):
        return None
    offset = -slope / (2 * curvature)
    loss = float(np.mean(solution[2:])) - slope**2 / (4 * curvature)
    dof = y.size - int(rank)
    residual_variance, seed_variance = None, 0.0
    if dof > 0:
        residual = y - design @ solution
        covariance = np.linalg.inv(design.T @ design)[:2, :2] * float(residual @ residual) / dof
        gradient = np.array([-1.0, -2 * offset]) / (2 * curvature)  # of −slope / (2 curvature)
        residual_variance = float(gradient @ covariance @ gradient)
        seed_variance = _between_seeds(x - origin, loss_LxS, offset, curvature)
    return Parabola(origin + offset, curvature, loss, residual_variance, seed_variance, dof)


def _between_seeds(t: Floats, loss_LxS: Floats, vertex: float, curvature: float) -> float:
    """Return the variance of the mean of the seeds' own optima; 0 with fewer than two seeds that ran at every point.

    Each seed's optimum is one Newton step from the pooled vertex, with the seed's slope there and the pooled
    curvature, since a single noisy seed may not be convex.
    """
    complete = loss_LxS[:, np.isfinite(loss_LxS).all(axis=0)]
    seeds = complete.shape[1]
    if seeds < 2:
        return 0.0
    _, slope_S, curve_S = np.linalg.lstsq(np.vander(t, 3, increasing=True), complete, rcond=None)[0]
    steps = -(slope_S + 2 * curve_S * vertex) / (2 * curvature)
    return float(np.var(steps, ddof=1) / seeds)


def adjusted_means(loss_LxS: Floats) -> Floats:
    """Return the mean loss at each learning rate, (n_lr,), as if every seed had run at each of them.

    With gaps, plain means would favour a learning rate that only a lucky seed ran at; the two-way fit of learning
    rate + seed removes that, as far as the seeds connect the learning rates.
    """
    present = np.isfinite(loss_LxS)
    if present.all():
        return np.asarray(loss_LxS.mean(axis=1))
    rates, seeds = present.shape
    row, column = np.nonzero(present)
    design = np.hstack([np.eye(rates)[row], np.eye(seeds)[column]])
    solution, _, rank, _ = np.linalg.lstsq(design, loss_LxS[present], rcond=None)
    ran = present.any(axis=0)
    if rank < rates + int(ran.sum()) - 1:  # the seeds do not connect all learning rates
        return np.asarray(np.nanmean(loss_LxS, axis=1))
    return np.asarray(solution[:rates] + solution[rates:][ran].mean())
