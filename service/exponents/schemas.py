"""Query and response of GET /v1/exponents."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.http.fields import Cursor, Limit
from service.http.identifiers import IDENTIFIER_PATTERN
from widthwise.calibration.corpora import DATASET
from widthwise.vocabulary import (
    AlignmentKind,
    Architecture,
    ExponentQuantity,
    ExponentRole,
    Optimizer,
    Parameterization,
)

QUANTITIES = "; ".join(quantity.sentence for quantity in ExponentQuantity) + "."


class ExponentQuery(BaseModel):
    """Filters: an exponent is listed if it matches all of them."""

    model_config = ConfigDict(extra="forbid")

    parameterization: Parameterization | None = Field(None, description="Parameterization of the trials.")
    optimizer: Optimizer | None = Field(None, description="Optimizer of the trials.")
    alignment: AlignmentKind | None = Field(None, description="`measured` if the specification gave exponents by role.")
    role: ExponentRole | None = Field(
        None, description="Role of the tensors that the exponent applies to; `all` if it is the same for every role."
    )
    quantity: ExponentQuantity | None = Field(
        None, description="What scales: a `quantity` of the response, which explains each."
    )
    source: Literal["calibration"] | None = Field(None, description="Where the number comes from.")
    architecture: Architecture | None = Field(None, description="Architecture of the proxy.")
    dataset: Annotated[str, StringConstraints(pattern=DATASET)] | None = Field(
        None, description="Name of the training text, such as `python_docs`."
    )
    calibration_id: Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)] | None = Field(
        None, description="The calibration that measured it."
    )
    cursor: Cursor | None = None
    limit: Limit = 50


class ExponentBody(BaseModel):
    """One measured exponent; its quantity says what is proportional to which power of width or tokens."""

    id: str
    created_at: datetime
    quantity: ExponentQuantity = Field(description=f"What scales. {QUANTITIES}")
    role: ExponentRole = Field(description="`all`: one exponent for the tensors of every role.")
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None = Field(description="95 % interval; null if there are no degrees of freedom.")
    degrees_of_freedom: int
    theory: float | None = Field(description="The theoretical value for the same setting; null if there is none.")
    widths: list[int] = Field(description="Widths that the estimate is based on.")
    source: str
    calibration_id: str
    calibration_name: str | None = Field(None, description="What people call the calibration.")
    parameterization: str
    optimizer: str
    alignment: AlignmentKind
    architecture: str
    dataset: str
    provenance: dict[str, Any] = Field(
        description="Digest of the specification, and the devices and versions that ran it."
    )


class ExponentPage(BaseModel):
    """Exponents, newest first."""

    items: list[ExponentBody]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")
