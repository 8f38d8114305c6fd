"""When a run of a sweep may end early, and that a run which matters may not."""

import math

import pytest

from tests.unit.sweeps.test_asking import sweep
from widthwise.sweeps.stopping import may_stop

STEPS = range(10, 110, 10)


def falling(end: float, start: float = 6.0) -> dict[int, float]:
    """A curve that falls to its end as one over the step."""
    return {step: end + (start - end) * 10 / step * (110 - step) / 100 for step in STEPS}


FINISHED = [(falling(3.0), 3.0), (falling(3.05), 3.05)]


def so_far(curve: dict[int, float], step: int) -> dict[int, float]:
    return {at: loss for at, loss in curve.items() if at <= step}


@pytest.mark.parametrize("end", [2.9, 3.0, 3.2])
def test_what_may_be_a_point_of_the_curve_goes_on(end: float) -> None:
    assert not any(may_stop(so_far(falling(end), step), FINISHED) for step in STEPS)


def test_what_can_only_end_far_above_is_stopped() -> None:
    stops = [step for step in STEPS if may_stop(so_far(falling(5.0), step), FINISHED)]
    assert stops
    assert stops == list(STEPS)[-len(stops) :]


def test_nothing_is_stopped_without_two_to_compare_with() -> None:
    assert not any(may_stop(so_far(falling(5.0), step), FINISHED[:1]) for step in STEPS)


def test_a_divergence_is_stopped_and_a_spike_is_not() -> None:
    assert may_stop({1: 4.0, 2: math.nan}, [])
    assert not may_stop({1: 4.0, 2: 9.0, 3: 9.0, 4: 4.1}, [])
    assert may_stop({1: 4.0, 2: 9.0, 3: 9.0, 4: 9.0}, [])
    assert not may_stop({}, [])


def test_a_sweep_stops_a_run_by_those_of_its_cell() -> None:
    asked = sweep(axes={"width": [64]})
    runs = asked.ask(4)
    for run, (curve, end) in zip(runs, FINISHED, strict=False):
        assert not any(asked.report(run, step, loss) for step, loss in curve.items())
        asked.tell(run, end)
    stopped = [step for step, loss in falling(5.0).items() if asked.report(runs[2], step, loss)]
    assert stopped
    assert asked.report(runs[3], 1, math.inf)
