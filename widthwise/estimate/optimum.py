"""The best learning rate of a sweep at one width: its position and error, or on which side of the grid it lies.

The loss near its minimum is close to a parabola in log2 learning rate, so the vertex of a least-squares
parabola finds the optimum between grid points. These choices were made on a synthetic curve twice as steep
towards divergence as away from it (loss ∝ eˣ − 1 − x, x in octaves), at every offset of the grid:

* **Window: one octave on each side** of the grid point nearest the vertex, and at least one neighbour on each.
  The skew of the curve then shifts the vertex by −0.12 octave whether the grid ratio is 2^¼, 2^½ or 2: the
  shift is the same at every width and cancels in the exponent (`skew` removes it if several widths show it).
  A fixed count of five points shifts it by 0.03 to 0.5 octave as the grid changes. Re-centring on the vertex,
  instead of on the lowest noisy mean, keeps the window from following one lucky trial. If noise hides the
  curvature of an octave, so that no convex parabola has its vertex inside, the window doubles, up to twice.
* **Standard error**: the larger of residual scatter and spread between seeds, see `parabola`. It has a **floor**
  of a hundredth of the grid spacing, so that exact or lucky data do not get infinite weight; a twentieth for
  three points. (Without noise the vertex moves by 0.02 to 0.05 spacings with the offset of the grid; the
  residuals show that if there are more points than parameters of the parabola.)
* Without residual degrees of freedom, or if no convex parabola fits: the spread of a uniform distribution
  over the bracketing grid points. Such data say no more than that.
* **The last learning rate before a divergence** can be the best one. The optimum is then bracketed from both
  sides, though the loss beyond is unknown, so it counts as interior, with the bracket's wide error. Calling it
  a bound would drop exactly the widths with a basin that ends in divergence, and bias the rest.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.intervals import quantile
from widthwise.estimate.losses import finite_divergences
from widthwise.estimate.parabola import Floats, Parabola, adjusted_means, fit_parabola

Kind = Literal["interior", "lower_bound", "upper_bound"]
Bools = NDArray[np.bool_]

WINDOW_OCTAVES = (1.0, 2.0, 4.0)  # half-widths of the fit, tried in turn; see the module's docstring
FLOOR_SPACINGS = 0.01  # smallest standard error, in grid spacings (chosen): below what any sweep resolves
FLOOR_SPACINGS_THREE_POINTS = 0.05  # the same if nothing tests the shape; measured, see the module's docstring
RECENTRINGS = 4  # chosen: two are enough for almost every sweep, and cycles must end
CLOSEST_OCTAVES = 1e-6  # learning rates closer than this are the same one written twice
ROUNDED_OCTAVES = 0.02  # chosen: two learning rates of two digits that are an octave apart can be 1.02 apart
ROUNDED_SPACINGS = 0.25  # chosen: on a grid finer than that, a window takes in no further point


@dataclass(frozen=True)
class Optimum:
    """The best learning rate of one sweep.

    `kind` is "interior" if the grid brackets the optimum, "upper_bound" if the smallest learning rate tried is
    the best, "lower_bound" if the largest is. Even then the true optimum may lie inside the grid, up to the next
    learning rate: `bound`. A bound has no standard error and no interval.
    """

    learning_rate: float  #: the vertex of the fit, or the learning rate at the edge
    log2_learning_rate: float
    kind: Kind
    loss: float  #: nats, at the vertex; the mean over seeds if no parabola was fitted
    spacing: float  #: octaves between the best learning rate and its nearest neighbour
    standard_error: float | None = None  #: of log2_learning_rate
    interval: tuple[float, float] | None = None  #: 95 % interval of the learning rate, within the range tried
    degrees_of_freedom: int = 0  #: of the standard error; 0 if it comes from the grid spacing
    curvature: float | None = None  #: loss = loss at vertex + curvature · octaves²; None without a parabola
    window: tuple[float, float] | None = None  #: smallest and largest learning rate in the fit
    next_to_divergence: bool = False  #: a learning rate next to the best one diverged
    residual_error: float | None = None  #: standard_error estimated only from the scatter; None without a parabola
    seed_error: float = 0.0  #: standard_error estimated only from the seeds' own optima
    skew_shift: float = 0.0  #: octaves from the parabola's vertex to log2_learning_rate, if a skew was corrected
    shared_error: float = 0.0  #: part of the standard error that all widths share: the skew's
    bound: float | None = None  #: learning rate that a bound's optimum lies below or above; None if it is interior

    @property
    def own_error(self) -> float:
        """The standard error without the part that all widths share; 0 without a standard error."""
        return math.sqrt(max((self.standard_error or 0.0) ** 2 - self.shared_error**2, 0.0))


def fit_optimum(
    learning_rates: ArrayLike,
    losses: ArrayLike,
    diverged: ArrayLike | None = None,
    stopped: ArrayLike | None = None,
) -> Optimum:
    """Find the best learning rate of a sweep by a local parabola in log2 learning rate.

    Parameters
    ----------
    learning_rates: (n_lr,), positive, distinct, in any order.
    losses: (n_lr, n_seeds) or (n_lr,), nats; NaN or None if a trial has no loss.
    diverged: mask of the same shape: which of the cells without loss diverged; the others are gaps without
        information. Without this mask every missing loss counts as diverged, unless it was stopped.
    stopped: mask of the same shape: which cells ended early because they could not come near the best.

    A learning rate at which any seed diverged or was stopped is never the best and never fitted, but it bounds the
    range. A finite loss that only a diverged run has counts as a divergence, see `losses`.

    Raises `InvalidInputError` for infinite losses, learning rates that are not positive and distinct, or
    shapes that do not match; `EstimateError` if no learning rate completed without a divergence, or if only
    one was tried.

    >>> optimum = fit_optimum([1e-3, 2e-3, 4e-3, 8e-3], [[2.2], [2.1], [2.2], [2.5]])
    >>> optimum.kind, round(optimum.learning_rate, 6)
    ('interior', 0.002)
    """
    x, loss_LxS, diverged_LxS, stopped_LxS = _checked(learning_rates, losses, diverged, stopped)
    diverged_L, stopped_L = np.asarray(diverged_LxS.any(axis=1)), np.asarray(stopped_LxS.any(axis=1))
    complete_L = np.asarray(np.isfinite(loss_LxS).any(axis=1) & ~diverged_L)
    usable_L = np.asarray(complete_L & ~stopped_L)
    if not usable_L.any():  # every learning rate lost some seed: use those that lost the fewest
        lost_L = stopped_LxS.sum(axis=1)
        usable_L = np.asarray(complete_L & (lost_L == lost_L[complete_L].min(initial=lost_L.max())))
    if not usable_L.any():
        raise EstimateError(
            f"none of the {x.size} learning rates from {2.0 ** x[0]:g} to {2.0 ** x[-1]:g} trained without "
            "diverging; try smaller ones"
        )
    tried_L = np.asarray(usable_L | diverged_L | stopped_L)
    x, loss_LxS, usable_L, diverged_L = x[tried_L], loss_LxS[tried_L], usable_L[tried_L], diverged_L[tried_L]
    if x.size < 2:
        raise EstimateError(f"only learning rate {2.0 ** x[0]:g} was tried; an optimum needs others to compare with")
    mean_L = np.full(x.size, np.inf)
    mean_L[usable_L] = adjusted_means(loss_LxS[usable_L])
    best = int(np.argmin(mean_L))  # on a tie the smallest learning rate, which is further from divergence
    plain = Optimum(
        learning_rate=float(2.0 ** x[best]),
        log2_learning_rate=float(x[best]),
        kind="interior",
        loss=float(mean_L[best]),
        spacing=float(np.min(np.abs(np.delete(x, best) - x[best]))),
        next_to_divergence=bool(diverged_L[max(best - 1, 0) : best + 2].any()),
    )
    if best == 0:
        return replace(plain, kind="upper_bound", bound=float(2.0 ** x[1]))
    if best == x.size - 1:
        return replace(plain, kind="lower_bound", bound=float(2.0 ** x[-2]))
    bracket = float(x[best - 1]), float(x[best + 1])
    if not usable_L[best - 1 : best + 2].all():
        return _bracketed(plain, bracket)
    low, high = _run(usable_L, best)
    return _fitted(plain, bracket, x[low:high], loss_LxS[low:high], best - low)


def _checked(
    learning_rates: ArrayLike, losses: ArrayLike, diverged: ArrayLike | None, stopped: ArrayLike | None
) -> tuple[Floats, Floats, Bools, Bools]:
    """Return log2 learning rates in ascending order with their losses, divergences and stops."""
    rates = np.asarray(learning_rates, dtype=np.float64)
    loss_LxS = np.asarray(losses, dtype=np.float64)
    loss_LxS = loss_LxS[:, None] if loss_LxS.ndim == 1 else loss_LxS
    if rates.ndim != 1 or loss_LxS.ndim != 2 or len(rates) != len(loss_LxS) or loss_LxS.size == 0:
        raise InvalidInputError(
            f"learning_rates has shape {rates.shape} and losses {loss_LxS.shape}; give (n_lr,) and (n_lr, n_seeds)",
            field="losses",
        )
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise InvalidInputError(
            f"learning rates are {rates.tolist()}; give positive finite numbers", field="learning_rates"
        )
    if np.isinf(loss_LxS).any():
        raise InvalidInputError("losses contain infinity; mark a diverged trial as NaN or None", field="losses")
    missing: Bools = np.isnan(loss_LxS)
    stopped_LxS = np.zeros_like(missing) if stopped is None else _mask(stopped, "stopped", loss_LxS)
    diverged_LxS = missing & ~stopped_LxS if diverged is None else _mask(diverged, "diverged", loss_LxS)
    if (diverged_LxS & stopped_LxS).any():
        raise InvalidInputError("a trial is marked diverged and stopped; give one of them", field="stopped")
    order = np.argsort(rates, kind="stable")
    x = np.log2(rates[order])
    if (np.diff(x) < CLOSEST_OCTAVES).any():
        raise InvalidInputError(
            f"learning rates {rates[order].tolist()} are not distinct; merge the equal ones",
            field="learning_rates",
        )
    loss_LxS, diverged_LxS = loss_LxS[order], diverged_LxS[order]
    recognised_LxS = finite_divergences(x, loss_LxS)
    return x, np.where(recognised_LxS, np.nan, loss_LxS), diverged_LxS | recognised_LxS, stopped_LxS[order]


def _mask(cells: ArrayLike, name: str, loss_LxS: Floats) -> Bools:
    """Return a mask over the table, after checking that none of its cells has a loss."""
    mask = np.asarray(cells, dtype=np.bool_)
    if mask.size != loss_LxS.size:
        raise InvalidInputError(
            f"{name} has shape {mask.shape} and losses {loss_LxS.shape}; give the same shape", field=name
        )
    mask = mask.reshape(loss_LxS.shape)
    if (mask & np.isfinite(loss_LxS)).any():
        raise InvalidInputError(f"a trial is marked {name} and has a loss; give one of them", field=name)
    return mask


def _run(usable_L: Bools, best: int) -> tuple[int, int]:
    """Return the half-open range of learning rates around `best` without a divergence."""
    stops = np.flatnonzero(~usable_L)
    below, above = stops[stops < best], stops[stops > best]
    return int(below[-1]) + 1 if below.size else 0, int(above[0]) if above.size else usable_L.size


def _bracketed(plain: Optimum, bracket: tuple[float, float], parabola: Parabola | None = None) -> Optimum:
    """Return an optimum that is only known to lie between the neighbours of the best learning rate.

    The standard error is the root mean square distance from the estimate (the vertex of a parabola, if there
    is one) of a uniform distribution over the bracket.
    """
    if parabola is not None and not bracket[0] < parabola.vertex < bracket[1]:
        parabola = None  # gaps can make the pooled fit disagree with the means
    at = plain.log2_learning_rate if parabola is None else parabola.vertex
    left, right = at - bracket[0], bracket[1] - at
    ends = float(2.0 ** bracket[0]), float(2.0 ** bracket[1])
    optimum = replace(
        plain,
        standard_error=math.sqrt((left**3 + right**3) / (3 * (left + right))),
        interval=ends,
    )
    return optimum if parabola is None else _at_vertex(optimum, parabola, ends)


def _at_vertex(optimum: Optimum, parabola: Parabola, window: tuple[float, float]) -> Optimum:
    """Return the optimum, moved from its grid point to the vertex."""
    return replace(
        optimum,
        learning_rate=float(2.0**parabola.vertex),
        log2_learning_rate=parabola.vertex,
        loss=parabola.loss,
        curvature=parabola.curvature,
        window=window,
    )


def _fitted(plain: Optimum, bracket: tuple[float, float], x: Floats, loss_LxS: Floats, best: int) -> Optimum:
    """Return the vertex of the window's parabola or, if that fails, of the three points around the best."""
    parabola, window = _windowed(x, loss_LxS, best)
    if parabola is None:
        # The lowest mean and its two neighbours are convex by construction, unless all three are equal.
        three = slice(best - 1, best + 2)
        return _bracketed(plain, bracket, fit_parabola(x[three], adjusted_means(loss_LxS)[three, None]))
    if parabola.residual_variance is None:
        return _bracketed(plain, bracket, parabola)
    floor = FLOOR_SPACINGS if x[window].size > 3 else FLOOR_SPACINGS_THREE_POINTS
    # Vertices outside the range tried are rejected, so the error is at most that of a uniform guess in it.
    widest = float(x[-1] - x[0]) / math.sqrt(12)
    residual_error, seed_error = (
        min(max(math.sqrt(variance), floor * plain.spacing), widest)
        for variance in (parabola.residual_variance, parabola.seed_variance)
    )
    error = max(residual_error, seed_error)
    half = quantile(parabola.degrees_of_freedom) * error
    low, high = max(parabola.vertex - half, float(x[0])), min(parabola.vertex + half, float(x[-1]))
    optimum = replace(
        plain,
        standard_error=error,
        residual_error=residual_error,
        seed_error=seed_error,
        interval=(2.0**low, 2.0**high),
        degrees_of_freedom=parabola.degrees_of_freedom,
    )
    return _at_vertex(optimum, parabola, (float(2.0 ** x[window][0]), float(2.0 ** x[window][-1])))


def _windowed(x: Floats, loss_LxS: Floats, best: int) -> tuple[Parabola | None, slice]:
    """Return the parabola over the narrowest possible window, centred on its own vertex; None if there is none."""
    for octaves in WINDOW_OCTAVES:
        window = _window(x, best, octaves)
        found = None
        for _ in range(RECENTRINGS):
            parabola = fit_parabola(x[window], loss_LxS[window])
            if parabola is None or not x[window][0] <= parabola.vertex <= x[window][-1]:
                break
            found, fitted = parabola, window
            window = _window(x, int(np.argmin(np.abs(x - parabola.vertex))), octaves)
            if window == fitted:
                return found, fitted
        else:
            return found, fitted  # two windows that point at each other: either is fine
    return None, window


def _window(x: Floats, centre: int, octaves: float) -> slice:
    """Return the points within `octaves` of `centre`, but for rounding, with at least one neighbour on each side."""
    centre = min(max(centre, 1), x.size - 2)
    rounding = min(ROUNDED_OCTAVES, ROUNDED_SPACINGS * float(np.diff(x).min()))
    near = np.flatnonzero(np.abs(x - x[centre]) <= octaves + rounding)
    return slice(min(int(near[0]), centre - 1), max(int(near[-1]), centre + 1) + 1)
