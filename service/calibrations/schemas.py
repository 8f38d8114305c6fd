"""What the calibration routes take and give beside the specification."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.calibrations.labels import CalibrationName
from service.calibrations.specification import LearningRate, ProxyWidth
from service.http.fields import REQUEST, Cursor, Limit
from service.http.identifiers import IDENTIFIER_PATTERN
from service.http.numbers import Whole
from service.store import LIMIT_MAXIMUM, CalibrationState, ShardState
from widthwise.vocabulary import MEASURED_BY_RUNS, Runner, TrialStatus

LARGEST_LOSS = 1e100  # chosen: far beyond any loss, and its square is still a finite float
MAX_UPLOAD = 10_000  # trials in one request (chosen): about 1 MB of JSON


class UploadedTrial(BaseModel):
    """One training run made elsewhere."""

    model_config = REQUEST

    width: ProxyWidth = Field(description="One of the calibration's widths.")
    learning_rate: LearningRate = Field(description="The base learning rate, above 0.")
    seed: Annotated[int, Whole(0, 2**31 - 1)] = Field(description="Seed of the run.")
    loss: Annotated[float, Field(ge=-LARGEST_LOSS, le=LARGEST_LOSS)] | None = Field(
        description="Final loss, finite; null if the run diverged."
    )


class TrialsUpload(BaseModel):
    """Training runs of a calibration with runner `external`; the same again changes nothing."""

    model_config = REQUEST

    trials: Annotated[list[UploadedTrial], Field(min_length=1, max_length=MAX_UPLOAD, fail_fast=True)]


class ProgressBody(BaseModel):
    """How far a calibration is."""

    trials_done: int
    trials_total: int = Field(
        description="Planned so far, and expected of what is planned once these are known; 0 where an external runner "
        "decides."
    )
    shards: dict[ShardState, int] = Field(description="Shards by state.")
    seconds_left: float | None = Field(
        None,
        description="What is left, at the rate of the trials done by the workers at it; null until that is known.",
    )


class Estimate(BaseModel):
    """What the specification asks for, before anything has run."""

    trials: int = Field(
        description="Training runs, if every optimum lies inside the learning rates; of an external runner: widths × "
        "learning rates × seeds."
    )
    shards: int = Field(description="Units of work that workers claim; 0 where an external runner trains.")
    training_steps: int = Field(description="Optimizer steps in all, if no run ends early.")
    flops: float = Field(description="Floating-point operations of them, if no run ends early.")
    upper_bound: bool = Field(
        False, description="All of this is the most that an information search may take: it ends as soon as it can."
    )
    seconds: float | None = Field(None, description="Time of all that, if the rate is known.")
    seconds_from: Literal["stored_trials"] | None = Field(
        None,
        description="`stored_trials`: the rate of this service's latest trials of the same architecture and the "
        "nearest width.",
    )
    workers: int | None = Field(None, description="Workers among whom the time was shared: those alive at the time.")


class EstimateBody(BaseModel):
    """What a specification would ask for, if it were submitted now."""

    spec: dict[str, Any] = Field(description="The specification, with every default filled in.")
    estimate: Estimate


class ExtensionEstimateBody(BaseModel):
    """What an extension would ask of workers, if it were submitted now."""

    spec: dict[str, Any] = Field(description="The extended specification, with every default filled in.")
    shared_trials: int = Field(description="Trials that it would begin with.")
    estimate: Estimate = Field(description="Of what is missing; nothing where an external runner trains.")


class Links(BaseModel):
    """Addresses of what belongs to a calibration."""

    self: str
    shards: str
    trials: str
    measurements: str
    events: str
    plot: str
    widths: str
    fit: str


class CalibrationBody(BaseModel):
    """A calibration: what was asked, how far it is, and what was measured."""

    id: str
    name: str | None = Field(None, description="What people call it; several may have the same name.")
    note: str | None = Field(None, description="What people noted about it.")
    state: CalibrationState
    runner: Runner
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool = Field(description="Cancelling was asked for; running shards stop within seconds.")
    reason: str | None = Field(description="Why it failed; null otherwise.")
    spec: dict[str, Any] = Field(description="The specification, with every default filled in.")
    extends: str | None = Field(None, description="The calibration whose trials and measurements it began with.")
    rounds: int = Field(1, description="How many times shards were planned; each time from all outcomes before.")
    progress: ProgressBody
    estimate: Estimate
    result: dict[str, Any] | None = Field(
        description="Optima, drift and exponents with intervals, once succeeded; its `provenance` names specification, "
        "code and devices."
    )
    links: Links


class CalibrationPage(BaseModel):
    """Calibrations, newest first."""

    items: list[CalibrationBody]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


class TrialBody(BaseModel):
    """One training run."""

    id: str
    created_at: datetime
    width: int
    learning_rate: float
    seed: int
    role: str | None = Field(None, description="Whose learning rate was multiplied by gamma; null in a plain sweep.")
    gamma: float | None = Field(None, description="By what; null in a plain sweep.")
    horizon: int | None = Field(None, description="Steps of a branched horizon; null: the specification's own.")
    status: TrialStatus = Field(description="`stopped`: ended early, since it could not come near the best.")
    loss: float | None = Field(description="Final loss in nats; null unless completed.")
    seconds: float | None
    steps: int | None
    flops: float | None


class TrialPage(BaseModel):
    """Trials, oldest first."""

    items: list[TrialBody]
    next_cursor: str | None


class MeasurementBody(BaseModel):
    """What one run measured apart from its loss."""

    id: str
    created_at: datetime
    width: int
    seed: int
    kind: str = Field(description=f"One of {', '.join(f'`{kind.value}`' for kind in MEASURED_BY_RUNS)}.")
    data: dict[str, Any]


class MeasurementPage(BaseModel):
    """Measurements, oldest first."""

    items: list[MeasurementBody]
    next_cursor: str | None


class Listing(BaseModel):
    """Query of GET /v1/calibrations."""

    model_config = ConfigDict(extra="forbid")

    state: CalibrationState | None = Field(None, description="Only calibrations in this state.")
    name: CalibrationName | None = Field(None, description="Only calibrations with exactly this name.")
    extends: Annotated[str, StringConstraints(pattern=IDENTIFIER_PATTERN)] | None = Field(
        None, description="Only extensions of the calibration with this identifier."
    )
    cursor: Cursor | None = None
    limit: Limit = 50


class TrialListing(BaseModel):
    """Query of GET /v1/calibrations/{id}/trials and …/measurements."""

    model_config = ConfigDict(extra="forbid")

    cursor: Cursor | None = None
    limit: Limit = LIMIT_MAXIMUM
