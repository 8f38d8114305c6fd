"""What POST /v1/transfers takes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from service.http.fields import (
    REQUEST,
    AlignmentField,
    FormField,
    Name,
    NotNegativeOrByRole,
    NumberOrByRole,
    OptimizerField,
    OwnOrReplacedOmega,
    ParameterizationField,
    Positive,
    PositiveByRole,
    Size,
    Tokens,
)
from service.http.identifiers import IDENTIFIER_PATTERN
from service.http.numbers import Whole
from widthwise.errors import InvalidInputError
from widthwise.explained import listed
from widthwise.model import MAX_COUNT, MAX_WIDTH, Base, Target
from widthwise.reading.described import DescribedModels
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.rules.exponents import Exponents
from widthwise.tensors.multipliers import MAX_POWER, ComputedMultiplier, Fan
from widthwise.tensors.placement import MAX_AXIS, MAX_DIMENSIONS, Tensor
from widthwise.theory.optimizers import default_decay_modes
from widthwise.transfers.request import TransferRequest
from widthwise.vocabulary import AlignmentName, Form, Layout, Role, TensorPart, WeightDecayMode

MAX_MULTIPLIERS = 100  # chosen: a few roles, or lists of names
MAX_TENSORS = 100_000  # chosen: ten times the largest published models' tensor count

AxisSize = Annotated[int, Whole(1, MAX_AXIS)]
Steps = Annotated[int, Whole(0, MAX_COUNT)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Shape = Annotated[list[AxisSize], Field(max_length=MAX_DIMENSIONS)]
Axes = Annotated[list[Annotated[int, Whole(-MAX_DIMENSIONS, MAX_DIMENSIONS - 1)]], Field(max_length=MAX_DIMENSIONS)]


class ModelSize(BaseModel):
    """How large a model is."""

    model_config = REQUEST

    width: Size | None = Field(
        None, description="Width of the model (d_model), in units; may be left out at both ends if tensors are given."
    )
    depth: Size | None = Field(None, description="Number of residual blocks.")
    batch_tokens: Tokens | None = Field(None, description="Tokens per optimizer step.")
    tokens: Tokens | None = Field(None, description="Tokens of the whole training.")
    head_dim: Size | None = Field(None, description="Width of one attention head, in units.")
    output_dimension: Size | None = Field(
        None, description="Vocabulary or number of classes, where no readout tensor tells."
    )
    experts: Size | None = Field(None, description="Routed experts of a sparse layer; 1 for a dense one.")
    active_experts: Size | None = Field(None, description="Routed experts that see one token.")
    shared_experts: Annotated[int, Whole(0, MAX_WIDTH)] | None = Field(
        None, description="Experts of the same size that see every token."
    )
    rank: Size | None = Field(None, description="Rank of low-rank adapters (LoRA).")
    lora_alpha: Positive | None = Field(None, description="Alpha of their scale, alpha/r or alpha/√r.")
    steps: Tokens | None = Field(None, description="Optimizer steps; left out, tokens over batch_tokens.")
    parameters: Tokens | None = Field(
        None,
        description="Parameters without embeddings, the active ones of a mixture of experts. With `tokens` at the "
        "target, published laws are compared with the plan. A model tells them.",
    )
    attention_scale: Positive | None = Field(
        None, description="What the model's code multiplies query·key by; left out, 1/√d_head."
    )


class BaseBody(ModelSize):
    """The tuned model, and the values that were found best for it."""

    learning_rate: NumberOrByRole = Field(
        description="Tuned learning rate of the base, above 0: one number, or one by role."
    )
    epsilon: NotNegativeOrByRole | None = Field(
        None, description="Adam's ε (Adafactor's ε₁) at the base; it follows the gradient's scale."
    )
    weight_decay: NotNegativeOrByRole | None = Field(
        None, description="Weight decay λ at the base; by role: 0 for a role that is left out."
    )
    init_std: NotNegativeOrByRole | None = Field(None, description="Standard deviation of the init at the base.")
    gamma: PositiveByRole | None = Field(
        None, description="Constant γ of each role, a factor on its learning rate (Everett et al. 2024, section 2)."
    )
    gradient_rms: NumberOrByRole | None = Field(
        None, description="Measured RMS of the gradient at the base: lets the answer warn where it comes near ε."
    )
    beta1: Beta | None = Field(None, description="Adam's β₁ at the base, for rules of the batch that change it.")
    beta2: Beta | None = Field(None, description="Adam's β₂ at the base.")
    warmup_steps: Steps | None = Field(None, description="Steps of warm-up, for a rule of the schedule.")
    cooldown_steps: Steps | None = Field(None, description="Steps of the decay at the end, after a constant part.")
    cooldown_share: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="The same as a share of all steps; give one of the two."
    )


class TargetBody(ModelSize):
    """The model to train."""


class TensorBody(BaseModel):
    """One parameter with its unsharded shape in both models. Nothing is read from its name."""

    model_config = REQUEST

    name: Name = Field(description="Name of the parameter; names are unique.")
    base_shape: Shape = Field(description="Shape in the base; [] for a single number.")
    target_shape: Shape = Field(description="Shape in the target, with as many axes.")
    fan_in_axes: Axes | None = Field(
        None, description="Axes summed over in the forward pass; [] for gains and biases. Axes in neither are stacks."
    )
    fan_out_axes: Axes | None = Field(None, description="Axes of the output.")
    role: Role | None = Field(None, description="Settles what the shapes leave open.")
    tied_to: Name | None = Field(None, description="Name of the tensor that owns the weights which this one reuses.")
    decayed: bool = Field(True, description="False keeps weight decay away from it, whatever its role has.")
    in_block: bool | None = Field(
        None, description="Whether it stands in a residual block; a rule of depth needs to know."
    )
    part: TensorPart | None = Field(
        None,
        description="What it is within experts (shared ones too), an adapter or a state space.",
    )


class CodeMultiplierBody(BaseModel):
    """A multiplier that the model's own code computes from the current width: `of`^`power` on a tensor's output."""

    model_config = REQUEST

    tensors: Annotated[list[Name], Field(max_length=MAX_TENSORS)] | None = Field(
        None, description="Names of the tensors whose output is multiplied; or give role."
    )
    role: Role | None = Field(None, description="All tensors of this role; or give tensors.")
    power: Annotated[float, Field(ge=-MAX_POWER, le=MAX_POWER)] = Field(
        description="0.5 of fan_out for √d on embeddings, −0.5 of fan_in for 1/√fan_in, −1 of fan_in for 1/n on logits."
    )
    of: Fan = Field(description="The size that it is a power of.")
    backward: bool = Field(True, description="False if only the forward pass is multiplied, and not the gradient.")
    frozen: bool = Field(False, description="The multiplier stays at the base's value: then it moves nothing.")

    def to_multiplier(self) -> ComputedMultiplier:
        """The library's multiplier."""
        return ComputedMultiplier(**{**dict(self), "tensors": self.tensors or ()})


class ModelBody(BaseModel):
    """The model at both sizes: each as its config.json, or as names and shapes."""

    model_config = REQUEST

    base: dict[str, Any] = Field(
        description='The contents of the tuned model\'s Hugging Face config.json, or `{"shapes": {name: [sizes]}}`.'
    )
    target: dict[str, Any] = Field(description="The model to train, in the same way; it may be deeper.")
    roles: dict[Name, Role] = Field(
        default_factory=dict, description="By a pattern of names (`*`, `?`), the role that settles what is open."
    )


class TheoryExponents(BaseModel):
    """Exponents from theory."""

    model_config = REQUEST

    source: Literal["theory"]


class CalibrationExponents(BaseModel):
    """Learning-rate exponents that a finished calibration measured; theory for everything else."""

    model_config = REQUEST

    source: Literal["calibration"]
    id: Annotated[str, Field(pattern=IDENTIFIER_PATTERN, description="Identifier of the calibration.")]


def _choice(about: About) -> Any:
    """The field for the rule about one thing: its word, or an object with the word and parameters."""
    rules = BY_WORD[about]
    described = "; ".join(f"`{word}`: {rule.formula} ({rule.source})" for word, rule in rules.items())
    text = f"A rule about {about.meaning}: its word, or an object with it as `rule` and its parameters. {described}."
    return Field(None, description=text, examples=[next(iter(rules))])


def _word_or_object(value: Any) -> Any:
    """Refuse what is neither, in one sentence rather than one for each."""
    if not isinstance(value, str | dict):
        raise ValueError("give a rule's word, or an object with it as rule")
    return value


RuleChoice = Annotated[
    Annotated[str, Field(max_length=100)] | Annotated[dict[Name, Any], Field(max_length=10)],
    BeforeValidator(_word_or_object),
]


class SweepExponents(BaseModel):
    """The learning rate's exponent over width that an uploaded sweep measured; theory for everything else."""

    model_config = REQUEST

    source: Literal["sweep"]
    id: Annotated[str, Field(pattern=IDENTIFIER_PATTERN, description="Identifier of the sweep.")]


class RulesBody(BaseModel):
    """What to do about changes besides width; a rule is in force only if it is named here.

    With exponents from a sweep, `measured` for batch or tokens follows that sweep too.
    """

    model_config = REQUEST

    experts: RuleChoice | None = _choice(About.EXPERTS)
    rank: RuleChoice | None = _choice(About.RANK)
    depth: RuleChoice | None = _choice(About.DEPTH)
    batch: RuleChoice | None = _choice(About.BATCH)
    tokens: RuleChoice | None = _choice(About.TOKENS)
    schedule: RuleChoice | None = _choice(About.SCHEDULE)
    weight_decay: RuleChoice | None = _choice(About.WEIGHT_DECAY)

    def measured(self) -> list[About]:
        """What the sweep of the transfer is to say."""
        return [About(name) for name, choice in vars(self).items() if choice in ("measured", {"rule": "measured"})]

    def chosen(self) -> dict[str, Any]:
        """The library's choices."""
        return {name: choice for name, choice in vars(self).items() if choice is not None}


class TransferBody(BaseModel):
    """A tuned base and a target to transfer it to."""

    model_config = REQUEST

    parameterization: ParameterizationField
    optimizer: OptimizerField
    alignment: AlignmentField = AlignmentName.FULL
    base: BaseBody
    target: TargetBody
    readout_omega: OwnOrReplacedOmega = None
    form: FormField = Form.TABLE_9
    tensors: Annotated[list[TensorBody], Field(max_length=MAX_TENSORS, fail_fast=True)] | None = Field(
        None, description="Every parameter of the model: each gets values for its own shapes."
    )
    model: ModelBody | None = Field(
        None, description="Read the tensors, the sizes and the ties from the model instead of listing them."
    )
    layout: Layout | None = Field(
        None,
        description=f"Axis order of matrices that name no axes. {listed(Layout, '`')}.",
    )
    code_multipliers: Annotated[list[CodeMultiplierBody], Field(max_length=MAX_MULTIPLIERS, fail_fast=True)] | None = (
        Field(None, description="What the model's own code multiplies by; every value follows by the equivalence map.")
    )
    block_size: Size | None = Field(
        None, description="Of Shampoo's and SOAP's preconditioners; left out, each matrix is one block."
    )
    qk_norm: bool = Field(False, description="Whether the model normalises queries and keys.")
    exponents: Annotated[TheoryExponents | CalibrationExponents | SweepExponents, Field(discriminator="source")] = (
        Field(TheoryExponents(source="theory"), description="Where the learning-rate exponents come from.")
    )
    rules: RulesBody = RulesBody()
    alternatives: Annotated[list[About], Field(max_length=len(About))] = Field(
        default_factory=list,
        description="What to compare the published rules about: the answer's `alternatives` has each of them next "
        "to the others, and the plan stays as it is.",
    )
    weight_decay_mode: WeightDecayMode | None = Field(
        None,
        description=f"How the trainer applies λ. {listed(WeightDecayMode, '`')}. Default: {default_decay_modes()}.",
    )

    @model_validator(mode="after")
    def _tensors_or_model(self) -> Self:
        if self.tensors and self.model is not None:
            raise ValueError("tensors and model are both given; a model lists its tensors, so leave them out")
        return self

    def library_base(self) -> Base:
        """The library's base."""
        return Base(**vars(self.base))

    def library_target(self) -> Target:
        """The library's target."""
        return Target(**vars(self.target))

    def to_request(
        self, exponents: Exponents | None = None, rules: Mapping[str, NamedRule] = MappingProxyType({})
    ) -> TransferRequest:
        """The library's request; exponents: those that a calibration or a sweep measured. rules: that a sweep did."""
        given = vars(self)
        alignment = self.alignment
        base, target = self.library_base(), self.library_target()
        words = {
            **{name: given[name] for name in _WORDS},
            "alignment": alignment if isinstance(alignment, str) else alignment.model_dump(),
            "exponents": exponents,
            "code_multipliers": [each.to_multiplier() for each in self.code_multipliers or ()],
            "qk_norm": self.qk_norm,
            "rules": {**self.rules.chosen(), **rules},
            "alternatives": self.alternatives,
        }
        if self.model is not None:
            models = DescribedModels.from_dict(dict(self.model))
            for end, reading in (("base", models.base_model), ("target", models.target_model)):
                if len(reading.parameters) > MAX_TENSORS:
                    raise InvalidInputError(
                        f"model.{end} has {len(reading.parameters)} tensors; the service answers for at most "
                        f"{MAX_TENSORS}: use the library, which has no bound",
                        field=f"model.{end}",
                    )
            return TransferRequest.of_models(**models._asdict(), base=base, target=target, **words)
        tensors = [Tensor(**vars(tensor)) for tensor in self.tensors or ()]
        return TransferRequest(base=base, target=target, tensors=tensors, **words)


#: Fields that the library's request has under the same name, as they are.
_WORDS = ("parameterization", "optimizer", "readout_omega", "form", "layout", "weight_decay_mode", "block_size")
