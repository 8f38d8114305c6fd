"""What the sweep routes take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from service.http.fields import (
    REQUEST,
    AlignmentField,
    Cursor,
    FormField,
    Limit,
    OptimizerField,
    OwnOrReplacedOmega,
    ParameterizationField,
)
from service.store import LIMIT_MAXIMUM, SWEEP_NOTES_MAXIMUM
from service.sweeps.labels import SweepName
from widthwise.vocabulary import AlignmentName, Form

MAX_UPLOAD = 5_000  # runs in one request (chosen): about 1 MB of JSON
MAX_COLUMNS = 50  # of a row (chosen): a table of W&B has more, of which a sweep needs a few
MAX_AXES = 16  # chosen: the widest public sweep has 7
MAX_PLACES = 50  # in one request (chosen): they take a second
LARGEST, SMALLEST = 1e30, 1e-30  # of an axis and a loss (chosen): beyond all that is counted, and log2 stays small

#: Of an object whose names have a pattern: pydantic does not say that it refuses others.
_NO_OTHER_NAMES: dict[str, JsonValue] = {"additionalProperties": False}

#: A column or an axis: it ends up in messages and on pages, so it has no control characters.
Column = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Word = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
Axis = Column
Row = Annotated[
    dict[Column, float | bool | Word | None],
    Field(min_length=1, max_length=MAX_COLUMNS, json_schema_extra=_NO_OTHER_NAMES),
]
Names = Annotated[list[Axis], Field(max_length=MAX_AXES)]
AxisValue = Annotated[float, Field(ge=SMALLEST, le=LARGEST)] | Word
Place = Annotated[dict[Axis, AxisValue], Field(max_length=MAX_AXES, json_schema_extra=_NO_OTHER_NAMES)]


class RunsUpload(BaseModel):
    """Runs of a sweep, as the rows of a table; those that it has already change nothing."""

    model_config = REQUEST

    runs: Annotated[list[Row], Field(min_length=1, max_length=MAX_UPLOAD, fail_fast=True)] = Field(
        description="One object for each training run, with its columns: `learning_rate`, `loss` (null: it diverged), "
        "`seed`, `status`, and its axes. `width`, `depth`, `parameters`, `tokens`, `batch_tokens` and `rank` are read "
        "wherever rows have them; `tokens` and `batch_tokens` are in tokens. Numbers may be text. Other columns are "
        "kept, 32 of a run at most in 2,000 bytes of JSON: the fit warns if one of them explains what it leaves over."
    )


class SweepUpload(BaseModel):
    """A user's own sweep: training runs from anywhere, and how to read them."""

    model_config = REQUEST

    name: SweepName = Field(description="A name for people; several sweeps may have the same.")
    notes: Annotated[str, StringConstraints(max_length=SWEEP_NOTES_MAXIMUM, pattern=r"^[^\x00]*$")] | None = Field(
        None, description="Anything worth remembering."
    )
    columns: Annotated[dict[Axis, Column], Field(max_length=MAX_AXES, json_schema_extra=_NO_OTHER_NAMES)] = Field(
        default_factory=dict,
        description='The column of each field that has another name, as `{"learning_rate": "lr", "tokens": "D"}`. '
        "Every name in it that is not a field of a run is an axis.",
    )
    groups: Names = Field(default_factory=list, description="Axes that hold words, such as `optimizer`.")
    without: Names = Field(
        default_factory=list, description="Columns that are left out although they are usually read as axes."
    )
    prescribed: Names = Field(
        default_factory=list,
        description="Axes over which the parameterization already scaled the learning rates, such as `width` under "
        "muP: `learning_rate` is then the base rate, before any multiplier.",
    )
    parameterization: ParameterizationField | None = Field(
        None, description="How the models were parameterized; a transfer that takes exponents from the sweep needs it."
    )
    optimizer: OptimizerField | None = Field(
        None, description="What took the steps; a transfer that takes exponents from the sweep needs it."
    )
    alignment: AlignmentField = Field(
        AlignmentName.FULL, description="By which theory the rates were scaled, if `prescribed` names `width`."
    )
    readout_omega: OwnOrReplacedOmega = None
    form: FormField = Form.TABLE_9
    runs: Annotated[list[Row], Field(max_length=MAX_UPLOAD, fail_fast=True)] = Field(
        default_factory=list,
        description="The first runs, as in POST /v1/sweeps/{sweep_id}/runs; none yet if it is left out.",
    )


class HoldOutBody(BaseModel):
    """Which cells to predict from all others."""

    model_config = REQUEST

    axis: Axis = Field(description="An axis of numbers.")
    end: Literal["max", "min"] = Field(description="Hold out the cells with its largest or its smallest value.")


class PredictionsBody(BaseModel):
    """Cells to predict, run or not, and cells to hold out; one of the two at least."""

    model_config = REQUEST

    places: Annotated[list[Place], Field(max_length=MAX_PLACES)] = Field(
        default_factory=list, description="Cells to predict, each with a value for every axis of the sweep."
    )
    holdout: HoldOutBody | None = Field(None, description="Score the law on cells that it does not see.")


class AxisBody(BaseModel):
    """The values of an axis: a range of numbers, or a set of words."""

    low: float | None = None
    high: float | None = None
    levels: list[str] | None = None


class SweepLinks(BaseModel):
    """Addresses of what belongs to a sweep."""

    self: str
    runs: str
    fit: str
    predictions: str


class SweepBody(BaseModel):
    """A sweep: how its rows are read, and what its runs cover."""

    id: str
    created_at: datetime
    name: str
    notes: str | None
    revision: int = Field(description="Counts the requests that added runs; the runs of a revision never change.")
    runs: int
    diverged: int = Field(description="Runs without a finite loss.")
    cells: int = Field(description="Combinations of the axes: runs of a cell differ in learning rate and seed alone.")
    axes: dict[str, AxisBody] = Field(description="By name; empty until there are runs.")
    reading: dict[str, Any] = Field(description="How rows become runs, and the setting that they were trained in.")
    links: SweepLinks


class AppendedBody(BaseModel):
    """What became of the uploaded runs."""

    added: int = Field(description="Runs that the sweep lacked; all others were there with the same loss.")
    sweep: SweepBody


class SweepPage(BaseModel):
    """Sweeps, newest first."""

    items: list[SweepBody]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null on the last.")


class RunBody(BaseModel):
    """One training run, as it was read."""

    id: str
    created_at: datetime
    revision: int = Field(description="The sweep's, since which it belongs to it.")
    learning_rate: float
    loss: float | None = Field(description="In nats; null if the run diverged.")
    seed: int | None
    axes: dict[str, float | str]
    unused: dict[str, float | str] = Field(description="Columns that are not axes, by name; blank ones are left out.")


class RunPage(BaseModel):
    """Runs, oldest first."""

    items: list[RunBody]
    next_cursor: str | None


class SweepRevision(BaseModel):
    """Which runs an answer is from."""

    id: str
    name: str
    revision: int
    runs: int


class NoteBody(BaseModel):
    """A reason to trust an answer less."""

    code: str = Field(description="Stable name of the warning.")
    message: str


class OptimumBody(BaseModel):
    """The best learning rate of a cell that was run."""

    axes: dict[str, float | str]
    learning_rate: float
    interval: tuple[float, float] = Field(description="95 %.")
    edge: Literal["low", "high", "both"] | None = Field(
        description="On which side of the rates tried the optimum may lie; null if they bracket it."
    )
    curvature: float | None = Field(description="Nats per octave²; null without two losses.")
    read_as_diverged: list[float] = Field(description="Learning rates with a finite loss that were taken as diverged.")


class PriorBody(BaseModel):
    """What was expected of a parameter before any data."""

    name: str
    mean: float
    standard_deviation: float


class LawBody(BaseModel):
    """One parameter of the law."""

    name: str = Field(description="An axis with its exponent, `group=level` with its offset in octaves, and others.")
    value: float
    interval: tuple[float, float] = Field(description="95 %.")
    prior: PriorBody
    learnt: float = Field(description="Share of the prior's variance that the data removed.")


class SaturationBody(BaseModel):
    """The batch in tokens above which the best rate stops growing."""

    value: float
    interval: tuple[float, float] = Field(description="95 %.")


class FitBody(BaseModel):
    """The fit of a sweep: every cell's optimum, and one law over the axes."""

    sweep: SweepRevision
    optima: list[OptimumBody]
    law: list[LawBody]
    scatter: float = Field(description="ω, octaves: how far single cells lie from any smooth law.")
    saturation_batch: SaturationBody | None = Field(description="null with fewer than three batches.")
    shape: dict[str, Any] = Field(description="What the curves of all cells have in common.")
    warnings: list[NoteBody]


class PublishedRateBody(BaseModel):
    """What one published law says at the same place."""

    law: str = Field(description="Stable name of the law.")
    title: str
    source: str = Field(description="Paper with equation, or repository with file.")
    formula: str
    learning_rate: float | None = Field(description="null if the place lacks something that the formula takes.")
    interval: tuple[float, float] | None = Field(description="95 %, of the law; null if none is known.")
    holds: str = Field(description="How its runs were trained, and the sizes that they span.")
    valid: bool = Field(description="Whether it has a rate here and nothing of the place is known to be outside.")
    missing: list[str] = Field(description="What the formula takes and the place lacks.")
    outside: list[str] = Field(description="How the place lies outside of what the law was fitted to.")
    assumed: list[str] = Field(description="What the place doesn't say, as it was assumed.")


class PredictionBody(BaseModel):
    """The best learning rate at a place on the axes."""

    axes: dict[str, float | str]
    learning_rate: float
    interval: tuple[float, float] = Field(description="95 %, of the cell's optimum.")
    law_interval: tuple[float, float] = Field(description="95 %, of the law, about which single cells scatter.")
    expected_regret: float = Field(description="Nats that training at this rate loses to the optimum, on average.")
    warnings: list[NoteBody]
    published: list[PublishedRateBody] = Field(description="Of every published law, whether it holds there or not.")


class HeldOutBody(BaseModel):
    """A cell that was predicted from all others."""

    axes: dict[str, float | str]
    optimum: float = Field(description="Its best learning rate, from its own runs.")
    optimum_interval: tuple[float, float]
    predicted: float
    interval: tuple[float, float] = Field(description="95 %, of the prediction.")
    octaves: float = Field(description="By how much the prediction lies above the optimum.")
    regret: float = Field(description="Nats that the predicted rate loses to the optimum, on the cell's fitted curve.")
    covered: bool = Field(description="Whether the interval holds the optimum.")


class ScoreBody(BaseModel):
    """How well cells are predicted that the fit does not see."""

    axis: str
    end: Literal["max", "min"]
    cells: list[HeldOutBody]
    covered: int = Field(description="Cells whose interval holds the optimum.")
    median_octaves: float = Field(description="Of the distances between prediction and optimum.")


class PredictedBody(BaseModel):
    """Predictions, in the order of the places, and the score of those that were held out."""

    sweep: SweepRevision
    predictions: list[PredictionBody]
    held_out: ScoreBody | None
    warnings: list[NoteBody] = Field(description="Of the fit.")


class SweepListing(BaseModel):
    """Query of GET /v1/sweeps."""

    model_config = ConfigDict(extra="forbid")

    cursor: Cursor | None = None
    limit: Limit = 50


class RunListing(BaseModel):
    """Query of GET /v1/sweeps/{sweep_id}/runs."""

    model_config = ConfigDict(extra="forbid")

    cursor: Cursor | None = None
    limit: Limit = LIMIT_MAXIMUM
