"""The curve that several sweeps share: what their learning rates say together where each alone has too few.

On a grid of ratio 2 or 3 the window of one seed's parabola holds three points. They always fit, so nothing shows how
far noise moved the vertex, and its error would be that of a guess within the bracket. Several such sweeps show more.
Near its optimum x* the loss of each has the `shape` m + κ·φ(x − x*; s), with one s for all sweeps and curvatures κ that
are alike, over the two learning rates on each side of the best. Noise has one size in all of them. On top, a curve
misses the model in proportion to its rise. Everything is fitted together by weighted least squares; the size of the
noise follows from the residuals of all sweeps.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from widthwise.estimate.intervals import quantile
from widthwise.estimate.optimum import FLOOR_SPACINGS_THREE_POINTS, WINDOW_OCTAVES, Optimum
from widthwise.estimate.shape import CURVATURE_SPREAD, MISFIT, Floats, phi, phi_derivatives
from widthwise.estimate.skew import OCTAVES
from widthwise.estimate.surface import Surface

SKEW_PRIOR = 1.0  # of s around 0: that of eˣ − 1 − x, as in `skew`
NEIGHBOURS = 2  # learning rates on each side of the best (chosen): fewer have no degree of freedom, more are far away
REACH = 3.25  # octaves from the best (chosen): two steps of ratio 3, which curves are known to follow
FEWEST_DEGREES_OF_FREEDOM = 2  # chosen: the size of noise from one residual is a guess
STEEPEST = 3.0  # largest |s| (chosen): e³ between neighbouring octaves is steeper than any curve
ROUNDS = 6  # of noise and fit in turn (chosen): the noise then moves by less than a percent
STEPS = 20  # of one fit (chosen): five are enough for almost every sweep
LEAST_NOISE = 1e-3  # of the rise over a grid step: smaller noise would give points at a vertex all the weight


@dataclass(frozen=True)
class _Sweep:
    """The points of one sweep near its best learning rate, with one level for each of its seeds."""

    x: Floats  #: (n,) log2 learning rates
    y: Floats  #: (n,) losses
    seeds: Floats  #: (n, n_seeds), one-hot


@dataclass(frozen=True)
class _Fit:
    """θ = (s, log κ and x* of each sweep, every level m), its covariance, and the degrees of freedom of the noise."""

    theta: Floats
    covariance: Floats
    degrees_of_freedom: int


def shared_errors(surfaces: Sequence[Surface], optima: Sequence[Optimum]) -> tuple[Optimum, ...]:
    """Return the optima of several sweeps; those without a degree of freedom by the curve that all of them share.

    An optimum keeps the error of its bracket if the sweeps together do not say more: a lone sweep, sweeps of three
    learning rates each, or noise that hides the curves.
    """
    coarse = [_is_coarse(surface, optimum) for surface, optimum in zip(surfaces, optima, strict=True)]
    if not any(coarse):
        return tuple(optima)
    shown = [k for k, optimum in enumerate(optima) if optimum.curvature is not None and _usable(surfaces[k]).any()]
    sweeps = [_sweep(surfaces[k], optima[k]) for k in shown]
    fit = _fitted(sweeps, [optima[k] for k in shown]) if len(shown) > 1 else None
    if fit is None:
        return tuple(optima)
    found = list(optima)
    for place, k in enumerate(shown):
        if coarse[k]:
            found[k] = _restated(optima[k], surfaces[k], fit, 2 + 2 * place)
    return tuple(found)


def _is_coarse(surface: Surface, optimum: Optimum) -> bool:
    """Return whether a parabola through three points has no degree of freedom because the grid has no more."""
    if optimum.window is None or optimum.degrees_of_freedom:
        return False
    low, high = np.log2(optimum.window)
    x = np.log2(surface.learning_rates)
    best = x[np.argmin(np.abs(x - (low + high) / 2))]
    return int((np.abs(x - best) <= WINDOW_OCTAVES[0]).sum()) <= 3


def _usable(surface: Surface) -> NDArray[np.bool_]:
    """Return the learning rates of which every seed that ran has a loss, (L,)."""
    usable_L = np.isfinite(surface.losses).any(axis=1) & ~(surface.diverged | surface.stopped).any(axis=1)
    return np.asarray(usable_L)


def _sweep(surface: Surface, optimum: Optimum) -> _Sweep:
    """Return the points near an optimum, without those beyond a divergence; some learning rate is usable."""
    x = np.log2(surface.learning_rates)
    usable_L = _usable(surface)
    best = int(np.argmin(np.where(usable_L, np.abs(x - optimum.log2_learning_rate), np.inf)))
    near_L = usable_L & (np.abs(x - x[best]) <= REACH)
    place_L = np.cumsum(usable_L)
    near_L &= (np.abs(x - x[best]) <= OCTAVES) | (np.abs(place_L - place_L[best]) <= NEIGHBOURS)
    for lost in np.flatnonzero(surface.diverged.any(axis=1)):
        near_L &= (x < x[lost]) if lost > best else (x > x[lost])
    row, column = np.nonzero(np.isfinite(surface.losses) & near_L[:, None])
    seeds = np.unique(column, return_inverse=True)[1]
    return _Sweep(x[row], surface.losses[row, column], np.eye(seeds.max() + 1)[seeds])


def _fitted(sweeps: Sequence[_Sweep], optima: Sequence[Optimum]) -> _Fit | None:
    """Fit all sweeps and their noise in turn; None with too few degrees of freedom."""
    levels = sum(sweep.seeds.shape[1] for sweep in sweeps)
    points = sum(sweep.x.size for sweep in sweeps)
    dof = points - (1 + 2 * len(sweeps) + levels)
    if dof < FEWEST_DEGREES_OF_FREEDOM:
        return None
    theta = np.zeros(1 + 2 * len(sweeps) + levels)
    theta[1 : 1 + 2 * len(sweeps) : 2] = [math.log(optimum.curvature or 1.0) for optimum in optima]
    theta[2 : 2 + 2 * len(sweeps) : 2] = [optimum.log2_learning_rate for optimum in optima]
    theta[1 + 2 * len(sweeps) :] = np.concatenate(
        [np.full(sweep.seeds.shape[1], optimum.loss) for sweep, optimum in zip(sweeps, optima, strict=True)]
    )
    least = LEAST_NOISE * min((optimum.curvature or 1.0) * optimum.spacing**2 for optimum in optima)
    noise = 10 * least
    for _ in range(ROUNDS):
        misfit = _rises(theta, sweeps) * MISFIT
        theta = _solved(theta, sweeps, np.hypot(noise, misfit))
        residual, _ = _model(theta, sweeps)
        noise = _noise(residual, _rises(theta, sweeps) * MISFIT, dof, least)
    error = np.hypot(noise, _rises(theta, sweeps) * MISFIT)
    _, normal, _ = _normal(theta, sweeps, error)
    return _Fit(theta, np.asarray(np.linalg.inv(normal), dtype=np.float64), dof)


def _noise(residual: Floats, misfit: Floats, dof: int, least: float) -> float:
    """Return the size of noise at which χ² of the residuals equals its degrees of freedom, at least `least`."""
    low, high = least, max(least, 2 * float(np.sqrt(residual @ residual / dof)))
    for _ in range(30):
        middle = math.sqrt(low * high)
        excess = float(np.sum((residual / np.hypot(middle, misfit)) ** 2)) > dof
        low, high = (middle, high) if excess else (low, middle)
    return high


def _rises(theta: Floats, sweeps: Sequence[_Sweep]) -> Floats:
    """Return how far each point lies above its optimum, (n,)."""
    return np.concatenate(
        [
            math.exp(theta[1 + 2 * k]) * phi(sweep.x - theta[2 + 2 * k], float(theta[0]))
            for k, sweep in enumerate(sweeps)
        ]
    )


def _model(theta: Floats, sweeps: Sequence[_Sweep]) -> tuple[Floats, Floats]:
    """Return residuals (n,) and the Jacobian of the model, (n, parameters)."""
    residuals, rows, level = [], [], 1 + 2 * len(sweeps)
    for k, sweep in enumerate(sweeps):
        t, s = sweep.x - theta[2 + 2 * k], float(theta[0])
        rise, (by_t, by_s) = phi(t, s), phi_derivatives(t, s)
        curvature, seeds = math.exp(theta[1 + 2 * k]), sweep.seeds.shape[1]
        jacobian = np.zeros((sweep.x.size, theta.size))
        jacobian[:, 0] = curvature * by_s
        jacobian[:, 1 + 2 * k] = curvature * rise
        jacobian[:, 2 + 2 * k] = -curvature * by_t
        jacobian[:, level : level + seeds] = sweep.seeds
        residuals.append(sweep.y - sweep.seeds @ theta[level : level + seeds] - curvature * rise)
        rows.append(jacobian)
        level += seeds
    return np.concatenate(residuals), np.vstack(rows)


def _normal(theta: Floats, sweeps: Sequence[_Sweep], error: Floats) -> tuple[float, Floats, Floats]:
    """Return −2 log posterior, its Gauss–Newton curvature and descent, with the priors on s and every log κ."""
    residual, jacobian = _model(theta, sweeps)
    weighted = jacobian / error[:, None]
    normal, descent = weighted.T @ weighted, weighted.T @ (residual / error)
    curvatures = slice(1, 1 + 2 * len(sweeps), 2)
    apart = theta[curvatures] - theta[curvatures].mean()
    centring = (np.eye(len(sweeps)) - 1 / len(sweeps)) / CURVATURE_SPREAD**2
    normal[0, 0] += SKEW_PRIOR**-2
    descent[0] -= theta[0] / SKEW_PRIOR**2
    normal[curvatures, curvatures] += centring
    descent[curvatures] -= apart / CURVATURE_SPREAD**2
    prior = (theta[0] / SKEW_PRIOR) ** 2 + float(apart @ apart) / CURVATURE_SPREAD**2
    return float(np.sum((residual / error) ** 2)) + prior, normal, descent


def _solved(theta: Floats, sweeps: Sequence[_Sweep], error: Floats) -> Floats:
    """Return the most probable parameters, by Gauss–Newton steps that are halved until they help."""
    cost, normal, descent = _normal(theta, sweeps, error)
    for _ in range(STEPS):
        step = np.linalg.solve(normal, descent)
        share = 1.0
        while share > 1e-3:
            moved = _bounded(theta + share * step, theta, sweeps)
            found = _normal(moved, sweeps, error)
            if found[0] <= cost:
                break
            share /= 2
        else:
            return theta
        gained = cost - found[0]
        theta, (cost, normal, descent) = moved, found
        if gained < 1e-9 * (1 + cost):
            return theta
    return theta


def _bounded(moved: Floats, theta: Floats, sweeps: Sequence[_Sweep]) -> Floats:
    """Return a step's end with every optimum among its points, so that no exponential overflows."""
    moved[0] = np.clip(moved[0], -STEEPEST, STEEPEST)
    for k, sweep in enumerate(sweeps):
        moved[1 + 2 * k] = np.clip(moved[1 + 2 * k], theta[1 + 2 * k] - 1, theta[1 + 2 * k] + 1)
        moved[2 + 2 * k] = np.clip(moved[2 + 2 * k], sweep.x.min(), sweep.x.max())
    return moved


def _restated(plain: Optimum, surface: Surface, fit: _Fit, place: int) -> Optimum:
    """Return an optimum with position and error of the shared curve, unless its bracket says as much."""
    at, shared = float(fit.theta[place]), float(fit.covariance[place, 0]) / math.sqrt(float(fit.covariance[0, 0]))
    floor = FLOOR_SPACINGS_THREE_POINTS * plain.spacing
    error = max(math.sqrt(float(fit.covariance[place, place])), floor)
    x = np.log2(surface.learning_rates)
    if plain.standard_error is None or plain.interval is None or error >= plain.standard_error:
        return plain
    low, high = np.log2(plain.interval)
    if not low < at < high:
        return plain
    half = quantile(fit.degrees_of_freedom) * error
    ends = max(at - half, float(x[0])), min(at + half, float(x[-1]))
    return replace(
        plain,
        learning_rate=float(2.0**at),
        log2_learning_rate=at,
        skew_shift=plain.skew_shift + at - plain.log2_learning_rate,
        standard_error=error,
        shared_error=min(abs(shared), 0.9 * error),
        interval=(2.0 ** ends[0], 2.0 ** ends[1]),
        degrees_of_freedom=fit.degrees_of_freedom,
    )
