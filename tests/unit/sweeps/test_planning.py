"""Which runs come next: before anything is known, per cost, and with walls and runs under way."""

import numpy as np
import pytest

from widthwise.sweeps.belief import Belief, belief_before
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.planned import PlannedCell
from widthwise.sweeps.planning import START, CellState, next_designs, worth_running
from widthwise.sweeps.run import SweepRun
from widthwise.sweeps.states import RunsSoFar, cell_states

X = np.arange(-13.0, -3.9, 0.5)
PLACES = [{"width": 64.0}, {"width": 128.0}, {"width": 1024.0}]


def state(place: int, cost: float = 1.0, free: np.ndarray | None = None) -> CellState:
    none = np.zeros(X.size)
    return CellState(PlannedCell(PLACES[place], X, cost), none, none + 1 if free is None else free)


def nothing_known(walls: tuple[float, ...] = ()) -> Belief:
    return belief_before(PLACES, (float(X[0]), float(X[-1])), (), walls)


def test_a_cell_is_begun_with_three_rates_from_the_middle_outwards() -> None:
    (first,) = next_designs([state(0), state(1)], nothing_known(), 2, 1, np.inf)
    x = X[list(first.rates)]
    assert len(x) == START
    assert min(x) < x[0] < max(x)
    assert max(x) - min(x) >= 2  # octaves: the optimum may be anywhere


@pytest.mark.parametrize("cheap", [0, 1])
def test_the_cheaper_of_two_cells_comes_first(cheap: int) -> None:
    costs = [10.0, 10.0]
    costs[cheap] = 1.0
    (first,) = next_designs([state(0, costs[0]), state(1, costs[1])], nothing_known(), 2, 1, np.inf)
    assert first.cell == cheap


def test_what_is_under_way_counts() -> None:
    first, second = next_designs([state(0), state(1)], nothing_known(), 2, START + 1, np.inf)
    assert {first.cell, second.cell} == {0, 1}


def test_a_divergence_lowers_what_is_expected_everywhere() -> None:
    assert nothing_known((-9.0,)).centre == pytest.approx((X[0] - 9.0) / 2)


def test_the_budget_leaves_no_cell_begun_in_part() -> None:
    assert next_designs([state(0), state(1)], nothing_known(), 2, 1, START - 0.5) == []


def test_nothing_is_worth_running_without_a_free_rate() -> None:
    assert worth_running([state(0), state(1)], nothing_known(), 2)
    assert not worth_running([state(0, free=np.zeros(X.size)), state(1, free=np.zeros(X.size))], nothing_known(), 2)


def test_a_rate_beyond_a_wall_is_not_free() -> None:
    cell = PlannedCell(PLACES[0], X, 1.0)
    finished = [SweepRun(2.0**-8, 2.5, PLACES[0]), SweepRun(2.0**-7, None, PLACES[0])]
    pending, dropped = (SweepRun(2.0**x, None, PLACES[0]) for x in (-9, -10))
    so_far = RunsSoFar(finished, [pending], [dropped], cells_of(finished))
    (found,) = cell_states([cell], so_far, 1)
    assert set(X[found.free == 0]) == {-10.0, -9.0, -8.0, *X[X >= -7]}
    assert set(X[found.counts > 0]) == {-9.0, -8.0}
