"""The skew that the loss curves of all widths share, and how it moves each optimum.

A loss rises faster towards divergence than away from it, so the vertex of a parabola lies on the slow side of the
optimum: by a tenth of an octave for windows of an octave on each side, by less for narrower ones. Near the optimum v
the loss is modelled as c·(t² + ρ·t³), t = x − v in octaves, with one ρ for all widths. One width hardly determines ρ,
but all of them together do. The vertex of a parabola through the points of a window then follows by arithmetic.

ρ has a normal prior around 0, so that noise alone causes no skew. All widths share its error: it moves every optimum by
about the same amount, and so the level of a law over widths but not its drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from widthwise.estimate.intervals import quantile
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parabola import Floats
from widthwise.estimate.surface import Surface

SKEW_PRIOR = 1 / 3  # of eˣ − 1 − x, a curve twice as steep towards divergence as away from it (chosen)
OCTAVES = 1.5  # points this close to the vertex show the skew; measured: 1 is noisy, 2 also sees the fifth power
COARSE_OCTAVES = 2.0  # the same if too few lie that close: on a grid of octaves four or five do
PASSES = 2  # the expansion is around the optimum, which moves once the skew is known
FEWEST = 4  # learning rates that a cubic needs


@dataclass(frozen=True)
class Skew:
    """ρ of the loss curves, per octave."""

    value: float
    standard_error: float


def corrected(surfaces: Sequence[Surface], optima: Sequence[Optimum]) -> tuple[Optimum, ...]:
    """Return the optima of several widths, each moved from its parabola's vertex to the minimum under the common skew.

    Bounds and optima without a parabola do not change, and none changes if fewer than two widths show a skew.
    """
    tables = [_table(surface) for surface in surfaces]
    found = list(optima)
    for _ in range(PASSES):
        skew = _skew(tables, found)
        if skew is None:
            return tuple(optima)
        found = [_moved(plain, table, skew) for plain, table in zip(optima, tables, strict=True)]
    return tuple(found)


def unshared_errors(optima: Sequence[Optimum], own_W: Floats) -> tuple[Floats, float]:
    """Return each optimum's error apart from what all share, (W,), and that; `own_W` are their own errors.

    The skew's error moves the level of a law over the optima, not its slope. Different windows share it only in part.
    """
    shared_W = np.array([optimum.shared_error for optimum in optima])
    shared = float(shared_W.mean())
    return np.hypot(own_W, shared_W - shared), shared


def _table(surface: Surface) -> tuple[Floats, Floats]:
    """Return a width's log2 learning rates (n_lr,) and losses (n_lr, n_seeds), without diverged or stopped ones."""
    lost_L = (surface.diverged | surface.stopped).any(axis=1)
    usable_L = np.isfinite(surface.losses).any(axis=1) & ~lost_L
    return np.log2(surface.learning_rates)[usable_L], surface.losses[usable_L]


def _skew(tables: Sequence[tuple[Floats, Floats]], optima: Sequence[Optimum]) -> Skew | None:
    """Fit ρ from cubics around the optima: cubic coefficient = ρ · quadratic coefficient, over all widths."""
    squares, dof, precision, product, shown = 0.0, 0, 0.0, 0.0, 0
    for (x, loss_LxS), optimum in zip(tables, optima, strict=True):
        away_L = np.abs(x - optimum.log2_learning_rate)
        near_L = away_L <= (OCTAVES if (away_L <= OCTAVES).sum() >= FEWEST else COARSE_OCTAVES)
        if optimum.window is None or near_L.sum() < FEWEST:
            continue
        row, column = np.nonzero(np.isfinite(loss_LxS[near_L]))
        t = x[near_L][row] - optimum.log2_learning_rate
        y = loss_LxS[near_L][row, column]
        seeds = np.eye(loss_LxS.shape[1])[:, np.unique(column)][column]
        design = np.column_stack([t**3, t**2, t, seeds])
        solution, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
        if rank < design.shape[1] or solution[1] <= 0:
            continue
        residual = y - design @ solution
        squares, dof, shown = squares + float(residual @ residual), dof + y.size - int(rank), shown + 1
        variance = float(np.linalg.inv(design.T @ design)[0, 0])
        precision += float(solution[1] ** 2) / variance
        product += float(solution[1] * solution[0]) / variance
    if shown < 2 or dof < 1:
        return None
    noise = max(squares / dof, np.finfo(float).tiny)
    total = precision / noise + SKEW_PRIOR**-2
    return Skew(product / noise / total, total**-0.5)


def _moved(plain: Optimum, table: tuple[Floats, Floats], skew: Skew) -> Optimum:
    """Return the optimum for which a parabola through the skewed curve in the same window has the observed vertex."""
    if plain.window is None or plain.standard_error is None:
        return plain
    x, loss_LxS = table
    low, high = np.log2(plain.window)
    inside_L = (x >= low - 1e-9) & (x <= high + 1e-9)
    points, weight = x[inside_L], np.sqrt(np.isfinite(loss_LxS[inside_L]).sum(axis=1))
    if points.size < 3:
        return plain
    vertex = plain.log2_learning_rate
    at = vertex
    for _ in range(PASSES):
        at = float(np.clip(vertex - _vertex(skew.value, _cube(points - at, weight)), low, high))
    cube = _cube(points - at, weight)
    nudged = _vertex(skew.value + skew.standard_error, cube)
    shared = abs(nudged - _vertex(skew.value, cube))
    shift, error = at - vertex, float(np.hypot(plain.standard_error, shared))
    optimum = replace(
        plain,
        learning_rate=float(2.0**at),
        log2_learning_rate=at,
        skew_shift=shift,
        standard_error=error,
        shared_error=shared,
    )
    if plain.interval is None or not plain.degrees_of_freedom:
        return optimum
    half = quantile(plain.degrees_of_freedom) * error
    ends = max(at - half, float(x[0])), min(at + half, float(x[-1]))
    return replace(optimum, interval=(2.0 ** ends[0], 2.0 ** ends[1]))


def _cube(t: Floats, weight: Floats) -> tuple[float, float]:
    """Return slope and curvature of the least-squares parabola through t³."""
    design = np.vander(t, 3, increasing=True) * weight[:, None]
    _, slope, curvature = np.linalg.solve(design.T @ design, design.T @ (t**3 * weight))
    return float(slope), float(curvature)


def _vertex(skew: float, cube: tuple[float, float]) -> float:
    """Return the vertex of the least-squares parabola through t² + ρ·t³."""
    slope, curvature = cube
    return -skew * slope / (2 * max(1 + skew * curvature, 0.5))  # 0.5: close to a parabola, whatever the noise
