"""What GET /v1/workers gives."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from service.store.database.records import WorkerState


class WorkerBody(BaseModel):
    """A worker process that has reported."""

    id: str = Field(description="Its name, unique among living workers.", examples=["gpu-node-3-0"])
    state: WorkerState = Field(
        description="`running` a shard; `idle`; `stale`: it has not reported for a minute, so it is dead or cut off "
        "(what it ran goes to another worker once its lease ends); `stopped` in order."
    )
    host: str = Field(description="The machine it runs on.")
    device: str | None = Field(description="What it computes on; null until it has looked.", examples=["cpu"])
    versions: dict[str, Any] = Field(description="Versions of what it runs.", examples=[{"jax": "0.10.2"}])
    last_seen: datetime = Field(description="When it last reported, by the database's clock.")
    seconds_since_seen: float = Field(ge=0, description="How long ago that was, by the same clock.")
    started_at: datetime | None = Field(description="When it began; null of one that an older version reported.")
    stopped_at: datetime | None = Field(
        description="When it stopped in order; null while it lives, or if it was killed."
    )
    shard_id: str | None = Field(description="The shard it runs; null if none, or another owner's.")
    calibration_id: str | None = Field(description="The calibration of that shard; null likewise.")
    totals: dict[str, Any] = Field(description="What it did since it began: shards, trials, seconds, leases lost.")


class WorkerList(BaseModel):
    """Every worker that reported within the last week, the latest first."""

    items: list[WorkerBody]
