"""A sweep over several axes: its law, and predictions for cells that were not run."""

import math

import pytest

from tests.unit.sweeps.simulated import simulated
from widthwise.sweeps import fit_sweep


def test_a_known_law_is_extrapolated() -> None:
    def law(place):
        return -9 - 0.4 * math.log2(place["parameters"] / 1e8) + 0.2 * math.log2(place["tokens"] / 1e9)

    places = [{"parameters": n, "tokens": d} for n in (5e7, 1e8, 2e8, 4e8) for d in (1e9, 2e9, 4e9, 8e9)]
    runs, _ = simulated(places, law, scatter=0.1)
    fit = fit_sweep(runs)
    asked = {"parameters": 8e8, "tokens": 16e9}
    found = fit.predict(**asked)
    assert math.log2(found.learning_rate) == pytest.approx(law(asked), abs=0.25)
    assert found.interval[0] < 2.0 ** law(asked) < found.interval[1]
