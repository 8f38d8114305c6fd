"""Response of GET /v1/workers."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from service.store import WorkerState


class WorkerBody(BaseModel):
    """A worker process that has reported."""

    id: str = Field(description="Name, unique among living workers.", examples=["gpu-node-3-0"])
    state: WorkerState = Field(
        description="`running` a shard; `idle`; `stale`: no report for a minute, so it is dead or disconnected "
        "(another worker gets its shard once the lease ends); `stopped`: it shut down properly."
    )
    host: str = Field(description="Host that it runs on.")
    device: str | None = Field(
        description="Device that it computes on; null until that has been detected.", examples=["cpu"]
    )
    versions: dict[str, Any] = Field(description="Versions of its software.", examples=[{"jax": "0.10.2"}])
    last_seen: datetime = Field(description="Time of its last report, by the database's clock.")
    seconds_since_seen: float = Field(ge=0, description="Seconds since its last report, by the same clock.")
    started_at: datetime | None = Field(description="When it started; null if an older version reported it.")
    stopped_at: datetime | None = Field(description="When it shut down; null while it runs, or if it was killed.")
    shard_id: str | None = Field(description="The shard that it runs; null if it runs none, or another owner's.")
    calibration_id: str | None = Field(description="The calibration of that shard; null in the same cases.")
    totals: dict[str, Any] = Field(description="Totals since it started: shards, trials, seconds, leases lost.")


class WorkerList(BaseModel):
    """Every worker that reported within the last week, the most recent first."""

    items: list[WorkerBody]
