"""The search: what it asks for on surfaces with a known optimum, round after round, and that it ends."""

import math
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asjson import fit_optima, next_round, outline
from widthwise.errors import InvalidInputError
from widthwise.search.bracket import EXTENSION_LIMIT, LARGEST_RATE
from widthwise.search.telescope import around, predict

Spec = dict[str, Any]
Records = list[dict[str, Any]]
Shards = list[dict[str, Any]]
LossAt = Callable[[int, float, int], float | None]  #: (width, log2 learning rate, seed); None: diverged


def downhill(_width: int, x: float, _seed: int) -> float:
    """A loss whose optimum lies beyond any learning rate."""
    return -x


GRID = [2.0 ** (0.5 * k) for k in range(-16, -5)]  # 2^−8 … 2^−3 in half octaves
MIDDLE = -5.5


def spec_of(**changes: Any) -> Spec:
    return {
        "widths": [32, 64, 128, 256],
        "seeds": 3,
        "steps": 200,
        "learning_rates": GRID,
        "search": "telescope",
        "mesh": 0.5,
        "measure": ["learning_rate"],
        "runner": "worker",
        "proxy": {"architecture": "mlp", "depth": 2, "head_dim": 16, "sequence_length": 8, "batch_size": 256},
        **changes,
    }


def bowl(optimum: float = MIDDLE, *, drift: float = 0.0, diverges_at: float = math.inf) -> LossAt:
    """A skewed basin, twice as steep upwards, whose optimum moves by −drift octaves a doubling."""

    def loss(width: int, x: float, seed: int) -> float | None:
        octaves = x - (optimum - drift * math.log2(width / 32))
        return None if x > diverges_at else 2.0 + 0.06 * (math.exp(octaves) - 1 - octaves) + 0.01 * seed

    return loss


def cells(shard: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The identities of a shard's trials."""
    return [
        (shard["kind"], shard["width"], rate, seed, shard["role"], gamma, horizon)
        for rate in shard["learning_rates"]
        for seed in shard["seeds"]
        for gamma in shard["gammas"] or [1.0]
        for horizon in shard["horizons"] or [None]
    ]


def trial(cell: tuple[Any, ...], loss: float | None, status: str | None = None) -> dict[str, Any]:
    _, width, rate, seed, role, gamma, horizon = cell
    status = status or ("diverged" if loss is None else "completed")
    return {
        "width": width,
        "learning_rate": rate,
        "seed": seed,
        "role": role,
        "gamma": gamma,
        "horizon": horizon,
        "status": status,
        "loss": loss if status == "completed" else None,
    }


def run(spec: Spec, loss_at: LossAt, trials: Iterable[dict[str, Any]] = ()) -> tuple[Records, list[Shards]]:
    """Run every round; a cell asked for twice is a fault."""
    trials, measurements = list(trials), []
    rounds: list[Shards] = []
    seen = {(t["width"], t["learning_rate"], t["seed"], t["role"], t["gamma"], t["horizon"]) for t in trials}
    while shards := next_round(spec, trials, measurements):
        rounds.append(shards)
        assert len(rounds) < 40
        for shard in shards:
            if shard["kind"] == "measure":
                measurements += [
                    {"width": shard["width"], "seed": s, "kind": k} for s in shard["seeds"] for k in shard["measure"]
                ]
                continue
            for cell in cells(shard):
                assert cell[1:] not in seen, f"asked again: {cell}"
                seen.add(cell[1:])
                x = math.log2(cell[2] * cell[5]) + 0.3 * math.log2((cell[6] or spec["steps"]) / spec["steps"])
                trials.append(trial(cell, loss_at(cell[1], x, cell[3])))
    return trials, rounds


def rates_at(trials: Records, width: int) -> list[float]:
    return sorted({t["learning_rate"] for t in trials if t["width"] == width and t["role"] is t["horizon"] is None})


def test_a_grid_is_asked_for_at_once_and_is_then_finished() -> None:
    trials, rounds = run(spec_of(search="grid"), bowl())
    assert len(rounds) == 1
    assert len(trials) == 4 * len(GRID) * 3
    work = [shard["width"] ** 2 * len(cells(shard)) for shard in rounds[0]]
    assert work[0] == max(work)
    assert rounds[0][-1]["width"] == 32


def test_a_telescope_looks_at_the_smallest_width_first_and_at_three_points_of_the_others() -> None:
    trials, rounds = run(spec_of(), bowl())
    # one known width says little of one eight times as wide: that one waits
    assert [{shard["width"] for shard in shards} for shards in rounds] == [{32}, {64, 128}, {256}]
    assert rates_at(trials, 32) == GRID
    for width in (64, 128, 256):
        assert len(rates_at(trials, width)) == 3
        assert len([t for t in trials if t["width"] == width]) == 6  # two of the three seeds
    assert len(trials) == 33 + 18  # a grid takes 132


@pytest.mark.parametrize("drift", [0.0, 0.5, 1.0, -0.5])
def test_a_telescope_brackets_an_optimum_that_moves(drift: float) -> None:
    trials, _ = run(spec_of(), bowl(drift=drift))
    optima = {entry.width: entry.optimum for entry in fit_optima(trials)}
    for width, optimum in optima.items():
        assert optimum is not None
        assert optimum.kind == "interior"
        # the parabola's skew on this basin is 0.1 octave, and up to 0.3 with points an octave apart
        assert abs(optimum.log2_learning_rate - (MIDDLE - drift * math.log2(width / 32))) < 0.35


def test_a_prediction_is_the_theorys_until_widths_say_otherwise() -> None:
    one, error = predict([(32, -5.0, 0.05)], 256)
    assert one == pytest.approx(-5.0)
    moved, surer = predict([(32, -5.0, 0.05), (64, -5.5, 0.05), (128, -6.0, 0.05)], 256)
    assert moved == pytest.approx(-6.5, abs=0.15)
    assert surer < error / 2
    assert len(around(-6.5, surer, mesh=0.5, spacing=1.0)) == 3
    assert len(around(-6.5, 1.7, mesh=0.5, spacing=1.0)) == 5


def test_learning_rates_of_all_widths_lie_on_one_lattice() -> None:
    trials, _ = run(spec_of(mesh=0.25), bowl(-5.3, drift=0.4))
    lattice = {2.0 ** (0.25 * k) for k in range(-60, 20)}
    assert {t["learning_rate"] for t in trials} <= lattice


def test_one_seed_gets_points_instead() -> None:
    trials, _ = run(spec_of(seeds=1), bowl())
    assert [len(rates_at(trials, width)) for width in (64, 128, 256)] == [5, 5, 5]


@pytest.mark.parametrize(("optimum", "search"), [(-10.2, "grid"), (-1.0, "grid"), (-11.0, "telescope")])
def test_an_edge_is_extended_until_the_optimum_is_inside(optimum: float, search: str) -> None:
    trials, rounds = run(spec_of(search=search), bowl(optimum))
    assert len(rounds) > 2
    assert all(entry.optimum is not None and entry.optimum.kind == "interior" for entry in fit_optima(trials))


def test_an_optimum_that_is_never_found_stays_a_bound() -> None:
    trials, _ = run(spec_of(), downhill)
    assert max(math.log2(t["learning_rate"]) for t in trials) == math.log2(GRID[-1]) + EXTENSION_LIMIT
    high, _ = run(spec_of(learning_rates=[1e5, 2e5, 4e5]), downhill)
    assert max(t["learning_rate"] for t in high) <= LARGEST_RATE


def test_a_divergence_or_a_stopped_trial_bounds_the_optimum() -> None:
    _, rounds = run(spec_of(search="grid"), bowl(diverges_at=-4.0))
    assert len(rounds) == 1
    # nothing is extended beyond a best learning rate whose neighbour was stopped
    first = next_round(spec_of(search="grid", widths=[32]), [])
    stopped = [
        trial(cell, -math.log2(cell[2]), "stopped" if cell[2] == GRID[-1] else None)
        for shard in first
        for cell in cells(shard)
    ]
    assert next_round(spec_of(search="grid", widths=[32]), stopped) == []


def test_where_everything_diverges_smaller_learning_rates_follow() -> None:
    trials, _ = run(spec_of(), bowl(-9.5, diverges_at=-8.7))
    assert all(entry.optimum is not None and entry.optimum.kind == "interior" for entry in fit_optima(trials))


def test_points_far_apart_move_closer_beside_a_divergence() -> None:
    trials, _ = run(spec_of(), bowl(diverges_at=MIDDLE + 0.8))
    rates = [math.log2(rate) for rate in rates_at(trials, 256)]
    assert {-6.5, -6.0, -5.5, -5.0} <= set(rates)


def test_a_finer_mesh_fills_the_gaps_beside_the_optimum() -> None:
    coarse, _ = run(spec_of(search="grid", widths=[32, 64]), bowl(-5.3))
    fine, rounds = run(spec_of(search="grid", widths=[32, 64], mesh=0.125), bowl(-5.3), coarse)
    added = {round(math.log2(t["learning_rate"]), 3) for t in fine[len(coarse) :]}
    assert {-5.375, -5.25, -5.125} <= added
    assert max(added) - min(added) <= 1.5
    assert len(rounds) <= 3


def test_an_extension_asks_only_for_what_is_missing() -> None:
    parent, _ = run(spec_of(widths=[32, 64]), bowl())
    wider, _ = run(spec_of(widths=[32, 64, 128]), bowl(), parent)
    assert {t["width"] for t in wider[len(parent) :]} == {128}
    more, _ = run(spec_of(widths=[32, 64], seeds=4), bowl(), parent)
    assert {(t["width"], t["seed"]) for t in more[len(parent) :]} == {(32, 3), (64, 2)}


def test_failed_trials_are_not_asked_for_again() -> None:
    spec, trials = spec_of(), []
    for _ in range(10):
        shards = next_round(spec, trials)
        trials += [trial(cell, None, "failed") for shard in shards for cell in cells(shard)]
    assert next_round(spec, trials) == []


def test_gamma_follows_the_sweep_and_horizons_the_smallest_width() -> None:
    spec = spec_of(measure=["learning_rate", "gamma", "horizon", "epsilon", "coordinates"])
    trials, rounds = run(spec, bowl())
    kinds = [{shard["kind"] for shard in shards} for shards in rounds]
    assert kinds[0] == {"sweep", "measure"}
    assert "horizon" in kinds[1]
    assert kinds[-1] == {"gamma"}
    assert {shard["width"] for shards in rounds for shard in shards if shard["kind"] == "horizon"} == {32}
    assert {t["horizon"] for t in trials} == {None, 200, 400, 800}
    measured = [shard for shard in rounds[0] if shard["kind"] == "measure"]
    assert [(s["width"], s["seeds"], s["measure"]) for s in measured] == [
        (width, [0, 1, 2], ["epsilon", "coordinates"]) for width in (256, 128, 64, 32)
    ]
    by_role = {(t["width"], t["role"], t["gamma"]) for t in trials if t["role"]}
    assert by_role >= {
        (w, r, g) for w in spec["widths"] for r in ("embedding", "hidden", "readout") for g in (0.25, 0.5, 2.0, 4.0)
    }


def test_what_needs_no_sweep_gets_none() -> None:
    (trials, rounds) = run(spec_of(measure=["alignment"]), bowl())
    assert (trials, len(rounds)) == ([], 1)
    assert {t["width"] for t in run(spec_of(measure=["horizon"]), bowl())[0]} == {32}


def test_the_probe_is_the_middle_of_the_grid_unless_named() -> None:
    assert next_round(spec_of(measure=["epsilon"]), [])[0]["learning_rates"] == [2.0**MIDDLE]
    assert next_round(spec_of(measure=["epsilon"], probe_learning_rate=0.3), [])[0]["learning_rates"] == [0.3]


def test_an_external_runner_has_nothing_to_run() -> None:
    assert next_round(spec_of(runner="external"), []) == []


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="0 learning rates"):
        next_round(spec_of(learning_rates=[]), [])


def test_work_is_parted_by_what_it_costs() -> None:
    tiny = next_round(spec_of(search="grid", steps=20, widths=[8, 16]), [])
    assert len(tiny) == 2  # a shard for each width: a process each would take longer to start
    large = [s for s in next_round(spec_of(search="grid", seeds=2), []) if s["width"] == 256]
    assert len(large) == 8
    assert sum(len(s["learning_rates"]) * len(s["seeds"]) for s in large) == 2 * len(GRID)


@settings(max_examples=25, deadline=None)
@given(
    optimum=st.floats(-16, 4),
    drift=st.floats(-1.5, 1.5),
    search=st.sampled_from(["grid", "telescope"]),
    mesh=st.sampled_from([0.0625, 0.25, 0.3, 0.5, 1.0]),
    seeds=st.integers(1, 4),
    learning_rates=st.sampled_from([GRID, [0.001, 0.003, 0.01, 0.03], [0.01, 0.011, 0.5]]),
    diverges_at=st.sampled_from([math.inf, -3.0, -7.3]),
    fails=st.floats(0, 0.3),
    order=st.randoms(use_true_random=False),
)
def test_any_search_ends_asks_nothing_twice_and_does_not_mind_the_order(order: random.Random, **drawn: Any) -> None:
    spec = spec_of(
        widths=[32, 64, 256], **{name: drawn[name] for name in ("search", "mesh", "seeds", "learning_rates")}
    )
    loss_at = bowl(drawn["optimum"], drift=drawn["drift"], diverges_at=drawn["diverges_at"])
    trials: Records = []
    seen: set[tuple[Any, ...]] = set()
    for _ in range(60):
        shards = next_round(spec, trials)
        order.shuffle(trials)
        assert next_round(spec, trials) == shards
        if not shards:
            break
        for cell in (cell for shard in shards for cell in cells(shard)):
            assert cell not in seen
            seen.add(cell)
            chance = order.random()
            status = "failed" if chance < drawn["fails"] else "stopped" if chance > 1 - drawn["fails"] / 3 else None
            trials.append(trial(cell, loss_at(cell[1], math.log2(cell[2]), cell[3]), status))
    assert next_round(spec, trials) == []
    assert all(1e-12 <= t["learning_rate"] <= LARGEST_RATE for t in trials)


@pytest.mark.parametrize("search", ["grid", "telescope"])
def test_the_outline_is_what_an_undisturbed_search_runs(search: str) -> None:
    spec = spec_of(search=search, measure=["learning_rate", "gamma", "horizon", "epsilon"])
    _, rounds = run(spec, bowl(MIDDLE))
    assert sorted(map(repr, outline(spec))) == sorted(repr(shard) for shards in rounds for shard in shards)
