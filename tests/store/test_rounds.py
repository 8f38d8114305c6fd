"""Rounds: what is planned from the outcomes of earlier ones, begun once, whoever dies or comes second."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from service.store import CalibrationState, Lease, ShardState, Store
from service.store.database.engine import Database, create_store_engine
from service.store.database.tables import calibrations, shards
from testbed.sweeping import finish_ready
from tests.store.samples import Crash, SampleResult, claimed, fit_sample, run_all, run_claim, sample_spec, trial
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Measured

SPEC = sample_spec(seeds=1, search="telescope", learning_rates=[0.001, 0.01, 0.1])


def shard(width: int, rates: Sequence[float], **more: Any) -> ShardSpec:
    return ShardSpec.from_dict({"width": width, "learning_rates": list(rates), "seeds": [0], **more})


def telescope(spec: CalibrationSpec, trials: Sequence[Trial], measurements: Any) -> list[ShardSpec]:
    """All learning rates at width 32; then the best of them at width 64; then no more."""
    tried = {width: {t.learning_rate: t.loss for t in trials if t.width == width} for width in (32, 64)}
    if set(tried[32]) < set(spec.learning_rates):
        return [shard(32, [rate]) for rate in spec.learning_rates if rate not in tried[32]]
    best = min(tried[32], key=lambda rate: (tried[32][rate], rate))
    return [] if best in tried[64] else [shard(64, [best])]


def always(planned: list[ShardSpec]) -> Callable[..., Any]:
    """A plan that asks for the same whatever came out."""
    return lambda *_: planned


def dying(spec: Any, trials: Any, measurements: Any) -> Any:
    """A plan that kills its process, once there are trials."""
    if trials:
        raise Crash
    return telescope(spec, trials, measurements)


def run_round_one(store: Store) -> str:
    """A calibration of which every shard of the first round is done."""
    identifier = store.calibrations.create(SPEC).calibration.id
    for rate in SPEC["learning_rates"]:
        claim = claimed(store)
        store.work.record_trial(claim, trial(claim, rate, loss=1.0 + rate))
        store.work.finish(claim)
    return identifier


def test_each_round_is_planned_from_what_came_out(make_store: Callable[..., Store]) -> None:
    rung: list[str] = []

    class Bell:
        def ring(self, shard_ids: list[str]) -> list[str]:
            rung.extend(shard_ids)
            return shard_ids

    store = make_store(plan=telescope, doorbell=Bell())
    identifier = run_round_one(store)
    second = store.calibrations.get(identifier)
    assert (second.state, second.rounds) == (CalibrationState.RUNNING, 2)
    assert second.progress.shards == {ShardState.SUCCEEDED: 3, ShardState.QUEUED: 1}
    assert rung == [shard.id for shard in store.calibrations.shards(identifier)]
    assert all(shard.published_at for shard in store.calibrations.shards(identifier))
    claim = claimed(store)
    assert (claim.shard.width, claim.shard.learning_rates) == (64, (0.001,))  # the best: 1.001
    run_claim(store, claim)
    ended = store.calibrations.get(identifier)
    assert (ended.state, ended.rounds) == (CalibrationState.SUCCEEDED, 2)
    assert ended.progress.trials_done == ended.progress.trials_total == 4
    (told,) = [event.data for event in store.calibrations.events(identifier) if event.kind == "round"]
    assert (told["round"], told["shards"]) == (2, 1)


def test_later_rounds_go_before_newer_calibrations(make_store: Callable[..., Store]) -> None:
    store = make_store(plan=telescope)
    first = store.calibrations.create(SPEC).calibration.id
    store.calibrations.create(SPEC)
    order = []
    while (claim := store.work.claim("w")) is not None:
        order.append((claim.calibration_id == first, claim.shard.width))
        run_claim(store, claim)
    assert order == [(True, 32)] * 3 + [(True, 64)] + [(False, 32)] * 3 + [(False, 64)]


def test_a_crash_between_rounds_is_made_good_by_another_worker(make_store: Callable[..., Store]) -> None:
    with pytest.raises(Crash):
        run_round_one(make_store(plan=dying))
    store = make_store(plan=telescope)
    (stuck,) = store.calibrations.page().items
    assert (stuck.state, stuck.rounds) == (CalibrationState.RUNNING, 1)
    assert finish_ready(store) == 0  # it does not end: its second round begins
    assert store.calibrations.get(stuck.id).progress.shards == {ShardState.SUCCEEDED: 3, ShardState.QUEUED: 1}
    assert run_all(store) == 1
    assert store.calibrations.get(stuck.id).state is CalibrationState.SUCCEEDED


def test_many_may_begin_a_round_at_once_and_it_is_begun_once(make_store: Callable[..., Store]) -> None:
    gate = threading.Barrier(6)

    def slow(spec: Any, trials: Any, measurements: Any) -> Any:
        planned = telescope(spec, trials, measurements)
        gate.wait(timeout=10)  # every rival has planned before any writes
        return planned

    with pytest.raises(Crash):
        run_round_one(make_store(plan=dying))
    stores = [make_store(plan=slow) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(finish_ready, stores))
    (calibration,) = stores[0].calibrations.page().items
    assert calibration.rounds == 2
    assert calibration.progress.shards == {ShardState.SUCCEEDED: 3, ShardState.QUEUED: 1}
    assert [event.kind for event in stores[0].calibrations.events(calibration.id)].count("round") == 1


def test_cancelling_while_a_later_round_is_queued(make_store: Callable[..., Store]) -> None:
    store = make_store(plan=telescope)
    identifier = run_round_one(store)
    cancelled = store.calibrations.cancel(identifier)
    assert cancelled.state is CalibrationState.CANCELLED
    assert cancelled.progress.shards == {ShardState.SUCCEEDED: 3, ShardState.CANCELLED: 1}
    assert store.work.claim("w") is None
    assert finish_ready(store) == 0


def test_cancelling_between_rounds_begins_none(make_store: Callable[..., Store]) -> None:
    """The cancel comes after the trials were read and before the round is written."""
    canceller = make_store()

    def slow(spec: Any, trials: Any, measurements: Any) -> Any:
        if len(trials) == 3:
            (calibration,) = canceller.calibrations.page().items
            canceller.calibrations.cancel(calibration.id)
        return telescope(spec, trials, measurements)

    store = make_store(plan=slow)
    identifier = run_round_one(store)
    ended = store.calibrations.get(identifier)
    assert ended.state is CalibrationState.CANCELLED
    assert ended.progress.shards == {ShardState.SUCCEEDED: 3}


def test_a_shard_that_fails_for_good_ends_it_without_a_round(make_store: Callable[..., Store]) -> None:
    store = make_store(plan=telescope)
    identifier = store.calibrations.create(SPEC).calibration.id
    store.work.fail(claimed(store), "no such dataset", retryable=False)
    assert run_all(store) == 2
    assert store.calibrations.get(identifier).state is CalibrationState.FAILED
    assert store.calibrations.get(identifier).rounds == 1


def test_a_plan_that_asks_for_the_same_again_is_at_its_end(make_store: Callable[..., Store]) -> None:
    store = make_store(plan=always([shard(32, [0.001, 0.01])]))
    identifier = store.calibrations.create(SPEC).calibration.id
    assert run_all(store) == 1
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED


def test_a_faulty_plan_ends_one_calibration_and_no_worker(make_store: Callable[..., Store]) -> None:
    def broken(spec: Any, trials: Any, measurements: Any) -> Any:
        return [shard(32, [0.001])] if not trials else 1 / 0

    store = make_store(plan=broken)
    identifier = store.calibrations.create(SPEC).calibration.id
    assert run_all(store) == 1
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert "The search failed (ZeroDivisionError" in (calibration.reason or "")


KINDS = [
    shard(32, [0.01], kind="gamma", role="hidden", gammas=[0.5, 2.0]),
    shard(32, [0.01], kind="horizon", horizons=[10, 20]),
    shard(32, [0.01], kind="measure", measure=["epsilon", "alignment"]),
]
TRIALS = [{"role": "hidden", "gamma": 0.5}, {"role": "hidden", "gamma": 2.0}, {"horizon": 10}, {"horizon": 20}]


def test_trials_of_every_kind_are_told_apart_and_resumed(make_store: Callable[..., Store]) -> None:
    fitted: list[Any] = []

    def fit(spec: Any, trials: Any, measurements: Any) -> SampleResult:
        fitted.extend([trials, measurements])
        return fit_sample(spec, trials)

    store = make_store(plan=always(KINDS), fit=fit)
    identifier = store.calibrations.create(SPEC).calibration.id
    gamma, horizon, measure = claimed(store), claimed(store), claimed(store)
    for claim, changes in zip((gamma, gamma, horizon), TRIALS, strict=False):
        assert store.work.record_trial(claim, {**trial(claim, 0.01), **changes}) is Lease.HELD
    for claim, changes in ((gamma, {}), (gamma, TRIALS[2]), (horizon, TRIALS[0]), (horizon, {"horizon": 30})):
        with pytest.raises(InvalidInputError, match="is not part of shard"):
            store.work.record_trial(claim, {**trial(claim, 0.01), **changes})
    store.work.finish(gamma)
    measured = {"width": 32, "seed": 0, "kind": "epsilon", "data": {"rms": [0.5]}}
    assert store.work.record_measurement(measure, measured) is Lease.HELD
    for wrong in ({"kind": "coordinates"}, {"width": 64}, {"seed": 1}, {"data": {"rms": float("nan")}}, {"data": 1}):
        with pytest.raises(InvalidInputError, match="measurement"):
            store.work.record_measurement(measure, {**measured, **wrong})
    store.work.finish(measure)
    store.work.fail(horizon, "crash", retryable=True)
    assert {shard.reason for shard in store.calibrations.shards(identifier) if shard.state is ShardState.QUEUED} == {
        "crash",
        "The child process ended with 1 of 2 measurements stored.",
    }
    again, measure_again = claimed(store), claimed(store)
    assert again.done == (TrialIdentity(32, 0.01, 0, horizon=10),)
    assert measure_again.done == (MeasurementIdentity(32, 0, Measured.EPSILON),)
    store.work.record_trial(again, {**trial(again, 0.01), **TRIALS[3]})
    store.work.finish(again)
    assert store.work.record_measurement(measure, measured) is Lease.LOST  # fenced, as trials are
    store.work.record_measurement(measure_again, {**measured, "kind": "alignment"})
    store.work.record_measurement(measure_again, {**measured, "kind": "alignment", "data": {"alpha": 1.0}})  # replaces
    store.work.finish(measure_again)
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED
    trials, measurements = fitted
    assert [(t.role, t.gamma, t.horizon) for t in trials] == [
        (None, 1.0, 10),
        (None, 1.0, 20),
        ("hidden", 0.5, None),
        ("hidden", 2.0, None),
    ]
    assert [(m.kind, m.data) for m in measurements] == [
        ("alignment", {"alpha": 1.0}),
        ("epsilon", {"rms": [0.5]}),
    ]
    assert [row.kind for row in store.measurements.page(identifier).items] == ["epsilon", "alignment"]
    told = [event.data["kind"] for event in store.calibrations.events(identifier) if event.kind == "measurement"]
    assert told == ["epsilon", "alignment", "alignment"]


def test_the_time_left_follows_the_rate_of_the_trials_done(make_store: Callable[..., Store]) -> None:
    store = make_store()
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=2)).calibration.id
    assert store.calibrations.get(identifier).progress.seconds_left is None
    first = claimed(store)
    assert store.calibrations.get(identifier).progress.seconds_left is None  # it runs, but nothing is known yet
    each = store.calibrations.get(identifier).expected
    assert each is not None
    # the expectation is the library's own plan; of the four trials planned here each costs a part of its operations
    flops = {"flops": 1e6, "seconds": 2.0}
    store.work.record_trial(first, {**trial(first, 0.001), **flops})
    one_worker = store.calibrations.get(identifier).progress.seconds_left
    second = claimed(store)
    two_workers = store.calibrations.get(identifier).progress.seconds_left
    assert one_worker is not None
    assert two_workers == pytest.approx(one_worker / 2)
    store.work.record_trial(first, {**trial(first, 0.01), **flops})
    less = store.calibrations.get(identifier).progress.seconds_left
    assert less is not None
    assert two_workers is not None
    assert 0 < less < two_workers
    for claim in (first, second):
        if claim is second:
            for rate in claim.shard.learning_rates:
                store.work.record_trial(claim, {**trial(claim, rate), **flops})
        store.work.finish(claim)
    assert store.calibrations.get(identifier).progress.seconds_left is None


def test_the_time_left_holds_what_each_shard_takes_beyond_its_trials(
    make_store: Callable[..., Store], url: str
) -> None:
    store = make_store()
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=4)).calibration.id
    run_claim(store, claimed(store))
    before = store.calibrations.get(identifier).progress.seconds_left
    engine = create_store_engine(url)
    with Database(engine).write() as connection:  # the shard took a minute, its two trials half a second each
        finished = connection.execute(sa.select(shards.c.finished_at).where(shards.c.position == 0)).scalar_one()
        started = finished - timedelta(seconds=61)
        connection.execute(sa.update(shards).where(shards.c.position == 0).values(started_at=started))
    engine.dispose()
    after = store.calibrations.get(identifier).progress.seconds_left
    assert before is not None
    assert after == pytest.approx(before + 3 * 60.0, rel=1e-3)
    claimed(store)
    claimed(store)
    running = store.calibrations.get(identifier).progress.seconds_left
    assert running == pytest.approx((before + 60.0) / 2, rel=1e-3)  # two have started; two share what is left


def test_an_estimate_of_time_comes_from_stored_trials(make_store: Callable[..., Store]) -> None:
    store = make_store()
    first = store.calibrations.create(sample_spec()).calibration
    assert first.expected is not None
    assert (first.expected["seconds"], first.expected["seconds_from"]) == (None, None)
    run_all(store)
    again = store.calibrations.create(sample_spec()).calibration.expected
    assert again is not None
    assert again["seconds_from"] == "stored_trials"
    # every stored trial ran at 1e9 operations in half a second
    assert again["seconds"] == pytest.approx(again["flops"] / 2e9)
    other = sample_spec(proxy={**sample_spec()["proxy"], "architecture": "transformer"})
    transformer = store.calibrations.create(other).calibration.expected
    assert transformer is not None
    assert transformer["seconds"] is None


def test_calibrations_older_than_rounds_are_shown(store: Store, url: str) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = claimed(store)
    store.work.record_trial(claim, trial(claim, 0.001))
    engine = create_store_engine(url)
    with Database(engine).write() as connection:
        connection.execute(sa.update(calibrations).values(expected=None, environments=None))
    engine.dispose()
    assert store.calibrations.get(identifier).progress.seconds_left is not None
    run_all(store)
    store.work.record_trial(claim, trial(claim, 0.01))
    store.work.finish(claim)
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED
