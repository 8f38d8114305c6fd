"""What the store returns: frozen rows, detached from the session that read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from service.store.database.states import CalibrationState, ShardState
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import MeasurementIdentity, Trial, TrialIdentity

JsonObject = Mapping[str, Any]
T = TypeVar("T")


class Lease(StrEnum):
    """What a worker learns from each write it makes for a claim."""

    HELD = "held"  #: the claim is valid and the write happened
    CANCEL_REQUESTED = "cancel_requested"  #: the claim is valid and the write happened; stop and call cancel_shard
    LOST = "lost"  #: another claim, or a final state, replaced this one: nothing was written; kill the child


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; `next_cursor` is None on the last one."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CalibrationProgress:
    """How far a calibration is, counted when it is read."""

    trials_done: int
    trials_total: int  #: planned so far, plus those of the stages still expected; the actual number once it succeeded
    shards: Mapping[ShardState, int]
    seconds_left: float | None = None  #: None until it runs and has a trial to estimate from


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """One calibration with its specification, progress and, when it succeeded, its result."""

    id: str
    created_at: datetime
    state: CalibrationState
    stored_spec: JsonObject  #: the specification as it was stored, perhaps by an older version
    runner: str  #: a Runner
    reason: str | None  #: why it failed; None otherwise
    cancel_requested: bool  #: cancellation was requested; the state follows once running shards have stopped
    result: JsonObject | None  #: CalibrationResult.to_dict() once succeeded
    started_at: datetime | None
    finished_at: datetime | None
    last_event: int  #: number of its newest event, from 1; 0 before any
    progress: CalibrationProgress
    spec_digest: str = ""  #: SHA-256 of the specification's canonical JSON
    extends: str | None = None  #: the calibration whose trials it began with
    rounds: int = 1  #: how often shards were planned
    environments: tuple[JsonObject, ...] = ()  #: each distinct device, versions and code that ran a part of it
    expected: JsonObject | None = None  #: the estimated time when it was created; None for older rows
    owner: str = ""  #: "" if no API key was required
    name: str | None = None  #: for people; several may have the same
    note: str | None = None  #: for people

    @property
    def spec(self) -> CalibrationSpec:
        """The specification, brought up to date."""
        return CalibrationSpec.from_dict(self.stored_spec)


@dataclass(frozen=True, slots=True)
class CreatedCalibration:
    """The answer to create_calibration; `replayed` when an idempotency key named an existing one."""

    calibration: StoredCalibration
    replayed: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as stored; `epoch` counts claims, `attempts` those that count against the limit."""

    id: str
    calibration_id: str
    position: int
    spec: ShardSpec
    state: ShardState
    attempts: int
    epoch: int
    worker_id: str | None
    lease_until: datetime | None
    queued_at: datetime  #: when it was last queued
    published_at: datetime | None  #: when its message was sent, if it was since then
    reason: str | None  #: of the last failure; kept while it waits for another attempt
    environment: JsonObject | None  #: device and versions of the child that ran it last
    started_at: datetime | None
    finished_at: datetime | None
    lease_seconds: float | None = None  #: left of the lease, by the database's clock; below 0 if it has expired


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to one shard for as long as the lease holds; each write carries its epoch."""

    shard_id: str
    calibration_id: str
    worker_id: str
    epoch: int
    attempt: int  #: 1 for the first
    spec: CalibrationSpec
    shard: ShardSpec
    done: (
        tuple[TrialIdentity, ...] | tuple[MeasurementIdentity, ...]
    ) = ()  #: the outcomes of the shard that are stored already
    request_id: str | None = None  #: of the request that created the calibration, for logs
    owner: str = ""  #: of the calibration


@dataclass(frozen=True, slots=True)
class MeasurementRow:
    """One stored measurement."""

    id: str
    calibration_id: str
    created_at: datetime
    shard_id: str | None  #: None if it came with the calibration that this one extends
    width: int
    seed: int
    kind: str  #: a Measured, or what an older version measured
    data: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow(Trial):
    """One stored training run."""

    id: str
    calibration_id: str
    created_at: datetime
    shard_id: str | None  #: None if uploaded, or if it came with the calibration that this one extends


@dataclass(frozen=True, slots=True)
class ExponentRow:
    """One stored estimate of an exponent, of the tensors of `role`."""

    id: str
    calibration_id: str
    created_at: datetime
    quantity: str  #: an ExponentQuantity, which says what goes as which power
    role: str  #: an ExponentRole
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    degrees_of_freedom: int
    theory: float | None
    widths: Sequence[int]
    source: str  #: "calibration": measured by the calibration named
    parameterization: str
    optimizer: str
    alignment: str  #: an AlignmentKind
    architecture: str
    dataset: str
    provenance: JsonObject  #: specification digest, and device and versions of each kind that ran a shard
    calibration_name: str | None = None  #: what people call the calibration now


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a calibration; `seq` is 1, 2, 3, … without gaps."""

    calibration_id: str
    seq: int
    created_at: datetime
    kind: str  #: "calibration", "shard": transitions; "trial", "trials", "measurement": results; "round": more shards
    data: JsonObject


class WorkerState(StrEnum):
    """What a worker does, according to its reports."""

    RUNNING = "running"  #: a shard
    IDLE = "idle"  #: no shard; it looks for work
    STALE = "stale"  #: no report for a while: dead, disconnected, or its machine sleeps
    STOPPED = "stopped"  #: it shut down properly


@dataclass(frozen=True, slots=True)
class StoredWorker:
    """A worker process that has reported."""

    id: str
    host: str
    device: str | None
    versions: JsonObject
    last_seen: datetime
    state: WorkerState
    seconds_since_seen: float  #: by the database's clock
    started_at: datetime | None
    stopped_at: datetime | None
    totals: JsonObject  #: totals since it started, as it reports them; {} for older rows
    shard_id: str | None = None  #: the shard that it holds
    calibration_id: str | None = None
    owner: str | None = None  #: of that calibration


@dataclass(frozen=True, slots=True)
class Backlog:
    """The table of work in numbers."""

    shards: Mapping[ShardState, int]
    oldest_queued_seconds: float | None  #: how long the oldest queued shard has waited; None if the queue is empty
    calibrations: Mapping[CalibrationState, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret; only a digest of the secret is stored."""

    id: str
    created_at: datetime
    owner: str
    name: str
    scopes: tuple[str, ...]
    digest: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    valid: bool  #: neither revoked nor expired, by the database's clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentFilter:
    """Which exponents to list; None means any."""

    parameterization: str | None = None
    optimizer: str | None = None
    alignment: str | None = None
    role: str | None = None
    quantity: str | None = None
    source: str | None = None
    architecture: str | None = None
    dataset: str | None = None
    calibration_id: str | None = None
