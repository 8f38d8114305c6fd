"""What the health routes answer."""

from typing import Literal

from pydantic import BaseModel, Field


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"
    version: str = Field(description="Version of Widthwise.", examples=["0.1.0"])


class Ready(BaseModel):
    """The database answers, and its schema is the one that this version needs."""

    status: Literal["ready"] = "ready"
    broker: Literal["ok", "unreachable"] | None = Field(
        None,
        description="Whether the broker answers; null where none is set. Without it requests are still answered, and "
        "workers find work by themselves within seconds: degraded, not down.",
    )
