"""After a failure a worker leaves a calibration alone, or an owner, and never everyone's work."""

import threading
import time

import pytest

from service.settings import Settings
from service.store import CalibrationState, Store
from testbed.waiting import until
from tests.store.samples import sample_spec
from tests.workers.conftest import SPEC, ended, fake_child
from workers.backoff import FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS, Backoff
from workers.worker import Worker


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_failure_holds_up_its_calibration_alone_and_longer_each_time() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    pauses = []
    for _ in range(8):
        backoff.failed("a", "alice")
        began = clock.now
        assert (backoff.calibrations, backoff.owners) == ({"a"}, set())
        while backoff.calibrations:
            clock.now += FIRST_PAUSE_SECONDS
        pauses.append(clock.now - began)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, LAST_PAUSE_SECONDS]
    backoff.succeeded("a", "alice")
    backoff.failed("a", "alice")
    clock.now += FIRST_PAUSE_SECONDS
    assert not backoff.calibrations


def test_a_second_calibration_holds_up_its_owner_alone() -> None:
    clock = Clock()
    backoff = Backoff(clock)
    for name in ("a", "b"):
        backoff.failed(name, "alice")
    backoff.failed("c", "bob")
    assert (backoff.calibrations, backoff.owners) == ({"a", "b", "c"}, {"alice"})
    backoff.succeeded("d", "alice")
    backoff.failed("e", "alice")
    assert backoff.owners == set()


def test_a_machine_that_is_broken_uses_up_few_attempts() -> None:
    """100 calibrations of one owner, for a minute: the pauses stand between their failures."""
    clock, failures = Clock(), 0
    backoff = Backoff(clock)
    while clock.now < 60:
        free = {f"c{n}" for n in range(100)} - backoff.calibrations
        if "alice" not in backoff.owners and free:
            backoff.failed(min(free), "alice")
            failures += 1
        clock.now += 0.1
    assert failures <= 10


def work_until(store: Store, settings: Settings, behaviour: str, *identifiers: str) -> float:
    """Let one worker run until these have ended, and return the seconds that it took."""
    stop = threading.Event()
    began = time.monotonic()
    with Worker(store, settings, "w", stop, command=fake_child(behaviour), probe_command=()) as worker:

        def tried() -> bool:
            worker.work()
            return all(ended(store, identifier) for identifier in identifiers)

        until(tried)
    return time.monotonic() - began


def test_faults_of_specifications_hold_nothing_up(store: Store, settings: Settings) -> None:
    wrong = [store.of("alice").calibrations.create(SPEC).calibration.id for _ in range(5)]
    assert work_until(store, settings, "invalid", *wrong) < 10.0  # 31 s and more with a pause after each


def test_one_owners_failures_leave_the_worker_to_others(store: Store, settings: Settings) -> None:
    """Alice's children die, and Bob's are done between the attempts."""
    wrong = [store.of("alice").calibrations.create(sample_spec(widths=[64], seeds=4)).calibration.id for _ in range(3)]
    right = store.of("bob").calibrations.create(sample_spec(widths=[32], seeds=1)).calibration.id
    assert work_until(store, settings, "dies_at_64", right) < 10.0
    assert store.calibrations.get(right).state is CalibrationState.SUCCEEDED
    assert all(not ended(store, identifier) for identifier in wrong)


@pytest.mark.parametrize(
    ("behaviour", "reason", "attempts"),
    [
        ("hang", "deadline of 0.5 s", 3),
        ("no_memory", "out_of_memory", 3),
        ("killed", "by signal SIGKILL", 3),
        ("invalid", "no such dataset", 1),
    ],
)
def test_what_every_shard_would_meet_ends_the_calibration(
    store: Store, settings: Settings, behaviour: str, reason: str, attempts: int
) -> None:
    """One of four shards uses up its attempts, and the others have none."""
    identifier = store.calibrations.create(sample_spec(widths=[32, 64], seeds=2)).calibration.id
    work_until(store, settings.model_copy(update={"shard_deadline_seconds": 0.5}), behaviour, identifier)
    assert [shard.attempts for shard in store.calibrations.shards(identifier)] == [attempts, 0, 0, 0]
    assert reason in (store.calibrations.get(identifier).reason or "")
