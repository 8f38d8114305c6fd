"""What the loss curves of all cells share, and what one cell's curve says about its optimum.

With x = log2 of the learning rate and x* the optimum of a cell, loss(x) = m + κ·φ(x − x*; s) + e
(`widthwise.estimate.shape`; docs/sweeps.md describes the model). The error of a mean over n runs is
e ~ N(0, (h·σ)²/n + (τ·κ·φ)²): noise, and misfit in proportion to the excess. Cells differ: log κ ~ N(k₀, ν²),
s ~ N(s̄, υ²), and a few are noisy: h is 1, 3 or 9. The level m has a flat prior and is integrated out by arithmetic,
κ and s by Gauss–Hermite quadrature.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from widthwise.estimate.shape import CurveShape, phi
from widthwise.sweeps.cell import Floats, SweepCell

STEP = 0.05  # octaves between the points of a grid (chosen): a third of the sharpest optimum of public sweeps
NOISY = np.array([(1.0, 0.85), (3.0, 0.12), (9.0, 0.03)])  # h and its share of the cells (measured on public sweeps)
OPEN = 1.5  # octaves (chosen): this far outside its points a curve says nothing more
WALL = 20.0  # nats per octave (chosen): an optimum a quarter of an octave beyond a divergence is ruled out
LOGS = 8  # variances multiplied before each logarithm: few enough not to overflow


@dataclass(frozen=True)
class Nodes:
    """How many quadrature nodes the integrals over κ and s take."""

    curvature: int = 7  # chosen: more move no optimum by a hundredth of an octave
    skew: int = 5


@dataclass(frozen=True)
class Curves:
    """The points of several cells as arrays, filled up to the same number of points."""

    x: Floats  #: (C, P), log2 of the learning rates
    y: Floats  #: (C, P), nats above the cell's lowest loss
    run_counts: Floats  #: (C, P), 0 for a point that only fills up


def curves_of(cells: Sequence[SweepCell]) -> Curves:
    """Return the points of the cells."""
    most = max(cell.x.size for cell in cells)
    x_CxP, y_CxP, n_CxP = (np.zeros((len(cells), most)) for _ in range(3))
    for row, cell in enumerate(cells):
        points = slice(cell.x.size)
        x_CxP[row, points], y_CxP[row, points] = cell.x, cell.losses - cell.losses.min()
        n_CxP[row, points] = cell.run_counts
        x_CxP[row, cell.x.size :] = cell.x[0]
    return Curves(x_CxP, y_CxP, n_CxP)


def curve_log_likelihood(curves: Curves, shape: CurveShape, grid_CxG: Floats, nodes: Nodes) -> Floats:
    """Return log p(losses of a cell | its optimum is at a point of its grid), (C, G), but for a constant per cell."""
    node_K, log_weight_K = _hermite(nodes.curvature)
    node_S, log_weight_S = _hermite(nodes.skew)
    kappa_K = shape.curvature * np.exp(shape.curvature_spread * node_K)
    skew_S = shape.skew + shape.skew_spread * node_S
    h_H, share_H = NOISY.T
    # Sums over the points of w, w·r, w·r² and log of the variance, with w = 1/variance and r = y − κφ
    dimensions = (h_H.size, node_K.size, node_S.size, *grid_CxG.shape)
    w_sum, wr_sum, wrr_sum, log_sum, product = (np.full(dimensions, fill) for fill in (0.0, 0.0, 0.0, 0.0, 1.0))
    variance, w = np.empty(dimensions), np.empty(dimensions)  # allocated once: that takes as long as computing them
    for point in range(curves.x.shape[1]):
        n_C = curves.run_counts[:, point]
        taken = n_C > 0
        t_CxG = curves.x[:, point, None] - grid_CxG
        phi_SxCxG = np.stack([phi(t_CxG, float(s)) for s in skew_S])
        rise_KxSxCxG = kappa_K[:, None, None, None] * phi_SxCxG
        # In units of σ², so that a product of variances stays in range
        noise_HxC = h_H[:, None] ** 2 / np.where(taken, n_C, 1.0)
        misfit_KxSxCxG = shape.misfit / shape.noise * rise_KxSxCxG
        np.add(noise_HxC[:, None, None, :, None], misfit_KxSxCxG**2, out=variance)
        r_KxSxCxG = (curves.y[:, point, None] - rise_KxSxCxG) / shape.noise
        if not taken.all():
            variance[..., ~taken, :] = 1.0
        np.divide(1, variance, out=w)
        if not taken.all():
            w[..., ~taken, :] = 0.0
        w_sum += w
        w *= r_KxSxCxG
        wr_sum += w
        w *= r_KxSxCxG
        wrr_sum += w
        product *= variance
        if point % LOGS == LOGS - 1:
            log_sum += np.log(product)
            product.fill(1.0)
    log_sum += np.log(product)
    # ∫ dm of the product of normal densities: the level m is the weighted mean of r.
    log_density = -(log_sum + wrr_sum - wr_sum**2 / w_sum + np.log(w_sum)) / 2
    log_weight = np.log(share_H)[:, None, None] + log_weight_K[:, None] + log_weight_S
    counts_C = (curves.run_counts > 0).sum(axis=1)
    terms = (log_density + log_weight[..., None, None]).reshape(-1, *grid_CxG.shape)
    return np.asarray(log_sum_exp(terms) - (counts_C[:, None] - 1) * math.log(shape.noise))


def log_sum_exp(terms: Floats) -> Floats:
    """Return log Σ exp over the first axis."""
    top = terms.max(axis=0)
    return np.asarray(top + np.log(np.exp(terms - top).sum(axis=0)))


@lru_cache
def _hermite(count: int) -> tuple[Floats, Floats]:
    """Return nodes and log weights for the mean over a standard normal, both (count,)."""
    node_K, weight_K = np.polynomial.hermite_e.hermegauss(count)
    return node_K, np.log(weight_K / weight_K.sum())


def cell_log_likelihood(cell: SweepCell, shape: CurveShape, grid_G: Floats) -> Floats:
    """Return log L of the optimum at each point of the grid, (G,): the curve, held constant far outside, and walls."""
    log_G = np.zeros(grid_G.size)
    if cell.x.size > 1:  # a single point has no shape
        inside = (grid_G >= cell.x[0] - OPEN) & (grid_G <= cell.x[-1] + OPEN)
        found_G = curve_log_likelihood(curves_of([cell]), shape, grid_G[None, inside], Nodes())[0]
        log_G = np.interp(grid_G, grid_G[inside], found_G - found_G.max())
    if cell.wall_above is not None:
        log_G = log_G - WALL * np.maximum(grid_G - cell.wall_above, 0)
    if cell.wall_below is not None:
        log_G = log_G - WALL * np.maximum(cell.wall_below - grid_G, 0)
    return log_G


def common_grid(cells: Sequence[SweepCell], margin: float) -> Floats:
    """Return the grid of x that all cells share: `margin` octaves beyond every rate."""
    ends = [x for cell in cells for x in (*cell.x, cell.wall_below, cell.wall_above) if x is not None]
    low, high = min(ends) - margin, max(ends) + margin
    return np.asarray(low + STEP * np.arange(math.ceil((high - low) / STEP) + 1))
