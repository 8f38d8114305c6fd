"""Searches replayed over a pool of made runs: each is trained once, and every draw has its own seeds and lattice."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks import real_searches
from benchmarks.replay import Cell, Draw, Pool, draws_of, jackknife, optimum_of, replay
from benchmarks.searches import EQUAL, GRID, TELESCOPE
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.vocabulary import TrialStatus

BEST = -5.1


def made(cell: Cell) -> Trial:
    width, rate, seed = cell
    octaves = math.log2(rate) - BEST
    noise = float(np.random.default_rng([width, seed, round(8 * octaves) + 1000]).normal(0, 1e-3))
    status = TrialStatus.DIVERGED if octaves > 3 else TrialStatus.COMPLETED
    return Trial(width, rate, seed, status, None if octaves > 3 else 2 + 0.03 * octaves**2 + noise)


class Counted:
    """Trains made runs, and counts how often each was asked for."""

    def __init__(self) -> None:
        self.asked: list[Cell] = []

    def __call__(self, cells: Sequence[Cell]) -> list[Trial]:
        self.asked += cells
        return [made(cell) for cell in cells]


def spec(**members: object) -> CalibrationSpec:
    given = {"parameterization": "mup", "optimizer": "adam", "widths": [32, 64, 128], "seeds": 3, "mesh": 0.5}
    return CalibrationSpec.from_dict({**given, "learning_rates": [2.0 ** (k / 2) for k in range(-16, -3)], **members})


def test_a_run_that_many_calibrations_ask_for_is_trained_once() -> None:
    train = Counted()
    pool = Pool(train)
    draws = draws_of(range(100, 105), 3, 6, (0.0, 0.25))
    found = replay(pool, [(spec(search=search), draw) for search in ("grid", "telescope") for draw in draws])
    assert len(train.asked) == len(set(train.asked)) == len(pool.known)
    assert [len(one.trials) for one in found[:6]] == [3 * 13 * 3] * 6
    assert all(13 * 3 < len(one.trials) < 3 * 13 * 3 for one in found[6:])
    assert all(one.rounds >= 2 for one in found[6:])


def test_a_draw_has_its_own_seeds_and_lies_between_the_lattices_points() -> None:
    pool = Pool(Counted())
    (one,) = replay(pool, [(spec(search="grid"), Draw((7, 3, 5), 0.25))])
    assert {cell[2] for cell in pool.known} == {3, 5, 7}
    assert {cell[1] for cell in pool.known} == {2.0 ** (k / 2 + 0.25) for k in range(-16, -3)}
    trial = next(each for each in one.trials if (each.width, each.learning_rate, each.seed) == (64, 2.0**-5, 1))
    assert trial.loss == pool.known[64, 2.0**-4.75, 3].loss
    assert Draw((0,), 0.25).on_lattice([2.0**-5, 2.0**-4.75, 2.0**-4.5], 0.5) == [2.0**-5]
    assert Draw((0,)).on_lattice([2.0**-5, 2.0**-4.75, 2.0**-4.5], 0.5) == [2.0**-5, 2.0**-4.5]


def test_the_same_search_alone_asks_for_the_same_runs() -> None:
    draws = draws_of(range(6), 3, 4)
    asked = spec(search="information", precision=0.5, target_width=128)
    together = replay(Pool(Counted()), [(asked, draw) for draw in draws])
    alone = [replay(Pool(Counted()), [(asked, draw)])[0] for draw in draws]
    assert [one.trials for one in together] == [one.trials for one in alone]
    assert [one.rounds for one in together] == [one.rounds for one in alone]


def test_an_optimum_is_read_near_the_lowest_mean_alone() -> None:
    x_L = np.arange(-8, -2, 0.25)
    loss_LxS = 2 + 0.03 * (x_L - BEST)[:, None] ** 2 + np.array([[0.0, 0.1, -0.1]])
    loss_LxS[x_L > BEST + 2] = math.inf
    loss_LxS[x_L < BEST - 2] = 9.0  # a plateau that a curve through all of it would bend to
    assert optimum_of(x_L, loss_LxS.mean(axis=1)) == pytest.approx(BEST, abs=0.01)
    assert jackknife(x_L, loss_LxS) == pytest.approx(0.0, abs=1e-6)


def test_an_optimum_next_to_a_divergence_is_a_parabolas() -> None:
    x_L = np.arange(-8, -2, 0.5)
    mean_L = np.where(x_L > BEST + 0.5, math.inf, 2 + 0.03 * (x_L - BEST) ** 2)
    assert np.isfinite(mean_L[np.abs(x_L + 5) <= 1.35]).sum() == 3
    assert optimum_of(x_L, mean_L) == pytest.approx(BEST, abs=0.01)


def test_real_searches_are_judged_by_the_same_runs() -> None:
    class MadeBank:
        def __init__(self) -> None:
            self.known: dict[Cell, Trial] = {}

        def run(self, _: object, width: int, rates: Sequence[float], seeds: Sequence[int]) -> list[dict[str, object]]:
            return [made((width, rate, seed)).to_dict() for seed in seeds for rate in rates]

        def sweep_around(self, _: object, width: int, centre: float, seeds: Sequence[int]) -> tuple[object, None]:
            from widthwise.estimate.surface import surfaces_by_width

            rates = [2.0 ** (k / 2) for k in range(round(2 * centre) - 3, round(2 * centre) + 4)]
            return surfaces_by_width([made((width, rate, seed)) for rate in rates for seed in seeds])[width], None

    question = {"parameterization": "mup", "optimizer": "adam"}
    found = real_searches.compare(MadeBank(), question, draws_of(range(4), 3, 2))  # type: ignore[arg-type]
    assert found["truth"]["log2_optimum"] == pytest.approx(BEST, abs=0.1)
    rows = found["rows"]
    assert [row["cost"] for row in rows[GRID]] == [1.0, 1.0]
    assert all(
        equal["cost"] <= telescope["cost"] < 0.5 for equal, telescope in zip(rows[EQUAL], rows[TELESCOPE], strict=True)
    )
    assert all(abs(row["error"]) < 0.3 and row["covered"] for way in rows.values() for row in way)
    text = "\n".join(real_searches.page({"muP, Adam": found}, "abc1234"))
    assert "2 calibrations, 2 of each of 1 questions" in text
    assert all(f"| {way} |" in text for way in rows)
    rows[GRID][0]["half_width"] = math.nan  # of a search that ended before three widths had an optimum
    kept = json.loads(json.dumps(real_searches.data_of({"muP, Adam": found}), allow_nan=False))
    assert kept["muP, Adam"]["rows"][GRID][0]["half_width"] is None
    assert kept["muP, Adam"]["rows"][EQUAL][0]["end"] in {"budget", "nothing_left"}
