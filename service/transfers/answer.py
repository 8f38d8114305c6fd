"""What POST /v1/transfers answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from widthwise.rules.beyond_width.named import About
from widthwise.vocabulary import Role


class QuantityBody(BaseModel):
    """A hyperparameter of the target."""

    value: float | None = Field(description="Value at the target; null where the base gave none.")
    multiplier: float = Field(description="Target over base.")
    exponent: float = Field(description="The quantity is proportional to width^(−exponent).")
    factors: dict[str, float] = Field(
        default_factory=dict, description="What each rule contributed, by its name; the multiplier is their product."
    )


class QuantitiesBody(BaseModel):
    """The quantities of a layer or a tensor."""

    role: Role
    learning_rate: QuantityBody
    epsilon: QuantityBody | None = Field(description="null where the optimizer has no ε.")
    init_std: QuantityBody
    forward_multiplier: QuantityBody
    weight_decay: QuantityBody
    gradient_rms: QuantityBody = Field(description="RMS of the gradient at init: what ε must follow.")
    reason: str = Field(description="Why, in one line, with the source.")


class LayerBody(QuantitiesBody):
    """What every tensor of one role gets when all widths grow by one ratio."""


class PlannedTensorBody(QuantitiesBody):
    """What one tensor gets for its own shapes."""

    name: str
    fan_in: int = Field(description="Fan-in at the target (product over its fan-in axes).")
    fan_out: int = Field(description="Fan-out at the target.")
    tied_to: str | None = Field(description="The tensor whose weights it reuses.")


class CautionBody(BaseModel):
    """Something to know before trusting the plan."""

    code: str = Field(description="Stable name of the warning.")
    message: str


class RuleNoteBody(BaseModel):
    """A rule in force."""

    name: str = Field(description="As `factors` names it.")
    source: str = Field(description="Paper and table, or the measurement.")


class ModelQuantityBody(BaseModel):
    """Something that the model itself multiplies by."""

    value: float | None = Field(description="Value at the target; null where only its ratio to the base's is known.")
    multiplier: float = Field(description="Target over base, next to what the code computes from its own sizes.")
    reason: str


class ModelPlanBody(BaseModel):
    """What belongs to the model rather than to a tensor; null where the request does not tell."""

    attention_scale: ModelQuantityBody | None = Field(
        None,
        description="On query·key; the multiplier stands next to the code's own scale (1/√d_head, unless "
        "`attention_scale` says otherwise). Needs `head_dim` at both ends.",
    )
    embedding_multiplier: ModelQuantityBody | None = Field(None, description="On what the embedding gives out.")
    logit_multiplier: ModelQuantityBody | None = Field(None, description="On the logits.")
    residual_multiplier: ModelQuantityBody | None = Field(
        None, description="On every residual branch, next to what it has at the base; null without a rule of depth."
    )
    route_scale: ModelQuantityBody | None = Field(
        None, description="On the sum of the routed experts; null without a rule of experts."
    )
    adapter_scale: ModelQuantityBody | None = Field(
        None, description="On B·A of low-rank adapters; null without a rule of the rank."
    )


class TrainingQuantityBody(BaseModel):
    """A hyperparameter of the whole training."""

    model_config = ConfigDict(frozen=True)

    value: float | None = Field(description="Value at the target; null where the base gave none.")
    reason: str


class TrainingPlanBody(BaseModel):
    """What a rule changes of the whole training; null where nothing does."""

    model_config = ConfigDict(frozen=True)

    beta1: TrainingQuantityBody | None = Field(default=None, description="Adam's β₁.")
    beta2: TrainingQuantityBody | None = Field(default=None, description="Adam's β₂.")
    steps: TrainingQuantityBody | None = Field(default=None, description="Optimizer steps of the whole training.")
    warmup_steps: TrainingQuantityBody | None = None
    warmup_share: TrainingQuantityBody | None = Field(default=None, description="Of all steps.")
    cooldown_steps: TrainingQuantityBody | None = None
    cooldown_share: TrainingQuantityBody | None = Field(default=None, description="Of all steps.")


class ComparedRoleBody(BaseModel):
    """What one rule does to the tensors of a role."""

    of: str | None = Field(description="The tensor, where the widths of the model are not stated.")
    learning_rate: float | None
    weight_decay: float | None
    weight_decay_multiplier: float
    decay_per_step_before: float | None = Field(description="η·λ at the base (λ if decay is independent).")
    decay_per_step: float | None = Field(description="η·λ at the target.")
    decay_per_step_multiplier: float


class ComparedRuleBody(BaseModel):
    """One rule among the others."""

    rule: str = Field(description="Its word; `none` is the plan without any rule about it.")
    in_plan: bool
    source: str | None
    formula: str
    holds: str | None = Field(description="What it assumes.")
    refused: str | None = Field(description="Why it can't be applied to this request.")
    roles: dict[Role, ComparedRoleBody]


class ComparedRulesBody(BaseModel):
    """The rules about one thing."""

    rules: list[ComparedRuleBody]
    apart: dict[Role, float] = Field(description="By role, the largest factor on η·λ over the smallest.")


class PlanBody(BaseModel):
    """The transfer plan: every value with its exponent and its reason."""

    layers: list[LayerBody]
    tensors: list[PlannedTensorBody]
    warnings: list[CautionBody]
    provenance: dict[str, Any] = Field(
        description="Theory, calibration or sweep behind the numbers, and the inputs in force."
    )
    model: ModelPlanBody = Field(description="What the model itself multiplies by.")
    training: TrainingPlanBody = Field(TrainingPlanBody(), description="What a rule changes of the whole training.")
    rules: list[RuleNoteBody] = Field(default_factory=list, description="The rules in force; a plan is their product.")
    alternatives: dict[About, ComparedRulesBody] = Field(
        default_factory=dict, description="Every published rule about what the request names in `alternatives`."
    )
