"""What POST /v1/advice takes and gives."""

from typing import Any

from pydantic import BaseModel, Field

from service.http.fields import REQUEST, OptimizerField
from service.transfers.schemas import TargetBody
from widthwise.advice import AdviceCase
from widthwise.advice.case import MayChange
from widthwise.model import Target
from widthwise.vocabulary import Parameterization


def _no_size() -> TargetBody:
    return TargetBody.model_validate({})


class AdviceRequest(BaseModel):
    """A case: what is tuned, what is to be trained, and what may change."""

    model_config = REQUEST

    optimizer: OptimizerField
    parameterization: Parameterization | None = Field(None, description="The one in use; left out if there is none.")
    base: TargetBody = Field(default_factory=_no_size, description="Sizes of what is tuned, or is to be.")
    target: TargetBody = Field(default_factory=_no_size, description="Sizes of the model to train.")
    may_change: list[MayChange] = Field(
        default_factory=lambda: [MayChange.PARAMETERIZATION], max_length=2, description="What of the setting is open."
    )

    def to_case(self) -> AdviceCase:
        """The library's case."""
        return AdviceCase(
            optimizer=self.optimizer,
            parameterization=self.parameterization,
            base=Target(**dict(self.base)),
            target=Target(**dict(self.target)),
            may_change=tuple(self.may_change),
        )


class EvidenceBody(BaseModel):
    """One thing that a line rests on."""

    statement: str
    source: str | None = Field(description="null where the statement names its own.")


class OptionBody(BaseModel):
    """One choice of parameterization, optimizer and alignment."""

    rank: int
    parameterization: str
    optimizer: str
    alignment: str | None = Field(description="null: one learning rate for all tensors.")
    learning_rates: str
    epsilon: str
    loss: float | None = Field(description="The published loss that it is ranked by.")
    not_told_apart: bool = Field(description="Whether its loss is the first one's within 0.005 nats.")
    in_use: bool = Field(description="Whether parameterization and optimizer are those in use.")
    basis: str = Field(description="Whether the losses were measured with this optimizer.")
    rests_on: list[EvidenceBody]
    calibrations: list[dict[str, Any]] = Field(description="Stored exponents of this setting, with id and interval.")


class AdvisedRuleBody(BaseModel):
    """A rule to name for something that changes besides the width."""

    about: str
    rule: str
    why: str
    formula: str
    rests_on: str
    holds: str
    others: list[str]


class ToldBody(BaseModel):
    """A size of the proxy with its reason."""

    value: int | list[int] | None
    why: str


class AdvisedCalibrationBody(BaseModel):
    """A calibration that would settle what the evidence does not."""

    specification: dict[str, Any] | None = Field(description="A body for POST /v1/calibrations.")
    refused: str | None = Field(description="Why there is none.")
    trials: int | None = None
    flops: float | None = None
    settles: str | None = None


class AdviceBody(BaseModel):
    """Ranked options, rules, a proxy and a calibration."""

    options: list[OptionBody]
    explanation: str = Field(description="How the lines are ordered.")
    compared_at_parameters: float
    rules: list[AdvisedRuleBody]
    proxy: dict[str, ToldBody]
    calibration: AdvisedCalibrationBody
    thin: list[str] = Field(description="What the evidence does not cover.")
