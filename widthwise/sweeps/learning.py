"""The shape of the curves learnt from all cells: empirical Bayes.

The parameters (log σ, log τ, s̄, k₀, log ν, log υ) maximise Σ_c log Σ_g L_c(g)·N(g; lowest rate of c, max(½, spacing)²)
plus the log of their priors. The prior around the lowest rate is essential: with a flat one, cells of three rates are
explained as noise.
"""

import math
from collections.abc import Sequence

import numpy as np

from widthwise.estimate.shape import CURVATURE_SPREAD, MISFIT, CurveShape
from widthwise.sweeps.cell import Floats, SweepCell
from widthwise.sweeps.shape import Nodes, curve_log_likelihood, curves_of, log_sum_exp

NEAREST = 0.5  # octaves, the least standard deviation of an optimum about the lowest rate (chosen)
#: Priors of log σ, log τ, s̄, k₀, log ν, log υ (chosen on public sweeps): σ relative to the loss and κ relative to the
#: curvature of the median cell, and the standard deviations.
PRIOR_MEAN = np.array([math.log(0.0008), math.log(MISFIT), 0.5, 0.0, math.log(CURVATURE_SPREAD), math.log(0.25)])
PRIOR_SD = np.array([1.0, 0.5, 0.5, 1.0, 0.5, 0.5])
NO_CURVATURE = 0.004  # κ relative to the loss where no cell is convex: that of public language models
SPREADS = [1, 2, 4, 5]  # of those: τ, s̄, ν, υ
FEW_RATES = 5  # the median cell has fewer: its curves can't tell the spreads apart
HELD = 0.15  # factor on those standard deviations then (chosen)
MOST_CELLS = 32  # chosen: intervals from a shape learnt from 40 simulated cells cover 96 to 99 %, from 6 cells 80 %
POINTS, REACH = 21, 2.5  # of each cell's grid while learning, and how many standard deviations it reaches
NODES = Nodes(curvature=5, skew=3)  # while learning
#: Of the simplex search, in standard deviations of the priors (chosen: a finer search moves no prediction)
FIRST_STEP, CLOSE = 0.7, 0.03
CLOSE_NATS, MOST_STEPS = 0.05, 200


def learn_shape(cells: Sequence[SweepCell], most_cells: int = MOST_CELLS) -> CurveShape:
    """Return the shape under which the curves are most plausible, of all cells or of `most_cells` spread over them."""
    from scipy.optimize import minimize

    usable = [cell for cell in cells if cell.x.size > 1]
    centre = _prior_centre(usable)
    if not usable:
        return _shape(centre)
    spread = PRIOR_SD.copy()
    if np.median([cell.x.size for cell in usable]) < FEW_RATES:
        spread[SPREADS] *= HELD
    count = min(len(usable), most_cells)
    taken = [usable[round(i)] for i in np.linspace(0, len(usable) - 1, count)]
    curves, (grid_CxG, log_prior_CxG) = curves_of(taken), _around(taken)

    def cost(step: Floats) -> float:
        log_CxG = curve_log_likelihood(curves, _shape(centre + step * spread), grid_CxG, NODES) + log_prior_CxG
        return float(step @ step) / 2 - float(log_sum_exp(log_CxG.T).sum())

    start = np.zeros(PRIOR_SD.size)
    simplex = np.vstack([start, FIRST_STEP * np.eye(PRIOR_SD.size)])
    found = minimize(
        cost,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": MOST_STEPS, "xatol": CLOSE, "fatol": CLOSE_NATS},
    )
    return _shape(centre + found.x * spread)


def _around(cells: Sequence[SweepCell]) -> tuple[Floats, Floats]:
    """Return a grid around the lowest rate of every cell and the log prior on it, both (C, G)."""
    sd_C = np.array([max(NEAREST, cell.spacing) for cell in cells])
    lowest_C = np.array([cell.lowest for cell in cells])
    away_G = np.linspace(-REACH, REACH, POINTS)
    log_prior_G = -(away_G**2) / 2
    log_prior_G -= np.logaddexp.reduce(log_prior_G)
    return lowest_C[:, None] + sd_C[:, None] * away_G, np.tile(log_prior_G, (len(cells), 1))


def _prior_centre(cells: Sequence[SweepCell]) -> Floats:
    """Return the centres of the priors in the units of the loss."""
    loss = float(np.median([cell.losses.min() for cell in cells])) if cells else 1.0
    bends = [bend for cell in cells if (bend := _bend(cell)) is not None]
    curvature = float(np.median(bends)) if bends else NO_CURVATURE * loss
    return np.asarray(PRIOR_MEAN + np.array([math.log(loss), 0.0, 0.0, math.log(curvature), 0.0, 0.0]))


def _bend(cell: SweepCell) -> float | None:
    """Return the curvature through the lowest loss and its neighbours; None unless it is convex."""
    if cell.x.size < 3:
        return None
    best = min(max(int(np.argmin(cell.losses)), 1), cell.x.size - 2)
    three = slice(best - 1, best + 2)
    bend = float(np.polyfit(cell.x[three] - cell.x[best], cell.losses[three], 2)[0])
    return bend if bend > 0 else None


def _shape(parameters: Floats) -> CurveShape:
    noise, misfit, skew, curvature, curvature_spread, skew_spread = (float(value) for value in parameters)
    return CurveShape(
        math.exp(noise), math.exp(misfit), skew, math.exp(curvature), math.exp(curvature_spread), math.exp(skew_spread)
    )
