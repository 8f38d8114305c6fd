"""Results: the fit at the end, its recovery after a crash, uploads from elsewhere, and the exponents stored."""

import dataclasses
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import Any

import pytest

from service.store import (
    CalibrationState,
    ExponentFilter,
    Lease,
    ShardState,
    StateConflictError,
    Store,
    StoredCalibration,
    TrialRow,
)
from service.store.results.trials import ROWS_PER_STATEMENT, TRIALS_PER_WIDTH
from testbed.sweeping import finish_ready
from tests.store.samples import (
    Crash,
    SampleEstimate,
    SampleResult,
    crashing_fit,
    fit_sample,
    run_all,
    sample_spec,
    trial,
)
from widthwise.errors import EstimateError, InvalidInputError

EXTERNAL = {"runner": "external"}
UPLOAD = [
    {"width": 32, "learning_rate": 0.01, "seed": 0, "loss": 2.0},
    {"width": 64, "learning_rate": 0.01, "seed": 0, "loss": 1.5},
    {"width": 64, "learning_rate": 0.1, "seed": 0, "loss": None},
]


def test_the_last_shard_ends_the_calibration(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    assert store.work.record_environment(claim, {"device": "cpu", "versions": {"jax": "0.10.2"}}) is Lease.HELD
    store.work.release(claim)
    assert run_all(store) == 4
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.SUCCEEDED
    assert calibration.result is not None
    assert calibration.result["trials"] == 8
    assert calibration.finished_at is not None
    rows = store.exponents.page(ExponentFilter(calibration_id=identifier)).items
    assert {row.role for row in rows} == {"hidden", "readout"}
    row = rows[0]
    assert (row.value, row.standard_error, row.interval, row.degrees_of_freedom) == (1.1, 0.05, (0.9, 1.3), 2)
    assert (row.source, row.parameterization, row.optimizer, row.alignment) == (
        "calibration",
        "standard",
        "adam",
        "full",
    )
    assert (row.architecture, row.dataset, row.widths) == ("mlp", "python_docs", (32, 64))
    assert row.provenance["environments"] == [{"device": "cpu", "versions": {"jax": "0.10.2"}}]
    assert len(row.provenance["spec_sha256"]) == 64


def test_a_refused_fit_fails_the_calibration_with_its_reason(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    for rate in claim.shard.learning_rates:
        store.work.record_trial(claim, trial(claim, rate, loss=None))
    store.work.finish(claim)
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert calibration.reason == "0 completed trials; at least 2 are needed"
    assert calibration.progress.trials_done == 2


def broken_fit(spec: Any, trials: Any, measurements: Any) -> Any:
    """A fit with a fault."""
    raise ZeroDivisionError("no widths")


def non_finite_fit(spec: Any, trials: Any, measurements: Any) -> Any:
    """A fit that lets NaN through."""
    return SampleResult(1, (dataclasses.replace(SampleEstimate(), value=math.nan),))


@pytest.mark.parametrize(
    ("fit", "reason"), [(broken_fit, "ZeroDivisionError: no widths"), (non_finite_fit, "has value = nan")]
)
def test_a_faulty_fit_ends_one_calibration_and_no_worker(
    make_store: Callable[..., Store], fit: Any, reason: str
) -> None:
    store = make_store(fit=fit)
    identifier = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    calibration = store.calibrations.get(identifier)
    assert calibration.state is CalibrationState.FAILED
    assert reason in (calibration.reason or "")
    assert store.exponents.page().items == ()


def test_a_crash_before_the_fit_is_made_good_by_another_worker(make_store: Callable[..., Store]) -> None:
    dying, other = make_store(fit=crashing_fit), make_store()
    identifier = dying.calibrations.create(sample_spec()).calibration.id
    with pytest.raises(Crash):
        run_all(dying)
    stuck = other.calibrations.get(identifier)
    assert stuck.state is CalibrationState.RUNNING
    assert stuck.progress.shards == {ShardState.SUCCEEDED: 4}
    assert finish_ready(other) == 1
    assert other.calibrations.get(identifier).state is CalibrationState.SUCCEEDED
    assert finish_ready(other) == 0
    assert len(other.exponents.page().items) == 2


def test_many_may_finish_at_once_and_one_result_is_stored(make_store: Callable[..., Store]) -> None:
    gate = threading.Barrier(6)

    def slow_fit(spec: Any, trials: Any, measurements: Any) -> SampleResult:
        gate.wait(timeout=10)  # every rival has read the trials before any writes
        return fit_sample(spec, trials)

    dying = make_store(fit=crashing_fit)
    identifier = dying.calibrations.create(sample_spec()).calibration.id
    with pytest.raises(Crash):
        run_all(dying)
    stores = [make_store(fit=slow_fit) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        finished = list(pool.map(finish_ready, stores))
    assert sum(finished) == 1
    assert len(dying.exponents.page().items) == 2
    ends = [event for event in dying.calibrations.events(identifier) if event.data.get("to") == "succeeded"]
    assert [event.kind for event in ends].count("calibration") == 1


def test_uploads_are_idempotent(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    assert store.calibrations.shards(identifier) == ()
    first = store.calibrations.upload(identifier, UPLOAD)
    assert (first.state, first.progress.trials_done) == (CalibrationState.RUNNING, 3)
    assert store.calibrations.upload(identifier, UPLOAD) == first  # not even an event more
    corrected = store.calibrations.upload(identifier, [UPLOAD[0] | {"loss": 1.75}])
    assert corrected.progress.trials_done == 3
    assert [row.loss for row in store.trials.page(identifier).items] == [1.75, 1.5, None]
    assert [row.status.value for row in store.trials.page(identifier).items][-1] == "diverged"


def test_an_upload_of_several_statements(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    count = 2 * ROWS_PER_STATEMENT + 1
    upload = [{"width": 32, "learning_rate": 0.001, "seed": seed, "loss": 1.0 + seed} for seed in range(count)]
    stored = store.calibrations.upload(identifier, upload)
    assert stored.progress.trials_done == count
    assert [(row.seed, row.loss) for row in pages_of_trials(store, identifier)] == [
        (seed, 1.0 + seed) for seed in range(count)
    ]
    assert store.calibrations.upload(identifier, upload) == stored
    edges = (0, ROWS_PER_STATEMENT - 1, ROWS_PER_STATEMENT, count - 1)
    store.calibrations.upload(identifier, [one | {"loss": 0.5} if one["seed"] in edges else one for one in upload])
    assert [row.seed for row in pages_of_trials(store, identifier) if row.loss == 0.5] == list(edges)
    told = [event.data["stored"] for event in store.calibrations.events(identifier) if event.kind == "trials"]
    assert told == [count, len(edges)]


def test_of_a_trial_given_twice_the_last_report_counts(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    between = [{"width": 64, "learning_rate": 0.1, "seed": seed, "loss": 9.0} for seed in range(ROWS_PER_STATEMENT)]
    twice = [UPLOAD[0], UPLOAD[0] | {"loss": None}, *between, UPLOAD[0] | {"loss": 1.25}]
    done = store.calibrations.upload(identifier, twice)
    assert done.progress.trials_done == ROWS_PER_STATEMENT + 1
    assert [row.loss for row in pages_of_trials(store, identifier) if row.width == 32] == [1.25]
    assert store.calibrations.upload(identifier, twice) == done


def pages_of_trials(store: Store, identifier: str) -> list[TrialRow]:
    """Every trial, page by page."""
    page = store.trials.page(identifier)
    rows = list(page.items)
    while page.next_cursor is not None:
        page = store.trials.page(identifier, cursor=page.next_cursor)
        rows += page.items
    return rows


def test_uploads_are_stored_all_or_none(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    for bad, message in (
        ({"loss": math.nan}, r"trials\[1\]\.loss is nan"),
        ({"loss": math.inf}, r"trials\[1\]\.loss is inf"),
        ({"width": 48}, r"trials\[1\]\.width is 48; this calibration's widths are 32, 64"),
        ({"learning_rate": 0.0}, r"trials\[1\]\.learning_rate is 0\.0; give a number above 0"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            store.calibrations.upload(identifier, [UPLOAD[0], UPLOAD[1] | bad])
    assert store.calibrations.get(identifier).progress.trials_done == 0


def test_a_calibration_takes_as_many_trials_as_a_specification_can_name(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id

    def upload(count: int, *, first: int = 0, **more: Any) -> StoredCalibration:
        seeds = range(first, first + count)
        return store.calibrations.upload(
            identifier, [{"width": 32, "learning_rate": 0.001, "seed": seed, "loss": 1.0} | more for seed in seeds]
        )

    most = 2 * TRIALS_PER_WIDTH
    full = upload(most - 1)
    for count in (2, 500):
        message = rf"would have {most - 1 + count} trials; at most {most} are allowed: .*create another calibration"
        with pytest.raises(StateConflictError, match=message):
            upload(count, first=most - 1)
    assert store.calibrations.get(identifier) == full  # none of them is stored
    assert upload(1, first=most - 1).progress.trials_done == most
    assert upload(5, loss=2.0).progress.trials_done == most  # what is there may be corrected


def test_an_external_calibration_is_finished_on_request(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    with pytest.raises(EstimateError, match="no trials yet"):
        store.calibrations.finish(identifier)
    store.calibrations.upload(identifier, UPLOAD[:1])
    with pytest.raises(EstimateError, match="1 completed trials"):
        store.calibrations.finish(identifier)
    assert finish_ready(store) == 0  # nobody ends it but its owner
    assert store.calibrations.get(identifier).state is CalibrationState.RUNNING
    store.calibrations.upload(identifier, UPLOAD)
    finished = store.calibrations.finish(identifier)
    assert finished.state is CalibrationState.SUCCEEDED
    assert store.calibrations.finish(identifier) == finished
    with pytest.raises(StateConflictError, match=r"has ended \(succeeded\) and accepts no more trials"):
        store.calibrations.upload(identifier, UPLOAD)


def test_an_upload_during_the_fit_is_fitted_too(make_store: Callable[..., Store]) -> None:
    uploader = make_store()
    sizes: list[int] = []

    def fit(spec: Any, trials: Any, measurements: Any) -> SampleResult:
        sizes.append(len(trials))
        if len(sizes) == 1:
            uploader.calibrations.upload(identifier, UPLOAD)
        return fit_sample(spec, trials)

    store = make_store(fit=fit)
    identifier = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    store.calibrations.upload(identifier, UPLOAD[:2])
    result = store.calibrations.finish(identifier).result
    assert result is not None
    assert result["trials"] == 3
    assert sizes == [2, 3]


def test_runners_are_kept_apart(store: Store) -> None:
    worker = store.calibrations.create(sample_spec()).calibration.id
    with pytest.raises(StateConflictError, match="run by workers"):
        store.calibrations.upload(worker, UPLOAD)
    with pytest.raises(StateConflictError, match="finishes by itself"):
        store.calibrations.finish(worker)
    cancelled = store.calibrations.create(sample_spec(**EXTERNAL)).calibration.id
    assert store.calibrations.cancel(cancelled).state is CalibrationState.CANCELLED
    with pytest.raises(StateConflictError, match=r"has ended \(cancelled\)"):
        store.calibrations.finish(cancelled)


def test_exponents_are_filtered_and_paged(store: Store) -> None:
    made = []
    for optimizer, alignment in (
        ("adam", "full"),
        ("sgd", "none"),
        ("adam", {"hidden": {"alpha": 1, "omega": 1, "u": 1}}),
    ):
        spec = sample_spec(optimizer=optimizer, alignment=alignment, widths=[32])
        made.append(store.calibrations.create(spec).calibration.id)
        run_all(store)

    def count(**where: str) -> int:
        return len(store.exponents.page(ExponentFilter(**where)).items)

    assert count() == 6
    assert count(optimizer="adam") == 4
    assert count(optimizer="adam", role="hidden") == 2
    assert count(alignment="measured") == 2
    assert count(calibration_id=made[1]) == 2
    assert count(parameterization="standard", quantity="learning_rate", source="calibration") == 6
    assert count(architecture="mlp", dataset="python_docs") == 6
    assert count(dataset="other") == 0
    with pytest.raises(InvalidInputError, match="role"):
        count(role="\0")
    seen: list[str] = []
    cursor = None
    while True:
        page = store.exponents.page(ExponentFilter(optimizer="adam"), cursor=cursor, limit=1)
        seen += [row.id for row in page.items]
        if (cursor := page.next_cursor) is None:
            break
    assert len(seen) == len(set(seen)) == 4


def test_trials_are_paged_oldest_first(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    rows = store.trials.page(identifier).items
    seen = []
    cursor = None
    while True:
        page = store.trials.page(identifier, cursor=cursor, limit=3)
        seen += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert tuple(seen) == rows
    assert [row.width for row in rows] == [64] * 4 + [32] * 4


def test_all_trials_come_in_the_order_of_the_grid(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    everything = store.trials.all(identifier)
    assert len(everything) == 8
    assert everything == sorted(everything, key=attrgetter("width", "learning_rate", "seed"))
    assert everything == sorted(store.trials.page(identifier).items, key=attrgetter("width", "learning_rate", "seed"))
