"""Where a finite loss starts to count as that of a diverged run: a loss on either side of each limit, by hand."""

import numpy as np
import pytest

from widthwise.estimate.losses import finite_divergences

NAN = float("nan")


def judged(losses: list[float], spacing: float = 1.0) -> list[int]:
    """The places of the losses that count as diverged, at learning rates `spacing` octaves apart."""
    x = -10 + spacing * np.arange(len(losses))
    return np.flatnonzero(finite_divergences(x, np.array(losses)[:, None])).tolist()


@pytest.mark.parametrize(
    ("below", "limit"),
    [
        ([2.2, 2.1, 2.0], 2.1 + 20 * 0.1),  # their median + 20 times the rise between neighbours
        ([2.25, 2.05, 2.0], 2.05 + 20 * 0.2),  # the larger of the two nearest rises
        ([2.25, 2.2, 2.0], 2.2 + 20 * 0.2),
        ([2.18, 2.17, 2.16, 2.15, 2.05, 2.0], 2.155 + 20 * 0.1),  # of the two nearest, and not the median of all
        ([3.52, 3.02, 2.52, 2.02, 2.01, 2.0], 2.27 + 20 * 0.5),  # the median of all rises if that is larger
        ([3.04, 2.04, 2.03, 2.02, 2.01, 2.0], 2.025 + 1.04),  # at least what the losses span
    ],
)
def test_a_loss_is_a_divergence_beyond_twenty_rises_and_the_span_of_the_losses_below(
    below: list[float], limit: float
) -> None:
    assert judged([*below, limit - 1e-3]) == []
    assert judged([*below, limit + 1e-3]) == [len(below)]


def test_three_learning_rates_below_show_the_rise_and_two_do_not() -> None:
    assert judged([2.2, 2.1, 2.0, 9.0]) == [3]
    assert judged([2.1, 2.0, 9.0, 9.0]) == []  # two below the first; the second is judged next to it
    assert judged([2.1, 2.0, 9.0]) == []


@pytest.mark.parametrize(("spacing", "found"), [(0.41, [3]), (0.39, [])])
def test_learning_rates_closer_than_two_fifths_of_an_octave_show_one_rise(spacing: float, found: list[int]) -> None:
    assert judged([2.2, 2.1, 2.0, 9.0], spacing) == found
    fine = [2.4, 2.3, 2.2, 2.1, 2.0]  # with every second one, the rise between neighbours is 0.2 at a spacing of 0.39
    limit = 2.2 + 20 * (0.1 if found else 0.2)
    assert judged([*fine, limit - 1e-3], spacing) == []
    assert judged([*fine, limit + 1e-3], spacing) == [5]


def test_a_divergence_is_none_of_the_losses_that_the_next_is_compared_with() -> None:
    assert judged([2.2, 2.1, 2.0, 9.0, 4.2, 4.0]) == [3, 4]  # more than 4.1, and less
    assert judged([9.0, 2.2, 2.1, 2.0, 2.1]) == []  # nothing below the best


def test_every_seed_is_judged_by_its_own_losses_and_a_gap_is_none() -> None:
    losses = np.array([[2.2, 12.2], [NAN, NAN], [2.1, 12.1], [2.0, 12.0], [9.0, NAN], [NAN, 14.2]])
    found = finite_divergences(np.arange(-10.0, -4.0), losses)
    assert np.argwhere(found).tolist() == [[4, 0], [5, 1]]
