"""The information search on surfaces with a known optimum: where it goes, and why it ends."""

import math
import random
from typing import Any

import numpy as np
import pytest

from tests.asjson import next_round, trials_of
from tests.asjson import spec_of as read
from tests.unit.estimate.test_search import bowl, cells, run, spec_of, trial
from widthwise.calibration.cost import run_flops
from widthwise.search.information import information_round
from widthwise.vocabulary import SearchEnd


def asked(**changes: Any) -> dict[str, Any]:
    return spec_of(search="information", **changes)


def noisy(size: float, drift: float = 0.0) -> Any:
    """A basin whose runs have separate noise, the same each time a run is asked for."""
    plain = bowl(drift=drift)

    def loss(width: int, x: float, seed: int) -> float | None:
        found = plain(width, x, seed)
        own = np.random.default_rng([width, seed, round(1e4 * (x + 100))]).standard_normal()
        return None if found is None else found + size * float(own)

    return loss


def ended(spec: dict[str, Any], trials: list[dict[str, Any]]) -> tuple[SearchEnd | None, float | None, float]:
    found = information_round(read(spec), trials_of(trials))
    return found.end, found.half_width, found.flops


def test_it_opens_at_the_smallest_width_an_octave_apart() -> None:
    first = next_round(asked(precision=0.5), [])
    assert {shard["width"] for shard in first} == {32}
    opened = sorted({math.log2(cell[2]) for shard in first for cell in cells(shard)})
    assert opened == [-8, -7, -6, -5, -4, -3]
    assert {cell[3] for shard in first for cell in cells(shard)} == {0, 1}


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_it_ends_as_soon_as_half_of_the_interval_is_what_was_asked(drift: float) -> None:
    spec = asked(precision=1.0)
    trials, rounds = run(spec, noisy(0.003, drift))
    end, half, _ = ended(spec, trials)
    assert end is SearchEnd.PRECISION
    assert half is not None
    assert half <= 1.0
    before = [cell[1:] for shards in rounds[:-1] for shard in shards for cell in cells(shard)]
    _, wider, _ = ended(
        spec, [t for t in trials if (t["width"], t["learning_rate"], t["seed"], None, 1.0, None) in before]
    )
    assert wider is None or wider > 1.0  # not one round more than it took


def test_the_more_precise_the_more_it_costs() -> None:
    costs = [ended(spec, run(spec, noisy(0.003))[0])[2] for spec in (asked(precision=p) for p in (2.0, 0.9, 0.5))]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_a_budget_is_never_exceeded_and_is_told() -> None:
    each = run_flops(read(asked()), 256)
    for budget in (1.5 * each, 4 * each, 9 * each):
        spec = asked(budget=budget, precision=0.01)
        trials, _ = run(spec, noisy(0.01))
        end, _, spent = ended(spec, trials)
        assert spent <= budget
        assert end is SearchEnd.BUDGET


def test_it_ends_when_nothing_more_would_help() -> None:
    spec = asked(precision=0.001)
    trials, _ = run(spec, noisy(0.01))
    assert ended(spec, trials)[0] is SearchEnd.NOTHING_LEFT
    for width in (32, 64, 128, 256):
        assert len([t for t in trials if t["width"] == width]) <= 11 * 3


def test_a_nearer_target_needs_less_of_the_widest() -> None:
    near, far = (run(asked(precision=0.6, target_width=n), noisy(0.003))[0] for n in (256, 4096))
    widest = [sum(t["width"] == 256 for t in trials) for trials in (near, far)]
    assert widest[0] <= widest[1]


def test_an_optimum_at_an_end_is_followed() -> None:
    spec = asked(precision=1.0)
    trials, _ = run(spec, bowl(-10.2))
    assert min(math.log2(t["learning_rate"]) for t in trials if t["width"] == 32) < -10.2


def test_it_depends_on_the_outcomes_alone() -> None:
    spec, loss_at, chance = asked(precision=0.7), noisy(0.01), random.Random(3)
    trials: list[dict[str, Any]] = []
    while shards := next_round(spec, trials):
        chance.shuffle(trials)
        assert next_round(spec, trials) == shards
        for cell in (cell for shard in shards for cell in cells(shard)):
            failed = chance.random() < 0.1
            loss = loss_at(cell[1], math.log2(cell[2]), cell[3])
            trials.append(trial(cell, None if failed else loss, "failed" if failed else None))
    asked_for = [(t["width"], t["learning_rate"], t["seed"]) for t in trials]
    assert len(set(asked_for)) == len(asked_for)


def test_half_a_round_is_completed_after_a_crash() -> None:
    spec, loss_at = asked(precision=0.7), noisy(0.01)
    opened = [cell for shard in next_round(spec, []) for cell in cells(shard)]
    first = [trial(cell, loss_at(cell[1], math.log2(cell[2]), cell[3])) for cell in opened]
    rest, _ = run(spec, loss_at, first[:5])
    assert ended(spec, rest)[0] in (SearchEnd.PRECISION, SearchEnd.NOTHING_LEFT)


def test_an_extension_continues_from_another_searchs_trials() -> None:
    parent, _ = run(spec_of(widths=[32, 64, 128]), noisy(0.01))
    spec = asked(precision=0.5, target_width=1024)
    trials, _ = run(spec, noisy(0.01), parent)
    assert trials[: len(parent)] == parent
    assert ended(spec, trials)[0] is not None
