"""The optimum of one cell that was run: what its own curve says, given what all other cells say.

Other cells enter as the cavity: the posterior of f_c without the cell's own term. Laplace's approximation has it as
N(f_c − gradient/precision, 1/precision), with precision = 1/variance of f_c − curvature of the cell's term (as for
expectation propagation: Rasmussen and Williams 2006, eq. 3.56). The optimum is then distributed as
L_c(g)·N(g; cavity, its variance + ω²), which keeps an edge open: no normal distribution stands for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from widthwise.estimate.shape import CurveShape, phi
from widthwise.sweeps.cell import Floats, SweepCell
from widthwise.sweeps.posterior import Component, SweepData

Edge = Literal["low", "high", "both"]
TAIL = 0.025  # of each side of a 95 % interval


@dataclass(frozen=True)
class CellOptimum:
    """The best learning rate of a cell that was run."""

    axes: Mapping[str, float | str]
    learning_rate: float
    interval: tuple[float, float]  #: 95 %
    edge: Edge | None  #: on which side of the rates tried the optimum may lie; None if they bracket it
    curvature: float | None  #: nats per octave², as in loss ≈ lowest + curvature·octaves²; None without two losses
    read_as_diverged: tuple[float, ...]  #: learning rates with a finite loss that were taken as diverged


def cell_optima(
    cells: Sequence[SweepCell], shape: CurveShape, data: SweepData, components: Sequence[Component]
) -> tuple[CellOptimum, ...]:
    """Return the optimum of every cell."""
    density_CxG = _densities(data, components)
    return tuple(
        _optimum(cell, shape, data.grid, density_G) for cell, density_G in zip(cells, density_CxG, strict=True)
    )


def _densities(data: SweepData, components: Sequence[Component]) -> Floats:
    """Return the distribution of every cell's optimum over the grid, (C, G)."""
    total_CxG = np.zeros(data.log_likelihood.shape)
    for component in components:
        variance_C = np.einsum("cb,bd,cd->c", component.design, component.covariance, component.design)
        precision_C = np.maximum(1 / variance_C - component.curvature, 1e-6)  # positive but for rounding
        cavity_C = component.centre - component.gradient / precision_C
        spread_C = 1 / precision_C + component.omega**2
        log_CxG = data.log_likelihood - (data.grid - cavity_C[:, None]) ** 2 / (2 * spread_C[:, None])
        part_CxG = np.exp(log_CxG - log_CxG.max(axis=1, keepdims=True))
        total_CxG += component.weight * part_CxG / part_CxG.sum(axis=1, keepdims=True)
    return total_CxG


def _optimum(cell: SweepCell, shape: CurveShape, grid_G: Floats, density_G: Floats) -> CellOptimum:
    """Return mean and quantiles of one cell's distribution."""
    below_G = np.cumsum(density_G) - density_G / 2  # half of a point's mass lies on either side of it
    low, high = np.interp([TAIL, 1 - TAIL], below_G, grid_G)
    at = float(density_G @ grid_G)
    return CellOptimum(
        axes=cell.axes,
        learning_rate=2.0**at,
        interval=(float(2.0**low), float(2.0**high)),
        edge=edge_of(cell),
        curvature=_curvature(cell, shape, at),
        read_as_diverged=cell.read_as_diverged,
    )


def edge_of(cell: SweepCell) -> Edge | None:
    """Return on which side the lowest loss has neither a neighbour nor a wall."""
    best = int(np.argmin(cell.losses)) if cell.x.size else 0
    low = best == 0 and cell.wall_below is None
    high = best == cell.x.size - 1 and cell.wall_above is None
    if low and high:
        return "both"
    return "low" if low else "high" if high else None


def _curvature(cell: SweepCell, shape: CurveShape, at: float) -> float | None:
    """Return κ by least squares on φ, weighted as in `shape` and drawn towards the common curvature."""
    if cell.x.size < 2:
        return None
    rise_P = phi(cell.x - at, shape.skew)
    weight_P = 1 / (shape.noise**2 / cell.run_counts + (shape.misfit * shape.curvature * rise_P) ** 2)
    rise_P = rise_P - np.average(rise_P, weights=weight_P)
    prior = (shape.curvature * shape.curvature_spread) ** -2
    found = (prior * shape.curvature + weight_P @ (rise_P * cell.losses)) / (prior + weight_P @ rise_P**2)
    return max(float(found), 0.0)
