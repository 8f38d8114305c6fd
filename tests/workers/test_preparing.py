"""What a worker without a shard has its child compile: which width, when, and what becomes of it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.settings import Settings
from service.store import CalibrationState, Claim, ShardState, Store
from service.store.work.rounds import Planner
from testbed.waiting import is_alive, until
from tests.store.samples import claimed, plan_in_turn, run_claim, sample_spec
from tests.workers.conftest import fake_child
from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import Measured
from workers.preparing import next_width
from workers.supervisor import CHILD_COMMAND
from workers.worker import Worker

NARROW, NEXT, WIDE = WIDTHS = (8, 16, 32)
#: A round for each width, with two shards of one trial.
SPEC = sample_spec(widths=WIDTHS, learning_rates=[0.01])


@pytest.fixture
def store(open_sample_store: Callable[..., Store]) -> Store:
    """A store whose calibrations go from width to width."""
    return open_sample_store(planner=Planner(plan_in_turn, lambda spec: plan_in_turn(spec, (), ())))


MakeWorker = Callable[..., Worker]
Waits = Callable[..., tuple[Worker, list[Claim]]]


@pytest.fixture
def make_worker(store: Store, settings: Settings) -> Iterator[MakeWorker]:
    """Workers on this thread, which end with the test."""
    with ExitStack() as stack:

        def make(command: Sequence[str], **changed: Any) -> Worker:
            theirs = settings.model_copy(update=changed)
            worker = Worker(store, theirs, "w", threading.Event(), command=command, probe_command=())
            return stack.enter_context(worker)

        yield make


@pytest.fixture
def waits(store: Store, make_worker: MakeWorker) -> Waits:
    """Begin a calibration of which a worker has run the last shard of the first round, and another has the others."""

    def begin(
        *behaviour: str, command: Sequence[str] = (), spec: dict[str, Any] = SPEC, **settings: Any
    ) -> tuple[Worker, list[Claim]]:
        worker = make_worker(command or fake_child(*(behaviour or ("run",))), **settings)
        store.calibrations.create(spec)
        claims = [claimed(store, "other") for _ in range(spec["seeds"] - 1)]
        assert worker.work()
        return worker, claims

    return begin


def test_the_next_width_is_the_narrowest_that_is_swept_and_has_not_begun() -> None:
    spec = CalibrationSpec.from_dict(SPEC)
    assert next_width(spec, {NARROW}) == NEXT
    assert next_width(spec, {NARROW, WIDE}) == NEXT
    assert next_width(spec, WIDTHS) is None
    swept = replace(spec, measure=(Measured.COORDINATES, Measured.GAMMA))
    assert next_width(swept, {NARROW}) == NEXT
    for measure in ((Measured.HORIZON,), (Measured.ALIGNMENT, Measured.HORIZON)):
        assert next_width(replace(spec, measure=measure), {NARROW}) is None


def test_a_worker_without_a_shard_has_the_next_width_compiled(waits: Waits, store: Store, gate: Path) -> None:
    worker, (claim,) = waits()
    assert not worker.work()
    until((gate / str(NEXT)).exists)
    child = int((gate / str(NEXT)).read_text())
    (gate / "go").touch()
    with capture_logs() as logs:
        until(lambda: worker.work() or "width_compiled" in [line["event"] for line in logs])
        assert not worker.work()  # one width is enough
        run_claim(store, claim)
        assert worker.work()
    (begun,) = [line for line in logs if line["event"] == "shard_started"]
    assert (begun["width"], begun["child_pid"]) == (NEXT, child)
    assert not (gate / str(WIDE)).exists()


def test_nothing_is_compiled_for_a_last_round(waits: Waits, gate: Path) -> None:
    worker, _ = waits(spec={**SPEC, "widths": [NARROW]})
    assert not worker.work()
    assert worker._standby.ties is not None
    assert not list(gate.iterdir())


def test_a_fresh_child_for_every_shard_compiles_nothing(waits: Waits) -> None:
    worker, _ = waits(child_shards=1)
    with capture_logs() as logs:
        assert not worker.work()
    assert not logs


def test_another_calibration_does_not_wait(waits: Waits, store: Store, gate: Path) -> None:
    """The gate stays shut."""
    worker, (claim,) = waits()
    assert not worker.work()
    until((gate / str(NEXT)).exists)
    other = store.calibrations.create({**SPEC, "widths": [NARROW], "seeds": 1, "learning_rates": [0.01, 0.02]})
    assert worker.work()
    assert store.calibrations.get(other.calibration.id).state is CalibrationState.SUCCEEDED
    assert not is_alive(int((gate / str(NEXT)).read_text()))
    assert store.calibrations.get(claim.calibration_id).state is CalibrationState.RUNNING


def test_another_shard_of_the_width_that_runs_does_not_wait(waits: Waits, store: Store, gate: Path) -> None:
    worker, (claim,) = waits()
    assert not worker.work()
    until((gate / str(NEXT)).exists)
    store.work.release(claim)
    assert worker.work()
    assert not is_alive(int((gate / str(NEXT)).read_text()))
    assert [shard.attempts for shard in narrow_shards(store, claim.calibration_id)] == [1, 1]


def narrow_shards(store: Store, identifier: str) -> list[Any]:
    """The shards of the first round, which have succeeded."""
    shards = [shard for shard in store.calibrations.shards(identifier) if shard.spec.width == NARROW]
    assert {shard.state for shard in shards} == {ShardState.SUCCEEDED}
    return shards


def test_a_cancelled_calibration_is_compiled_for_no_longer(waits: Waits, store: Store, gate: Path) -> None:
    worker, (claim,) = waits()
    assert not worker.work()
    until((gate / str(NEXT)).exists)
    store.calibrations.cancel(claim.calibration_id)
    assert not worker.work()
    assert not is_alive(int((gate / str(NEXT)).read_text()))
    store.work.cancel(claim)
    assert store.calibrations.get(claim.calibration_id).state is CalibrationState.CANCELLED


def test_a_stop_ends_a_compilation(waits: Waits, store: Store, gate: Path) -> None:
    worker, (claim,) = waits()
    assert not worker.work()
    until((gate / str(NEXT)).exists)
    worker.__exit__(None, None, None)
    assert not is_alive(int((gate / str(NEXT)).read_text()))
    run_claim(store, claim)
    assert len(narrow_shards(store, claim.calibration_id)) == 2


@pytest.mark.parametrize("behaviour", ["unstarted", "killed", "no_memory", "invalid", "garbage"])
def test_what_fails_to_compile_fails_no_shard_and_is_not_tried_again(
    waits: Waits, store: Store, behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FROM", "2")
    worker, (first, second) = waits(behaviour, spec={**SPEC, "seeds": 3})
    with capture_logs() as logs:
        assert not worker.work()
        until(lambda: worker.work() or worker._standby.ties is None)
        store.work.release(first)
        assert worker.work()  # by a fresh child
        assert worker._standby.ties is not None
        assert not worker.work()
    told = [line["event"] for line in logs]
    assert told.count("width_compiles") == told.count("width_not_compiled") == 1
    run_claim(store, second)
    assert [shard.attempts for shard in narrow_shards(store, first.calibration_id)] == [1, 1, 1]


def test_a_shard_finds_its_program_compiled_by_a_child_that_had_none(
    waits: Waits, store: Store, settings: Settings
) -> None:
    """With the engine. The child that has compiled does not run the shard, so the program comes from the disk."""
    spec = {**SPEC, "proxy": {**SPEC["proxy"], "depth": 1, "head_dim": 4}}
    worker, (claim,) = waits(command=CHILD_COMMAND, spec=spec)

    def programs() -> set[str]:
        return {path.name for path in settings.cache_dir.glob("*advance*-cache")}

    assert len(programs()) == 1
    with capture_logs() as logs:
        until(lambda: worker.work() or "width_compiled" in [line["event"] for line in logs])
    compiled = programs()
    assert len(compiled) == 2
    run_claim(store, claim)
    worker._standby.end()
    assert worker.work()
    assert programs() == compiled
    trained = {row.width for row in store.trials.page(claim.calibration_id).items}
    assert trained == {NARROW, NEXT}
