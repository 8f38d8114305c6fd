"""What the route of a calibration's fit takes and gives."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from service.store import CalibrationState
from widthwise.estimate.calibration import PREDICTED

Rates = tuple[float, float]

_MULTIPLES = r"^[1-9][0-9]{0,3}(,[1-9][0-9]{0,3}){0,7}$"
_WORDS = "one to eight integers from 1 to 9999, separated by commas"


def _multiples(value: Any) -> Any:
    """Refuse in words what the pattern would refuse."""
    if isinstance(value, str) and not re.fullmatch(_MULTIPLES, value):
        raise ValueError(f"Give {_WORDS}, such as 2,4,16")
    return value


class FitAsked(BaseModel):
    """Query of GET /v1/calibrations/{id}/fit."""

    model_config = ConfigDict(extra="forbid")

    # The pattern comes first: behind the validator, the OpenAPI document would lose it.
    multiples: Annotated[str, StringConstraints(pattern=_MULTIPLES), BeforeValidator(_multiples)] = Field(
        ",".join(map(str, PREDICTED)),
        description=f"Of the largest width, where to predict: {_WORDS}.",
    )

    @property
    def factors(self) -> tuple[int, ...]:
        """The multiples as numbers, ascending, each once."""
        return tuple(sorted({int(each) for each in self.multiples.split(",")}))


class MeanBody(BaseModel):
    """The mean loss over seeds at one learning rate."""

    learning_rate: float
    loss: float


class ParabolaBody(BaseModel):
    """Loss = `loss` + `curvature` · (log2 learning rate − `log2_learning_rate`)²."""

    log2_learning_rate: float = Field(
        description="Of the vertex; the optimum lies apart from it if a skew was corrected."
    )
    loss: float
    curvature: float = Field(description="Nats per octave².")
    window: Rates = Field(description="The learning rates that it was fitted to.")


class SeedBody(BaseModel):
    """One run of a width."""

    learning_rate: float
    seed: int


class FittedWidthBody(BaseModel):
    """One width: its optimum, or why it has none, and what a picture of its runs shows."""

    width: int
    optimum: dict[str, Any] | None = Field(description="As in the calibration's `result`; null if it has none.")
    edge: Literal["final", "provisional"] | None = Field(
        description="Of an optimum that is only bounded: `final` if the calibration has succeeded, `provisional` if it "
        "has not ended or ended early, so that runs on that side may be missing; null if it is bracketed."
    )
    remark: str = Field(description="Where the optimum lies, or why there is none, in words.")
    completed: int
    diverged: int
    stopped: int
    means: list[MeanBody] = Field(description="Over seeds, where none diverged.")
    parabola: ParabolaBody | None
    taken_as_diverged: list[SeedBody] = Field(description="Runs with a finite loss that only a diverged run has.")
    law_learning_rate: float | None = Field(description="The best rate by the chosen law; null without a law.")


class ChoiceBody(BaseModel):
    """The chosen law over width."""

    law: Literal["none", "shift", "power"] | None = Field(description="null if no width has an optimum in its grid.")
    name: str | None = Field(description="The law in words.")
    standing: Literal["measured", "not_refuted", "untested"] | None = Field(
        description="Of its exponent: measured; theory's, which the optima did not refute; theory's, since one optimum "
        "tests nothing."
    )
    sentence: str = Field(description="What was chosen and why, with the slope of the optima alone and its error.")


class WidthPointBody(BaseModel):
    """A law at one width."""

    width: float
    learning_rate: float


class LineBody(BaseModel):
    """One candidate law over width."""

    law: Literal["none", "shift", "power"]
    name: str
    chosen: bool
    points: list[WidthPointBody]


class BandBody(BaseModel):
    """The 95 % interval of the best rate at one width."""

    width: float
    low: float
    high: float


class CalibrationFitBody(BaseModel):
    """The fit of the learning rates that a calibration has tried so far; of one that has succeeded, its result."""

    id: str
    state: CalibrationState
    trials: int = Field(description="Of the plain sweep, which the fit is from.")
    other_trials: int = Field(description="Of γ and of horizons, which it leaves out.")
    widths: list[FittedWidthBody] = Field(description="Every width that has trials, ascending.")
    optima: list[dict[str, Any]] = Field(description="Of every width that has one, as in `result`.")
    drift: dict[str, Any] | None = Field(description="As in `result`.")
    raw_slope: dict[str, Any] | None = Field(description="The slope of the optima alone, as in `result`.")
    candidates: list[dict[str, Any]] = Field(description="The laws that were compared, as in `result`.")
    choice: ChoiceBody
    predictions: list[dict[str, Any]] = Field(description="At the multiples of the largest width.")
    lines: list[LineBody] = Field(description="Every candidate law, over the widths and as far as the predictions.")
    band: list[BandBody] = Field(description="The interval of the prediction, over the same; empty if there is none.")
    warnings: list[dict[str, str]]
