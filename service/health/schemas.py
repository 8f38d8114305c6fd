"""Responses of the health routes."""

from typing import Literal

from pydantic import BaseModel, Field


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"
    version: str = Field(description="Version of Widthwise.", examples=["0.1.0"])


class Ready(BaseModel):
    """The database answers, and has the schema that this version needs."""

    status: Literal["ready"] = "ready"
    broker: Literal["ok", "unreachable"] | None = Field(
        None,
        description="Whether the broker answers; null if none is set. Without it requests are still answered, and "
        "workers find work by polling within seconds: degraded, not down.",
    )
