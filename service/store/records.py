"""What the store gives back: frozen rows with no tie to the session they were read in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from service.store.states import CalibrationState, ShardState

JsonObject = Mapping[str, Any]
T = TypeVar("T")


class TrialStatus(StrEnum):
    """How a training run ended; only `completed` has a loss."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    STOPPED = "stopped"
    FAILED = "failed"


class Lease(StrEnum):
    """What a worker learns from each write it makes for a claim."""

    HELD = "held"  #: the claim is good and the write happened
    CANCEL_REQUESTED = "cancel_requested"  #: the claim is good, the write happened; stop and call cancel_shard
    LOST = "lost"  #: another claim, or a final state, replaced this one: nothing was written; kill the child


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing; `next_cursor` is None on the last one."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Counted when read, never stored: trials stored of trials planned, and shards by state."""

    trials_done: int
    trials_total: int
    shards: Mapping[ShardState, int]


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibration with its specification, progress and, when it succeeded, its result."""

    id: str
    created_at: datetime
    state: CalibrationState
    spec: JsonObject
    runner: str  #: "worker" or "external"
    reason: str | None  #: why it failed; None otherwise
    cancel_requested: bool  #: cancel was asked for; the state follows once running shards have stopped
    result: JsonObject | None  #: CalibrationResult.to_dict() once succeeded
    started_at: datetime | None
    finished_at: datetime | None
    last_event: int  #: number of its newest event, from 1; 0 before any
    progress: Progress


@dataclass(frozen=True, slots=True)
class CreatedCalibration:
    """The answer to create_calibration; `replayed` when an idempotency key named an existing one."""

    calibration: Calibration
    replayed: bool


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """The trials of one width that one child process runs: learning_rates × seeds."""

    width: int
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def trials(self) -> int:
        """Number of trials in it."""
        return len(self.learning_rates) * len(self.seeds)

    def to_dict(self) -> dict[str, Any]:
        """Give its JSON form, as the child process reads it."""
        return {"width": self.width, "learning_rates": list(self.learning_rates), "seeds": list(self.seeds)}

    @classmethod
    def from_dict(cls, value: JsonObject) -> "ShardSpec":
        """Read the form that `to_dict` wrote."""
        return cls(int(value["width"]), tuple(value["learning_rates"]), tuple(value["seeds"]))


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
    published_at: datetime | None
    reason: str | None  #: of the last failure, kept while it waits to be tried again
    environment: JsonObject | None  #: device and versions of the child that ran it last
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to one shard for as long as the lease holds; each write carries its epoch."""

    shard_id: str
    calibration_id: str
    worker_id: str
    epoch: int
    attempt: int  #: 1 for the first
    spec: JsonObject  #: the calibration's specification
    shard: ShardSpec
    done: tuple[tuple[float, int], ...] = field(default=())  #: (learning_rate, seed) already stored


@dataclass(frozen=True, slots=True)
class Trial:
    """One training run as a worker reports it; `loss` is finite if completed, else None."""

    width: int
    learning_rate: float
    seed: int
    status: TrialStatus
    loss: float | None
    seconds: float | None = None
    steps: int | None = None
    flops: float | None = None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One stored training run."""

    id: str
    calibration_id: str
    created_at: datetime
    shard_id: str | None  #: None if uploaded
    width: int
    learning_rate: float
    seed: int
    status: TrialStatus
    loss: float | None
    seconds: float | None
    steps: int | None
    flops: float | None

    def to_trial_dict(self) -> dict[str, Any]:
        """Give the trial record as the fit reads it."""
        return {
            "width": self.width,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "status": self.status.value,
            "loss": self.loss,
            "seconds": self.seconds,
            "steps": self.steps,
            "flops": self.flops,
        }


@dataclass(frozen=True, slots=True)
class ExponentRow:
    """One stored estimate of an exponent: quantity ∝ width^(−value) for tensors of `role`."""

    id: str
    calibration_id: str
    created_at: datetime
    quantity: str
    role: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None
    degrees_of_freedom: int
    theory: float | None
    widths: Sequence[int]
    source: str  #: "calibration": measured by the calibration named
    parameterization: str
    optimizer: str
    alignment: str  #: "full", "none", or "measured" where the specification gave one by role
    architecture: str
    dataset: str
    provenance: JsonObject  #: specification digest, and device and versions of each kind that ran a shard


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a calibration; `seq` is 1, 2, 3, … without gaps."""

    calibration_id: str
    seq: int
    created_at: datetime
    kind: str  #: "calibration" and "shard" are transitions; "trial", "trials" are results coming in
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process that has reported."""

    id: str
    host: str
    device: str | None
    versions: JsonObject
    last_seen: datetime


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
