"""Extensions: a new calibration that begins with the trials of a finished one, and what provenance both tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from service.store import (
    CalibrationState,
    IdempotencyConflictError,
    NotFoundError,
    ShardState,
    StateConflictError,
    Store,
    tables,
)
from service.store.results.lineage import DONE_STATUSES
from tests.store.samples import run_all, run_claim, sample_spec, trial
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.trial import TrialIdentity
from widthwise.vocabulary import Measured, ShardKind

THEORY = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")
CPU = {"device": "cpu", "versions": {"jax": "1"}, "code_sha256": "a" * 64}


def finished(store: Store, *environments: dict[str, Any], **changes: Any) -> str:
    """A succeeded calibration; its shards ran in these environments in turn."""
    identifier = store.calibrations.create(sample_spec(**changes)).calibration.id
    for environment in environments:
        claim = store.work.claim("w")
        assert claim is not None
        store.work.record_environment(claim, environment)
        run_claim(store, claim)
    run_all(store)
    assert store.calibrations.get(identifier).state is CalibrationState.SUCCEEDED
    return identifier


def test_it_begins_with_the_trials_and_runs_what_is_missing(store: Store) -> None:
    parent = finished(store, CPU)
    before = store.calibrations.get(parent)
    made = store.calibrations.extend(parent, sample_spec(widths=[32, 64, 128])).calibration
    assert (made.extends, made.state, made.spec.widths) == (parent, CalibrationState.QUEUED, (32, 64, 128))
    assert (made.progress.trials_done, made.progress.trials_total) == (8, 12)
    assert made.progress.shards == {ShardState.QUEUED: 2}
    assert made.expected is not None
    assert (made.expected["trials"], made.expected["shards"]) == (4, 2)
    assert run_all(store) == 2
    done = store.calibrations.get(made.id)
    assert done.state is CalibrationState.SUCCEEDED
    assert done.result is not None
    assert done.result["trials"] == done.progress.trials_total == 12
    copied = [row for row in store.trials.page(made.id).items if row.shard_id is None]
    original = store.trials.page(parent).items
    assert [row.to_dict() for row in copied] == [row.to_dict() for row in original]
    assert [row.created_at for row in copied] == [row.created_at for row in original]
    assert store.calibrations.get(parent) == before  # a result never changes


def test_what_failed_is_run_again(store: Store) -> None:
    parent = store.calibrations.create(sample_spec(widths=[32])).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    store.work.record_trial(claim, {**trial(claim, 0.001, loss=None), "status": "failed"})
    store.work.record_trial(claim, trial(claim, 0.01))
    store.work.finish(claim)
    run_all(store)
    extended = store.calibrations.extend(parent, sample_spec(widths=[32], seeds=3)).calibration
    assert extended.progress.trials_done == 3
    assert run_all(store) == 2  # seed 2, and the learning rate of seed 0 that failed
    assert {row.status for row in store.trials.page(extended.id).items} <= set(DONE_STATUSES)


def test_where_nothing_is_missing_it_is_fitted_at_once(store: Store) -> None:
    parent = finished(store)
    made = store.calibrations.extend(parent, sample_spec(mesh=0.25)).calibration
    assert made.state is CalibrationState.SUCCEEDED
    assert (made.progress.trials_done, made.progress.shards) == (8, {})


def test_measurements_come_with_it(make_store: Callable[..., Store]) -> None:
    def plan(spec: Any, trials: Any, measurements: Any) -> list[ShardSpec]:
        known = {found.width for found in measurements}
        kind, measure = ShardKind.MEASURE, (Measured.EPSILON,)
        return [ShardSpec(n, (0.1,), (0,), kind, measure=measure) for n in spec.widths if n not in known]

    fitted: list[Any] = []

    def fit(spec: Any, trials: Any, measurements: Any) -> Any:
        fitted.append([found.width for found in measurements])
        return NoTrials()

    store = make_store(plan=plan, fit=fit)
    parent = store.calibrations.create(sample_spec()).calibration.id
    measure_all(store)
    extended = store.calibrations.extend(parent, sample_spec(widths=[32, 64, 128])).calibration.id
    assert measure_all(store) == [128]
    assert fitted == [[32, 64], [32, 64, 128]]
    assert [row.width for row in store.measurements.page(extended).items] == [32, 64, 128]
    with pytest.raises(NotFoundError):
        store.measurements.page("cal_none")


class NoTrials:
    """A result without exponents."""

    exponents = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {}


def measure_all(store: Store) -> list[int]:
    """Run every shard that measures; return their widths."""
    widths = []
    while (claim := store.work.claim("w")) is not None:
        widths.append(claim.shard.width)
        store.work.record_measurement(claim, {"width": widths[-1], "seed": 0, "kind": "epsilon", "data": {}})
        store.work.finish(claim)
    return widths


def test_only_what_has_succeeded_is_extended(store: Store) -> None:
    running = store.calibrations.create(sample_spec()).calibration.id
    with pytest.raises(StateConflictError, match="is queued; only one that has succeeded"):
        store.calibrations.extend(running, sample_spec(seeds=3))
    store.calibrations.cancel(running)
    with pytest.raises(StateConflictError, match="is cancelled"):
        store.calibrations.extend(running, sample_spec(seeds=3))
    with pytest.raises(NotFoundError):
        store.calibrations.extend("cal_none", sample_spec())
    assert len(store.calibrations.page().items) == 1


def test_a_key_makes_one_extension(store: Store) -> None:
    parent, other = finished(store), finished(store)
    wider = sample_spec(widths=[32, 64, 128])
    first = store.calibrations.extend(parent, wider, idempotency_key="k")
    again = store.calibrations.extend(parent, wider, idempotency_key="k")
    assert (again.replayed, again.calibration) == (True, first.calibration)
    for make in (
        lambda: store.calibrations.extend(other, wider, idempotency_key="k"),  # the same, but of another one
        lambda: store.calibrations.create(wider, idempotency_key="k"),  # the same, but of none
        lambda: store.calibrations.extend(parent, sample_spec(seeds=4), idempotency_key="k"),
    ):
        with pytest.raises(IdempotencyConflictError, match=first.calibration.id):
            make()


def test_an_external_one_goes_on_with_uploads(store: Store) -> None:
    upload = [{"width": n, "learning_rate": 0.1, "seed": 0, "loss": 1.0} for n in (32, 64)]
    parent = store.calibrations.create(sample_spec(runner="external")).calibration.id
    store.calibrations.upload(parent, upload)
    store.calibrations.finish(parent)
    made = store.calibrations.extend(parent, sample_spec(runner="external", widths=[32, 64, 128])).calibration
    assert (made.state, made.progress.trials_done) == (CalibrationState.RUNNING, 2)
    store.calibrations.upload(made.id, [{**upload[0], "width": 128}])
    done = store.calibrations.finish(made.id)
    assert done.result is not None
    assert done.result["trials"] == 3


def test_the_result_says_what_measured_it(store: Store) -> None:
    calibration = store.calibrations.get(finished(store, CPU, CPU, CPU, CPU))
    assert calibration.result is not None
    assert calibration.result["provenance"] == {
        "spec_sha256": calibration.spec_digest,
        "runner": "worker",
        "code_sha256": ["a" * 64],
        "environments": [CPU],
    }
    assert "warnings" not in calibration.result


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"code_sha256": "b" * 64}, "code"),
        ({"device": "gpu"}, "device"),
        ({"versions": {"jax": "2"}}, "versions.jax"),
        ({"code_sha256": "b" * 64, "device": "gpu"}, "code, device"),
    ],
)
def test_a_mixture_is_warned_of(store: Store, other: dict[str, Any], named: str) -> None:
    result = store.calibrations.get(finished(store, CPU, {**CPU, **other})).result
    assert result is not None
    (warning,) = result["warnings"]
    assert warning["code"] == "mixed_environments"
    assert f"`{warning['code']}`" in THEORY
    assert f"ran under different {named}, so" in warning["message"]


def test_an_attempt_that_was_given_up_counts_too(store: Store) -> None:
    """Its trials are kept, whatever ran the rest of the shard."""
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    for environment in (CPU, {**CPU, "device": "gpu"}):
        claim = store.work.claim("w")
        assert claim is not None
        store.work.record_environment(claim, environment)
        if environment is CPU:
            store.work.record_trial(claim, trial(claim, 0.001))
            store.work.fail(claim, "crash", retryable=True)
        else:
            run_claim(store, claim)
    result = store.calibrations.get(identifier).result
    assert result is not None
    assert [warning["code"] for warning in result["warnings"]] == ["mixed_environments"]


def test_an_extension_on_another_machine_is_a_mixture(store: Store) -> None:
    parent = finished(store, CPU, CPU, CPU, CPU)
    extended = store.calibrations.extend(parent, sample_spec(seeds=3)).calibration.id
    claim = store.work.claim("w")
    assert claim is not None
    store.work.record_environment(claim, {**CPU, "device": "tpu"})
    run_claim(store, claim)
    run_all(store)
    result = store.calibrations.get(extended).result
    assert result is not None
    assert "different device," in result["warnings"][0]["message"]
    assert [one["device"] for one in result["provenance"]["environments"]] == ["cpu", "tpu"]


# what is shared -----------------------------------------------------------------------------------


def rows_of(store: Store, table: sa.Table) -> int:
    """How many rows a table has."""
    with store.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


UPLOADED = [
    {"width": width, "learning_rate": rate, "seed": seed, "loss": 1.0 + rate}
    for width in (32, 64)
    for rate in (0.1, 0.2)
    for seed in range(3)
]


def uploaded(store: Store) -> str:
    """A succeeded calibration that others trained."""
    identifier = store.calibrations.create(sample_spec(runner="external", seeds=3)).calibration.id
    store.calibrations.upload(identifier, UPLOADED)
    assert store.calibrations.finish(identifier).state is CalibrationState.SUCCEEDED
    return identifier


def test_no_trial_is_stored_twice(store: Store) -> None:
    parent = uploaded(store)
    spec = sample_spec(runner="external", seeds=3, widths=[32, 64, 128])
    made = [store.calibrations.extend(parent, spec).calibration for _ in range(3)]
    made.append(store.calibrations.extend(finish_of(store, made[0].id), {**spec, "seeds": 4}).calibration)
    assert [one.progress.trials_done for one in made] == [12] * 4
    assert rows_of(store, tables.trials) == 12
    assert [len(store.trials.all(one.id)) for one in made] == [12] * 4


def finish_of(store: Store, identifier: str) -> str:
    """Finish a calibration and return its id."""
    assert store.calibrations.finish(identifier).state is CalibrationState.SUCCEEDED
    return identifier


def test_a_trial_uploaded_again_stands_for_the_shared_one(store: Store) -> None:
    """It counts once, in the extension and in what extends that; the parent keeps its own."""
    parent = uploaded(store)
    spec = sample_spec(runner="external", seeds=3, widths=[32, 64, 128])
    child = store.calibrations.extend(parent, spec).calibration.id
    again = {**UPLOADED[0], "loss": 9.0}
    for _ in range(2):
        assert store.calibrations.upload(child, [again]).progress.trials_done == 12
    assert store.calibrations.upload(child, [{**again, "width": 128}]).progress.trials_done == 13
    grandchild = store.calibrations.extend(finish_of(store, child), {**spec, "seeds": 4}).calibration
    assert grandchild.progress.trials_done == 13
    for identifier, count, loss in ((parent, 12, 1.1), (child, 13, 9.0), (grandchild.id, 13, 9.0)):
        page = store.trials.page(identifier).items
        assert {row.id for row in page} == {row.id for row in store.trials.all(identifier)}  # type: ignore[attr-defined]
        losses = {row.identity: row.loss for row in page}
        assert len(page) == len(losses) == count
        assert losses[TrialIdentity(32, 0.1, 0, None, 1.0, None)] == loss
        assert {row.calibration_id for row in page} == {identifier}
    compared = store.trials.compared(grandchild.id, parent)
    assert (compared.common, compared.equal, compared.only_this, compared.only_other) == (12, 11, 1, 0)
    assert compared.largest_difference == pytest.approx(7.9)


def test_an_extension_does_not_run_what_its_grandparent_ran(store: Store) -> None:
    parent = finished(store)
    child = store.calibrations.extend(parent, sample_spec(widths=[32, 64, 128])).calibration.id
    run_all(store)
    grandchild = store.calibrations.extend(child, sample_spec(widths=[32, 64, 128, 256])).calibration
    assert (grandchild.progress.trials_done, grandchild.progress.trials_total) == (12, 16)
    claim = store.work.claim("w")
    assert claim is not None
    assert (claim.shard.width, claim.done) == (256, ())
    run_claim(store, claim)
    run_all(store)
    done = store.calibrations.get(grandchild.id)
    assert done.result is not None
    assert done.result["trials"] == done.progress.trials_done == 16
    assert rows_of(store, tables.trials) == 16


def test_pages_of_a_shared_list_have_no_gap(store: Store) -> None:
    parent = uploaded(store)
    child = store.calibrations.extend(parent, sample_spec(runner="external", widths=[32, 64, 128], seeds=3)).calibration
    store.calibrations.upload(child.id, [{**trial, "width": 128} for trial in UPLOADED[:5]])
    found, cursor = [], None
    while True:
        page = store.trials.page(child.id, cursor=cursor, limit=4)
        found += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(found) == len(set(found)) == 17
