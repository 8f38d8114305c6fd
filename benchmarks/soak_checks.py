"""What must be true after a soak: every calibration whole, told without a gap, and equal to the undisturbed one."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from service.store import LIMIT_MAXIMUM, Event, ExponentFilter, Shard, Store, StoredCalibration

#: Of a trial: what a second run of it may change.
OF_A_RUN = frozenset({"seconds"})
#: Of a stored exponent: what belongs to the row and not to the measurement.
OF_A_ROW = frozenset({"id", "calibration_id", "created_at", "provenance"})
#: By which an event's time may precede its claim's: both are the database's, read in one transaction (chosen).
CLOCK_SECONDS = 0.1


@dataclass(frozen=True)
class Snapshot:
    """Everything that is stored of one calibration."""

    calibration: StoredCalibration
    shards: tuple[Shard, ...]
    events: tuple[Event, ...]
    trials: tuple[Mapping[str, Any], ...]
    exponents: tuple[Mapping[str, Any], ...]


def snapshot(store: Store, identifier: str) -> Snapshot:
    """Read one calibration."""
    events: list[Event] = []
    while page := store.calibrations.events(identifier, after=events[-1].seq if events else 0, limit=LIMIT_MAXIMUM):
        events += page
    rows = store.exponents.page(ExponentFilter(calibration_id=identifier), limit=LIMIT_MAXIMUM).items
    exponents = [{name: getattr(row, name) for name in row.__slots__ if name not in OF_A_ROW} for row in rows]
    return Snapshot(
        calibration=store.calibrations.get(identifier),
        shards=store.calibrations.shards(identifier),
        events=tuple(events),
        trials=tuple(
            {name: value for name, value in trial.to_dict().items() if name not in OF_A_RUN}
            for trial in store.trials.all(identifier)
        ),
        exponents=tuple(sorted(exponents, key=repr)),
    )


def violations(name: str, found: Snapshot, wanted: Snapshot, lease_seconds: float) -> Iterator[str]:
    """Return each way in which a disturbed calibration is not what it should be, in words; none: all is well."""
    for fault in (*_of_result(found, wanted), *_of_events(found), *_of_claims(found, lease_seconds)):
        yield f"{name} ({found.calibration.id}): {fault}"


def _of_result(found: Snapshot, wanted: Snapshot) -> Iterator[str]:
    state, reason = found.calibration.state.value, found.calibration.reason
    if state != wanted.calibration.state.value:
        yield f"it is {state} ({reason}) and was {wanted.calibration.state.value} undisturbed"
    counts = Counter(map(_identity, found.trials))
    doubled = [identity for identity, count in counts.items() if count > 1]
    missing = {_identity(trial) for trial in wanted.trials} - counts.keys()
    more = counts.keys() - {_identity(trial) for trial in wanted.trials}
    for what, trials in (("doubled", doubled), ("missing", missing), ("not of the undisturbed run", more)):
        if trials:
            yield f"{len(trials)} trials are {what}: {sorted(trials)[:3]}"
    if not missing and not more and found.trials != wanted.trials:
        yield "a trial's status or loss differs from the undisturbed run's"
    if _result(found) != _result(wanted):
        yield "its result differs from the undisturbed run's"
    if found.exponents != wanted.exponents:
        yield "its exponents differ from the undisturbed run's"


def _identity(trial: Mapping[str, Any]) -> tuple[Any, ...]:
    fixed = (trial["width"], trial["learning_rate"], trial["seed"])
    return (*fixed, trial.get("role") or "", trial.get("gamma") or 1.0, trial.get("horizon") or 0)


def _result(of: Snapshot) -> dict[str, Any] | None:
    """The result without which processes gave it."""
    result = of.calibration.result
    return None if result is None else {name: value for name, value in result.items() if name != "provenance"}


def _of_events(found: Snapshot) -> Iterator[str]:
    """Numbers without gaps, and each transition told once: the chain of every shard and of the calibration holds."""
    numbers = [event.seq for event in found.events]
    if numbers != list(range(1, found.calibration.last_event + 1)):
        yield f"its events are not numbered 1 to {found.calibration.last_event} without gaps"
    at: dict[str, str | None] = {shard.id: "queued" for shard in found.shards} | {"": None}
    for event in found.events:
        if event.kind in ("shard", "calibration"):
            of = event.data["shard_id"] if event.kind == "shard" else ""
            if at[of] != event.data["from"]:
                yield f"event {event.seq} leaves {event.data['from']}, but {of or 'it'} was {at[of]}"
            at[of] = event.data["to"]
    for shard in found.shards:
        if at[shard.id] != shard.state.value:
            yield f"shard {shard.id} is {shard.state.value}, its events end at {at[shard.id]}"
    if at[""] != found.calibration.state.value:
        yield f"it is {found.calibration.state.value}, its events end at {at['']}"
    told = Counter(_identity(event.data) for event in found.events if event.kind == "trial")
    if told != Counter(map(_identity, found.trials)):
        yield "its trials were not each told once"


def _of_claims(found: Snapshot, lease_seconds: float) -> Iterator[str]:
    """Each claim told; none taken from a worker whose lease can't have run out; no shard succeeded twice."""
    claims: dict[str, list[datetime]] = {}
    for shard in found.shards:
        moves = [event for event in found.events if event.kind == "shard" and event.data["shard_id"] == shard.id]
        claims[shard.id] = [event.created_at for event in moves if event.data["to"] == "running"]
        if len(claims[shard.id]) != shard.epoch:
            yield f"shard {shard.id} was claimed {shard.epoch} times, and {len(claims[shard.id])} were told"
        if sum(event.data["to"] == "succeeded" for event in moves) != 1:
            yield f"shard {shard.id} did not succeed once"
        for before, after in pairwise(moves):
            stolen = before.data["to"] == after.data["to"] == "running"
            held = (after.created_at - before.created_at).total_seconds()
            if stolen and held < lease_seconds - CLOCK_SECONDS:
                yield f"shard {shard.id} was taken {held:.2f} s after its claim, within a lease of {lease_seconds:g} s"
