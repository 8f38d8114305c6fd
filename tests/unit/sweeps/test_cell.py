"""Cells: which runs belong together, and which rates are walls and not points."""

import numpy as np
import pytest

from widthwise.errors import InvalidInputError
from widthwise.sweeps import SweepRun
from widthwise.sweeps.cell import cells_of


def runs(losses, first=0.001, **axes):
    return [SweepRun(first * 2**k, loss, axes or {"width": 64.0}) for k, loss in enumerate(losses)]


def test_axes_within_one_percent_are_one_cell() -> None:
    cells = cells_of([*runs([3.0], tokens=1e9), *runs([3.1], tokens=1.009e9), *runs([3.2], tokens=1.02e9)])
    assert [cell.axes["tokens"] for cell in cells] == [1e9, 1.02e9]
    assert cells[0].run_counts.tolist() == [2.0]


def test_rates_rounded_differently_are_one_rate() -> None:
    (cell,) = cells_of([SweepRun(2.441e-4, 3.0, {}), SweepRun(2.0**-12, 3.2, {}), SweepRun(4.9e-4, 3.1, {})])
    assert cell.losses.tolist() == pytest.approx([3.1, 3.1])
    assert cell.run_counts.tolist() == [2.0, 1.0]


def test_seeds_are_compared_where_they_ran() -> None:
    (cell,) = cells_of(
        [
            SweepRun(rate, loss, {}, seed)
            for rate, loss, seed in [(1, 3.0, 0), (2, 2.9, 0), (1, 3.5, 1), (2, 3.4, 1), (4, 3.6, 1)]
        ]
    )
    assert np.diff(cell.losses).tolist() == pytest.approx([-0.1, 0.2])


def test_a_divergence_is_a_wall_for_its_rate() -> None:
    (cell,) = cells_of(runs([3.1, 3.0, 3.05, None, None]))
    assert cell.wall_above == pytest.approx(np.log2(0.008))
    assert cell.wall_below is None
    assert cell.x.size == 3
    (cell,) = cells_of([SweepRun(1, 3.0, {}, 0), SweepRun(2, 2.9, {}, 0), SweepRun(2, None, {}, 1)])
    assert cell.x.tolist() == [0.0]


def test_a_divergence_below_the_best_rate_is_not_a_wall() -> None:
    (cell,) = cells_of(runs([None, 3.0, 3.05]))
    assert cell.wall_below is None
    assert cell.wall_above is None


def test_finite_losses_of_diverged_runs_are_walls_and_said() -> None:
    (cell,) = cells_of(runs([3.1, 3.0, 3.05, 7.8, 7.8]))
    assert cell.wall_above == pytest.approx(np.log2(0.008))
    assert cell.read_as_diverged == pytest.approx((0.008, 0.016))
    (slow,) = cells_of(runs([4.0, 3.5, 3.1, 3.0, 3.05]))
    assert slow.wall_below == pytest.approx(np.log2(0.002))
    assert slow.read_as_diverged == ()


def test_a_cell_may_have_diverged_everywhere() -> None:
    (cell,) = cells_of(runs([None, None]))
    assert cell.x.size == 0
    assert cell.wall_above == pytest.approx(np.log2(0.001))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "there are no runs"),
        ([*runs([3.0], width=1.0), *runs([3.0], depth=1.0)], "one lacks 'depth'"),
        ([SweepRun(1, 3.0, {}, 0), SweepRun(1, 3.1, {}, 0)], "two losses for learning rate 1, seed 0"),
        ([*runs([3.0], kind="a"), *runs([3.0], kind=1.0)], "kind is 'a' in one run and a number in another"),
    ],
)
def test_runs_that_contradict_each_other_are_refused(given, said) -> None:
    with pytest.raises(InvalidInputError, match=said):
        cells_of(given)
    if given:
        assert cells_of([SweepRun(1, 3.0, {}, 0), SweepRun(1, 3.0, {}, 0)])[0].run_counts.tolist() == [1.0]
