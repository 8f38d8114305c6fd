"""The checks of the soak find what they are for: each tampered calibration is told, a sound one is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from benchmarks.soak_checks import Snapshot, snapshot, violations
from service.store import CalibrationState, Store
from service.store.database.engine import create_store_engine
from service.store.work.rounds import Planner
from testbed.databases import SqliteFiles
from tests.store.samples import fit_sample, plan_sample, run_all, sample_spec

LEASE_SECONDS = 60.0


@pytest.fixture
def sound(sqlite_files: SqliteFiles) -> Snapshot:
    """A calibration that ran to its end."""
    search = Planner(plan_sample, lambda spec: plan_sample(spec, (), ()))
    store = Store(create_store_engine(sqlite_files.new_migrated()), fit=fit_sample, planner=search)
    identifier = store.calibrations.create(sample_spec()).calibration.id
    run_all(store)
    found = snapshot(store, identifier)
    store.close()
    return found


def claimed_twice(of: Snapshot) -> Snapshot:
    """The same, with a shard taken by another worker a second after its claim."""
    first = next(event for event in of.events if event.kind == "shard" and event.data["to"] == "running")
    moment = first.created_at + timedelta(seconds=1)
    again = replace(first, data={**first.data, "from": "running"}, created_at=moment)
    place = of.events.index(first) + 1
    events = [*of.events[:place], again, *of.events[place:]]
    renumbered = tuple(replace(event, seq=number) for number, event in enumerate(events, start=1))
    shards = tuple(replace(s, epoch=s.epoch + (s.id == first.data["shard_id"])) for s in of.shards)
    return replace(of, events=renumbered, shards=shards, calibration=replace(of.calibration, last_event=len(events)))


def test_a_sound_calibration_has_no_violation(sound: Snapshot) -> None:
    assert sound.trials
    assert sound.exponents
    assert list(violations("one", sound, sound, LEASE_SECONDS)) == []


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (lambda s: replace(s, trials=s.trials[1:]), "1 trials are missing"),
        (lambda s: replace(s, trials=(*s.trials, s.trials[0])), "1 trials are doubled"),
        (lambda s: replace(s, trials=(*s.trials, {**s.trials[0], "seed": 99})), "not of the undisturbed run"),
        (lambda s: replace(s, trials=({**s.trials[0], "loss": 9.0}, *s.trials[1:])), "status or loss differs"),
        (lambda s: replace(s, exponents=s.exponents[1:]), "exponents differ"),
        (lambda s: replace(s, calibration=replace(s.calibration, result={"optima": []})), "result differs"),
        (
            lambda s: replace(s, calibration=replace(s.calibration, state=CalibrationState.RUNNING)),
            "it is running .* and was succeeded",
        ),
        (lambda s: replace(s, events=s.events[:-2] + s.events[-1:]), "without gaps"),
        (lambda s: replace(s, events=tuple(e for e in s.events if e.kind != "trial")), "not each told once"),
        (lambda s: replace(s, events=tuple(e for e in s.events if e.kind != "shard")), "its events end at queued"),
        (lambda s: replace(s, shards=tuple(replace(one, epoch=2) for one in s.shards)), "was claimed 2 times, and 1"),
        (claimed_twice, "was taken 1.00 s after its claim, within a lease of 60 s"),
    ],
)
def test_each_violation_is_told(sound: Snapshot, tamper: Callable[[Snapshot], Snapshot], told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        assert "; ".join(violations("one", tamper(sound), sound, LEASE_SECONDS)) == ""
