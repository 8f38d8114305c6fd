"""The next runs of a sweep: those expected to lower the variance of the prediction most per cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from widthwise.estimate.information import QUANTILES, CurveInformation, curve_information, target_variance
from widthwise.sweeps.belief import Belief
from widthwise.sweeps.cell import LOST, Floats
from widthwise.sweeps.planned import PlannedCell
from widthwise.sweeps.shape import NOISY

START = 3  # rates that a cell is begun with: fewer can't tell its curvature from its optimum
NEAR_SPREADS, NEAR_OCTAVES = 2.5, 2.0  # how far from a cell's optimum its rates are considered (chosen)
MOST_RATES = 12  # of a cell that are considered, evenly spread (chosen): all triples of them are compared
BEYOND = 1.0  # octaves beyond its rates that a cell's optimum is looked for (chosen)
NOISE_FACTOR = 1 / float((NOISY[:, 1] / NOISY[:, 0] ** 2).sum())  # h² of an average run: noisy cells say little
NOTHING_LEFT = 0.05  # of the interval's width: all the runs that remain would save less (chosen)


@dataclass(frozen=True)
class CellState:
    """The runs of one cell so far."""

    cell: PlannedCell
    counts: Floats  #: (L,), runs at each rate that have a loss or are under way
    free: Floats  #: (L,), how many more runs each rate allows


@dataclass(frozen=True)
class Design:
    """Some runs of one cell, planned together."""

    cell: int
    rates: tuple[int, ...]  #: indices, in the order in which they are to be run
    gain: float  #: octaves², by which they are expected to lower the variance at the target
    cost: float


def next_designs(states: Sequence[CellState], belief: Belief, target: int, count: int, budget: float) -> list[Design]:
    """Return designs of at least `count` runs, if there are so many that cost no more than the budget together.

    Each is chosen as if the ones before had been run. target: the place in `belief`.
    """
    states, found = list(states), list[Design]()
    about = [_curves(state, belief, index) for index, state in enumerate(states)]
    while sum(len(plan.rates) for plan in found) < count:
        best = _best(states, about, belief, target, budget - sum(plan.cost for plan in found))
        if best is None:
            break
        found.append(best)
        state = states[best.cell]
        step = np.bincount(best.rates, minlength=state.counts.size)
        states[best.cell] = CellState(state.cell, state.counts + step, state.free - step)
    return found


def worth_running(states: Sequence[CellState], belief: Belief, target: int) -> bool:
    """Return whether all runs that are still free would make the interval noticeably narrower."""
    about = [_curves(state, belief, index) for index, state in enumerate(states)]
    now = target_variance(belief.priors, _information(states, about, belief), target).mean
    after = [CellState(state.cell, state.counts + state.free, state.free) for state in states]
    then = target_variance(belief.priors, _information(after, about, belief), target).mean
    return bool(np.sqrt(then / now) < 1 - NOTHING_LEFT)


def _curves(state: CellState, belief: Belief, index: int) -> CurveInformation:
    x_L = state.cell.x
    optimum_G = belief.centre[index] + belief.spread[index] * QUANTILES
    optimum_G = np.clip(optimum_G, x_L[0] - BEYOND, x_L[-1] + BEYOND)
    return curve_information(
        x_L,
        optimum_G,
        belief.shape,
        noise=NOISE_FACTOR * belief.shape.noise**2,
        lost=(LOST - 1) * float(belief.loss[index]),
    )


def _information(states: Sequence[CellState], about: Sequence[CurveInformation], belief: Belief) -> Floats:
    """Return the information that each place's runs have about its optimum, (P,): the mean over its values."""
    found_P = np.zeros(belief.centre.size)
    for index, (state, curves) in enumerate(zip(states, about, strict=True)):
        found_P[index] = curves.about_optimum(state.counts[None]).mean()
    return found_P


def _best(
    states: Sequence[CellState], about: Sequence[CurveInformation], belief: Belief, target: int, budget: float
) -> Design | None:
    """Return the plan of the largest gain per cost; None if none is left, affordable and of any use."""
    variance = target_variance(belief.priors, _information(states, about, belief), target)
    best: Design | None = None
    for index, (state, curves) in enumerate(zip(states, about, strict=True)):
        near = max(NEAR_SPREADS * float(belief.spread[index]), NEAR_OCTAVES)
        designs = [
            one for one in _designs(state, float(belief.centre[index]), near) if len(one) * state.cell.cost <= budget
        ]
        if not designs:
            continue
        added_DxL = np.stack([np.bincount(one, minlength=state.counts.size) for one in designs])
        before_1xG, after_DxG = (curves.about_optimum(state.counts + more) for more in (np.zeros((1, 1)), added_DxL))
        gain_D = variance.gain(index, np.maximum(after_DxG - before_1xG, 0.0))
        cost_D = np.array([len(one) for one in designs]) * state.cell.cost
        at = int(np.argmax(gain_D / cost_D))
        if gain_D[at] > 0 and (best is None or gain_D[at] / cost_D[at] > best.gain / best.cost):
            best = Design(index, _middle_first(designs[at]), float(gain_D[at]), float(cost_D[at]))
    return best


def _designs(state: CellState, centre: float, near: float) -> Iterator[tuple[int, ...]]:
    """Yield sets of rates: one more, or as many as a cell needs that has fewer than `START`.

    They lie within `near` octaves of the centre, or are those nearest to it.
    """
    free = np.flatnonzero(state.free > 0)
    if not free.size:
        return
    away = np.abs(state.cell.x[free] - np.clip(centre, state.cell.x[free[0]], state.cell.x[free[-1]]))
    free = free[away <= max(near, np.sort(away)[min(START, free.size) - 1])]
    taken = np.unique(np.linspace(0, free.size - 1, min(free.size, MOST_RATES)).round().astype(int))
    there = int((state.counts > 0).sum())
    yield from combinations([int(at) for at in free[taken]], min(max(START - there, 1), taken.size))


def _middle_first(design: tuple[int, ...]) -> tuple[int, ...]:
    """Return a design from the middle outwards: if that diverges, the next ask can look lower."""
    middle = (len(design) - 1) / 2
    return tuple(design[at] for at in sorted(range(len(design)), key=lambda at: (abs(at - middle), at)))
