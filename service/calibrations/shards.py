"""The shards of a calibration as its route returns them, each with its worker."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from service.store import ATTEMPTS_MAXIMUM, Shard, ShardState, StoredWorker, WorkerState
from widthwise.vocabulary import ShardKind


class ShardWorker(BaseModel):
    """The worker that runs a shard, or ran it last."""

    id: str
    state: WorkerState | None = Field(
        description="The worker's current state; null a week after it ended, when its row is deleted."
    )
    device: str | None
    seconds_since_seen: float | None = Field(description="Since its last report, by the database's clock.")


class ShardBody(BaseModel):
    """A unit of work: the runs of one width that one worker trains in one child process."""

    id: str
    position: int = Field(description="Its place in the order in which workers take them.")
    kind: str = Field(description=f"One of {', '.join(f'`{kind.value}`' for kind in ShardKind)}.")
    width: int
    seeds: list[int]
    learning_rates: list[float]
    role: str | None = Field(
        description="For a gamma shard: the role whose learning rate is multiplied; null otherwise."
    )
    state: ShardState = Field(
        description="`running` until the worker's lease ends, even if the worker has stopped reporting."
    )
    attempts: int = Field(ge=0, description="Attempts started; one that ended in a graceful stop is not counted.")
    attempts_maximum: int = Field(
        description="Attempts after which the shard has failed for good.", examples=[ATTEMPTS_MAXIMUM]
    )
    reason: str | None = Field(description="Why the last attempt failed; kept while the shard waits for the next.")
    lease_seconds: float | None = Field(
        description="While it runs: seconds left of the worker's lease, which each report extends. Below "
        "0, the next free worker takes the shard over."
    )
    worker: ShardWorker | None = Field(description="Null if no worker has taken it yet.")
    queued_at: datetime = Field(description="When it was last queued.")
    started_at: datetime | None
    finished_at: datetime | None


class ShardList(BaseModel):
    """The shards planned so far, in the order in which workers take them."""

    items: list[ShardBody]


def shard_body(shard: Shard, workers: Mapping[str, StoredWorker]) -> dict[str, Any]:
    """Return the JSON form of a shard. workers: every worker that has reported, by id."""
    spec = shard.spec
    return {
        "id": shard.id,
        "position": shard.position,
        "kind": spec.kind,
        "width": spec.width,
        "seeds": spec.seeds,
        "learning_rates": spec.learning_rates,
        "role": spec.role,
        "state": shard.state,
        "attempts": shard.attempts,
        "attempts_maximum": ATTEMPTS_MAXIMUM,
        "reason": shard.reason,
        "lease_seconds": None if shard.lease_seconds is None else round(shard.lease_seconds, 3),
        "worker": None if shard.worker_id is None else _worker_body(shard.worker_id, workers.get(shard.worker_id)),
        "queued_at": shard.queued_at,
        "started_at": shard.started_at,
        "finished_at": shard.finished_at,
    }


def _worker_body(worker_id: str, worker: StoredWorker | None) -> dict[str, Any]:
    if worker is None:
        return {"id": worker_id, "state": None, "device": None, "seconds_since_seen": None}
    return {
        "id": worker_id,
        "state": worker.state,
        "device": worker.device,
        "seconds_since_seen": round(worker.seconds_since_seen, 3),
    }
