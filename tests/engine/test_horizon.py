"""Horizons: a branched trial equals that of a separate run, and costs only its cooldown."""

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from tests.engine.jobs import job_of, run_any, run_horizons
from widthwise.calibration.trial import Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from workers.engine import horizon
from workers.engine.data import load_corpus
from workers.engine.horizon import HorizonProgram, cooldown_start, course, warmup_steps
from workers.engine.prescription import prescribe
from workers.engine.proxies import build_proxy
from workers.engine.training import draw, hyperparameters, schedule, training_windows, trial_functions
from workers.engine.width_program import WidthProgram, flops_of

SHARD = {"kind": "horizon", "width": 16, "learning_rates": [0.01], "seeds": [0], "horizons": [30, 60]}


@pytest.fixture(autouse=True)
def relaxed_promotion(strict_promotion: None) -> Any:
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        yield


def outcome(trial: Trial) -> tuple[Any, ...]:
    return trial.learning_rate, trial.seed, trial.horizon, trial.status, trial.loss


@pytest.mark.parametrize("steps", [1, 7, 200])
def test_the_course_of_one_horizon_is_the_schedule_of_a_sweep(steps: int) -> None:
    plain = jax.vmap(lambda step: schedule(step, steps))(np.arange(steps, dtype=np.int32))
    np.testing.assert_allclose(course(steps, warmup_steps([steps]), steps), plain, rtol=3e-6)


def test_every_horizon_shares_the_warm_up_and_the_constant_phase() -> None:
    constant = course(400, warmup_steps([100, 400]))
    np.testing.assert_allclose(constant[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert (constant[4:] == 1).all()
    for steps in (100, 400):
        branch = course(400, warmup_steps([100, 400]), steps)
        start = cooldown_start(steps)
        assert start == 0.8 * steps
        np.testing.assert_array_equal(branch[: start + 1], constant[: start + 1])
        np.testing.assert_allclose(branch[start:steps], 1 - np.sqrt(np.arange(steps - start) / (steps - start)), 1e-5)
        assert (branch[steps:] == 0).all()


def test_a_longer_run_begins_with_the_batches_of_a_shorter_one() -> None:
    short, long = (draw(3, {}, steps=steps, batch_size=7, windows=999).starts for steps in (11, 50))
    np.testing.assert_array_equal(long[:11], short)


def direct_loss(spec: dict[str, Any], steps: int) -> float:
    """The loss at 0.01, seed 0, of a run that does the whole course of one horizon and no other."""
    sweep = job_of(spec, SHARD).spec
    proxy, corpus = build_proxy(sweep.proxy), load_corpus("python_docs")
    windows = training_windows(corpus.train.size, proxy)
    draws = draw(0, proxy.tensor_shapes(16), steps=60, batch_size=sweep.proxy.batch_size, windows=windows)
    functions = trial_functions(proxy, sweep.optimizer, steps=60, held_out_bytes=corpus.held_out.size)
    hyper = hyperparameters(prescribe(sweep, proxy, 16), 0.01)
    path = draws.starts, course(60, warmup_steps([30, 60]), steps)
    with jax.default_matmul_precision("float32"):
        state = jax.jit(functions.start)(hyper, draws.normals)
        state, _ = jax.jit(functions.follow)(hyper, state, corpus.train, path, (np.int32(0), np.int32(steps)))
        return float(jax.jit(functions.evaluate)(hyper, state, corpus.held_out))


def test_a_branched_trial_is_the_trial_of_a_run_of_its_own(spec: dict[str, Any]) -> None:
    short, long = run_horizons(spec, SHARD)
    assert (short.horizon, long.horizon) == (30, 60)
    assert short.loss == direct_loss(spec, 30)
    assert long.loss == direct_loss(spec, 60)
    (plain,) = run_any({**spec, "steps": 30}, {**SHARD, "kind": "sweep"})
    assert short.loss == pytest.approx(plain.to_dict()["loss"], rel=1e-6)  # the shortest has a sweep's own warm-up


def test_what_the_trials_cost_sums_to_what_was_done(spec: dict[str, Any]) -> None:
    short, long = run_horizons(spec, SHARD)
    assert (short.steps, long.steps) == (30, 60 - 24)  # the constant phase up to step 24 was paid for already
    sweep = job_of(spec, SHARD).spec
    assert [t.flops for t in (short, long)] == [flops_of(sweep, 16, t.steps, evaluated=True) for t in (short, long)]
    assert all(t.seconds > 0 for t in (short, long))


def test_a_shard_repeats_and_skips_what_is_stored(spec: dict[str, Any]) -> None:
    shard = {**SHARD, "learning_rates": [0.01, 0.04], "seeds": [0, 1]}
    heard: list[tuple[int, int, int, int]] = []
    everything = list(run_horizons(spec, shard, on_progress=lambda *progress: heard.append(progress)))
    assert [outcome(t)[:3] for t in everything] == [
        (rate, seed, steps) for seed in (0, 1) for rate in (0.01, 0.04) for steps in (30, 60)
    ]
    assert len({t.loss for t in everything}) == 8
    assert [progress[0] for progress in heard] == sorted(progress[0] for progress in heard)
    assert {(of, steps) for _, of, _, steps in heard} == {(8, 60)}
    stored = [[t.learning_rate, t.seed, None, 1.0, t.horizon] for t in everything]
    rest = list(run_horizons(spec, shard, done=[*stored[:2], *stored[3:]]))  # one short horizon is missing
    assert [outcome(t) for t in rest] == [outcome(everything[2])]
    rest = list(run_horizons(spec, shard, done=stored[:-1]))  # one long horizon: its constant phase is trained again
    assert [outcome(t) for t in rest] == [outcome(everything[-1])]
    assert rest[0].steps == 60
    assert list(run_horizons(spec, shard, done=stored)) == []
    # a stored trial of the plain sweep is not one of this shard
    assert len(list(run_horizons(spec, SHARD, done=[[0.01, 0]]))) == 2


def test_a_constant_phase_that_diverges_leaves_every_horizon_diverged(spec: dict[str, Any]) -> None:
    shard = {**SHARD, "learning_rates": [1e38, 0.01]}
    *healthy, short, long = run_horizons(spec, shard)
    assert [(t.status, t.loss) for t in (short, long)] == [("diverged", None)] * 2
    assert short.steps < 30
    assert (long.steps, long.flops) == (0, 0.0)
    assert [t.status for t in healthy] == ["completed"] * 2
    json.dumps([t.to_dict() for t in (short, long, *healthy)], allow_nan=False)


class SpoiledCooldown(HorizonProgram):
    """Whose shortest horizon cools down at an absurd learning rate."""

    def course(self, horizon: int | None) -> jax.Array:
        return super().course(horizon) * np.float32(1e38 if horizon == 30 else 1)


def test_a_cooldown_that_diverges_ends_its_own_horizon_alone(spec: dict[str, Any]) -> None:
    sweep = replace(job_of(spec, SHARD).spec, steps=60)
    program = SpoiledCooldown(WidthProgram.of(sweep, 16, load_corpus("python_docs")), warmup_steps([30, 60]))
    short, long = program.run([TrialIdentity(16, 0.01, 0, horizon=steps) for steps in (30, 60)], lambda *_: None)
    assert (short.status, long.status) == ("diverged", "completed")
    assert long.loss == list(run_horizons(spec, SHARD))[1].loss


def test_shards_are_dispatched_by_kind(spec: dict[str, Any]) -> None:
    done = [[0.01, 0, None, 1.0, 30]]
    (trial,) = run_any(spec, SHARD, done)
    assert trial.to_dict()["horizon"] == 60
    gamma = {**SHARD, "kind": "gamma", "role": "hidden", "gammas": [2.0]}
    (trial,) = run_any(spec, gamma)
    assert (trial.to_dict()["role"], trial.to_dict()["gamma"]) == ("hidden", 2.0)
    (measurement,) = run_any(spec, {**SHARD, "kind": "measure", "measure": ["coordinates"]})
    assert measurement.to_dict()["kind"] == "coordinates"
    with pytest.raises(InvalidInputError, match=r"shard\.kind"):
        run_any(spec, {**SHARD, "kind": "holiday"})


@pytest.mark.parametrize(("change", "field"), [({"kind": "sweep"}, "shard.kind"), ({"horizons": []}, "shard.horizons")])
def test_a_shard_without_horizons_is_refused(spec: dict[str, Any], change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        next(run_horizons(spec, {**SHARD, **change}))
    assert raised.value.field == field


def test_a_process_keeps_the_program_of_its_next_shard(spec: dict[str, Any]) -> None:
    """Another learning rate and seed need no other program; other horizons do, since they share another warm-up."""
    before = horizon._compiled.cache_info()
    one = list(run_horizons(spec, {**SHARD, "seeds": [7]}))
    list(run_horizons(spec, {**SHARD, "learning_rates": [0.02], "seeds": [8]}))
    again = list(run_horizons(spec, {**SHARD, "seeds": [7]}))
    after = horizon._compiled.cache_info()
    assert after.misses - before.misses <= 1
    assert after.hits - before.hits >= 2
    assert [outcome(trial) for trial in again] == [outcome(trial) for trial in one]
    list(run_horizons(spec, {**SHARD, "horizons": [20, 60]}))
    assert horizon._compiled.cache_info().misses == after.misses + 1
