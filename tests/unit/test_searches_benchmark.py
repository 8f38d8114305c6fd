"""The benchmark of the searches: one world for all of them, and what its page says of them."""

import pytest

from benchmarks.known_truth import Scenario
from benchmarks.searches import EQUAL, GRID, TELESCOPE, World, compare, held, page


def test_a_world_answers_the_same_whoever_asks() -> None:
    scenario = Scenario("close to divergence", edge=1.1)
    one, again, other = (World(scenario, 0.1, number) for number in ([1, 2], [1, 2], [1, 3]))
    assert one.loss(64, 2**-8.5, 0) == again.loss(64, 2**-8.5, 0) != other.loss(64, 2**-8.5, 0)
    assert one.loss(64, 2.0**-4, 0) is None


def test_every_search_is_judged_in_the_same_worlds() -> None:
    found = compare(Scenario("no drift", noise=0.003), 1, 0)
    assert found[GRID]["cost"] == 1.0
    assert found[GRID]["trials"] == 4 * 13 * 3
    assert found[EQUAL]["cost"] <= found[TELESCOPE]["cost"] < 0.3
    assert found["information, ± 1"]["half_width"] <= 1.0
    text = "\n".join(page({"no drift": found}, found))
    assert "1 synthetic calibrations" in text
    for way, row in found.items():
        assert f"| {way} | {row['cost']:.3f} |" in text


def test_a_larger_scatter_is_covered_less() -> None:
    assert held(-1, 1, 0.0) == 1.0
    assert held(0.1, 1, 0.0) == 0.0
    assert held(-0.196, 0.196, 0.1) == pytest.approx(0.95, abs=1e-3)
