"""The demand of a specification in closed form: near its outline, whatever is searched and measured."""

import random
from typing import Any

import pytest

from widthwise.calibration.spec import CalibrationSpec
from widthwise.search.demand import demand_of
from widthwise.search.expectation import expect
from widthwise.search.rounds import outline

MEASURES = (
    ["learning_rate"],
    ["learning_rate", "gamma"],
    ["horizon"],
    ["epsilon"],
    ["learning_rate", "gamma", "horizon", "epsilon", "alignment", "coordinates"],
)


def drawn(number: int) -> CalibrationSpec:
    """A specification by chance, the same each time."""
    chance = random.Random(number)
    octaves, count = chance.choice([0.25, 0.5, 1, 2]), chance.choice([3, 5, 9, 12])
    given: dict[str, Any] = {
        "parameterization": "mup",
        "optimizer": "adam",
        "widths": chance.sample([16, 32, 48, 64, 96, 128, 256, 512, 1024, 4096], chance.choice([2, 3, 4])),
        "seeds": chance.choice([1, 2, 3, 5]),
        "steps": chance.choice([10, 1000]),
        "learning_rates": [2.0 ** (-12 + index * octaves) for index in range(count)],
        "search": chance.choice(["grid", "telescope"]),
        "mesh": chance.choice([1 / 16, 0.25, 0.5, 1.0]),
        "measure": chance.choice(MEASURES),
        "proxy": {"architecture": chance.choice(["mlp", "transformer"])},
    }
    return CalibrationSpec.from_dict(given)


@pytest.mark.parametrize("number", range(25))
def test_it_is_near_what_the_outline_would_run(number: int) -> None:
    spec = drawn(number)
    demand, expected = demand_of(spec), expect(spec, outline(spec))
    assert 0.8 * expected["trials"] <= demand.trials <= 2 * expected["trials"]
    assert 0.75 * expected["flops"] <= demand.flops <= 3 * expected["flops"]


def test_an_external_one_is_its_grid() -> None:
    given = {"parameterization": "mup", "optimizer": "adam", "widths": [8, 16], "learning_rates": [1, 2, 3]}
    assert demand_of(CalibrationSpec.from_dict({**given, "seeds": 5, "runner": "external"})).trials == 30


def test_an_information_search_asks_for_at_most_its_budget() -> None:
    given = {"parameterization": "mup", "optimizer": "adam", "widths": [8, 16, 32], "search": "information"}
    whole = CalibrationSpec.from_dict({**given, "precision": 0.5})
    assert demand_of(whole).flops == pytest.approx(expect(whole, outline(whole))["flops"])
    half = CalibrationSpec.from_dict({**given, "budget": demand_of(whole).flops / 2})
    assert demand_of(half).flops == expect(half, outline(half))["flops"] == half.budget
    assert expect(half, outline(half))["upper_bound"]
