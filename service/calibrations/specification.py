"""The body that asks for a calibration, and the one that extends it; every default is the library's."""

import json
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, field_validator

from service.http.fields import (
    REQUEST,
    AlignmentField,
    FormField,
    OptimizerField,
    OwnOrReplacedOmega,
    ParameterizationField,
)
from service.http.numbers import Whole
from widthwise.calibration.corpora import CORPORA, DATASET, FILE_PREFIX
from widthwise.calibration.grids import default_horizons
from widthwise.calibration.spec import DEFAULTS, CalibrationSpec, ProxySpec
from widthwise.explained import listed
from widthwise.vocabulary import (
    AlignmentName,
    Architecture,
    EpsilonRule,
    FeedForward,
    LearningRateRule,
    Measured,
    Runner,
    Search,
)

MAX_PROXY_WIDTH = 16_384  # chosen: the widest that an accelerator's proxy sweep could mean
MAX_TARGET_WIDTH = 1_048_576  # chosen: far wider than any model
CLOSEST = 1e-6  # chosen: learning rates that differ by less than this share can't be told apart by any loss
MAX_STEPS = 100_000  # chosen: some 100 times what a proxy needs
MAX_HORIZON = max(default_horizons(MAX_STEPS))

#: chosen: far above any that trains; times any multiplier it stays within the float32 that the proxies train in
MAX_LEARNING_RATE = 1e6

MLP, TRANSFORMER = ProxySpec.of(Architecture.MLP), ProxySpec.of(Architecture.TRANSFORMER)

LearningRate = Annotated[float, Field(gt=0, le=MAX_LEARNING_RATE)]
DISTINCT = {"uniqueItems": True}
LearningRates = Annotated[list[LearningRate], Field(min_length=3, max_length=64, json_schema_extra=DISTINCT)]
Horizons = Annotated[
    list[Annotated[int, Whole(1, MAX_HORIZON)]], Field(min_length=2, max_length=8, json_schema_extra=DISTINCT)
]
ProxyWidth = Annotated[int, Whole(1, MAX_PROXY_WIDTH)]
Seeds = Annotated[int, Whole(1, 32)]  # chosen: the mean of 32 has a sixth of one run's error
Precision = Annotated[float, Field(ge=0.01, le=8)]  # octaves (chosen)
Budget = Annotated[float, Field(gt=0, le=1e30)]  # floating-point operations (chosen)
Mesh = Annotated[float, Field(ge=1 / 16, le=1)]  # octaves (chosen)
Dataset = Annotated[
    str,
    StringConstraints(pattern=DATASET),
    Field(
        description="Name of the text that the proxy reads. "
        + "; ".join(f"`{name}`: {what}" for name, what in CORPORA.items())
        + f"; `{FILE_PREFIX}NAME`: a file that the operator placed in the workers' folder of corpora, by its plain "
        f"name. A runner `{Runner.EXTERNAL.value}` may name its own."
    ),
]


class Atan2(BaseModel):
    """The two constants of the update a·atan2(m̂, b·√v̂)."""

    model_config = REQUEST

    a: Annotated[float, Field(gt=0, le=100)] = DEFAULTS.atan2.a
    b: Annotated[float, Field(gt=0, le=100)] = DEFAULTS.atan2.b


class MlpProxy(BaseModel):
    """A byte-level MLP language model: seconds a trial on one core. The defaults show the theory (measured)."""

    model_config = REQUEST

    architecture: Literal["mlp"]
    depth: Annotated[int, Whole(1, 64)] = Field(default=MLP.depth, description="Residual hidden layers.")
    head_dim: Annotated[int, Whole(1, 1024)] = Field(default=MLP.head_dim, description="Not used by the MLP.")
    sequence_length: Annotated[int, Whole(1, 1024)] = Field(
        default=MLP.sequence_length, description="Bytes of context."
    )
    batch_size: Annotated[int, Whole(1, 8192)] = Field(default=MLP.batch_size, description="Windows in one step.")
    dataset: Dataset = MLP.dataset


class TransformerProxy(BaseModel):
    """A decoder-only byte-level transformer; its width grows by heads of constant width."""

    model_config = REQUEST

    architecture: Literal["transformer"]
    depth: Annotated[int, Whole(1, 64)] = Field(default=TRANSFORMER.depth, description="Residual blocks.")
    head_dim: Annotated[int, Whole(1, 1024)] = Field(
        default=TRANSFORMER.head_dim, description="Width of one head; divides every width."
    )
    sequence_length: Annotated[int, Whole(1, 1024)] = Field(
        default=TRANSFORMER.sequence_length, description="Bytes in one window."
    )
    batch_size: Annotated[int, Whole(1, 8192)] = Field(
        default=TRANSFORMER.batch_size, description="Windows in one step."
    )
    dataset: Dataset = TRANSFORMER.dataset
    feed_forward: FeedForward = Field(TRANSFORMER.feed_forward, description="What the feed-forward part computes.")
    qk_norm: bool = Field(
        TRANSFORMER.qk_norm, description="RMS norm of queries and keys, without gain, over each head."
    )
    tied: bool = Field(TRANSFORMER.tied, description="The readout reads the embedding table.")


Proxy = Annotated[MlpProxy | TransformerProxy, Field(discriminator="architecture")]
_DEFAULT_PROXY = TypeAdapter[MlpProxy | TransformerProxy](Proxy).validate_json(json.dumps(DEFAULTS.proxy.to_dict()))


class SpecificationBody(BaseModel):
    """A job that measures exponents: learning rates × widths × seeds of small training runs.

    The base width is the smallest. At width n every tensor is trained with the base learning rate times what the
    theory prescribes for it, so where the theory is right the best base learning rate is the same at every width.
    """

    model_config = REQUEST

    parameterization: ParameterizationField
    optimizer: OptimizerField
    alignment: AlignmentField = AlignmentName(str(DEFAULTS.alignment))
    readout_omega: OwnOrReplacedOmega = DEFAULTS.readout_omega
    form: FormField = DEFAULTS.form
    widths: Annotated[
        list[ProxyWidth],
        Field(
            min_length=2,
            max_length=16,
            json_schema_extra={"uniqueItems": True},
            description="Widths to train at, in units: distinct, kept in ascending order. An exponent needs two, "
            "an interval around it three.",
        ),
    ]
    proxy: Proxy = Field(_DEFAULT_PROXY, description="The small model that is trained, and on what.")
    learning_rates: LearningRates | None = Field(
        default=None,
        description="Base learning rates of the grid, above 0: distinct, kept in ascending order. Left out: a grid "
        "for the optimizer and the proxy. The fit of an optimum needs a neighbour on each side, so three at least.",
    )
    seeds: Seeds = Field(default=DEFAULTS.seeds, description="Runs of each cell, with seeds 0, 1, …")
    steps: Annotated[int, Whole(1, MAX_STEPS)] = Field(
        default=DEFAULTS.steps, description="Optimizer steps of one run."
    )
    epsilon: Annotated[
        float, Field(gt=0, le=1, description="Adam's ε at the base width (Everett et al. 2024: 1e-12 is safe).")
    ] = DEFAULTS.epsilon
    learning_rate_rule: LearningRateRule = Field(
        DEFAULTS.learning_rate_rule,
        description=f"Which learning rate each tensor trains with. {listed(LearningRateRule, '`')}.",
    )
    epsilon_rule: EpsilonRule = Field(
        DEFAULTS.epsilon_rule, description=f"Which ε each tensor trains with. {listed(EpsilonRule, '`')}."
    )
    atan2: Atan2 = Field(Atan2(), description="Constants of Adam-atan2; no other optimizer reads them.")
    search: Search = Field(
        DEFAULTS.search,
        description=f"How the learning rates are searched. {listed(Search, '`')}. The search goes on where an optimum "
        "lies at the edge.",
    )
    target_width: Annotated[int, Whole(1, MAX_TARGET_WIDTH)] | None = Field(
        DEFAULTS.target_width,
        description="Of the information search: the width at which the best learning rate is asked for. Left out: four "
        "times the largest width.",
    )
    precision: Precision | None = Field(
        DEFAULTS.precision,
        description="Of the information search: octaves; it ends as soon as half of the 95 % interval of the best "
        "learning rate of one model of the target width is no wider. It needs three widths.",
    )
    budget: Budget | None = Field(
        DEFAULTS.budget,
        description="Of the information search: floating-point operations that its sweeps may take, each run counted "
        "to its last step. It ends when no further run that helps is affordable.",
    )
    mesh: Mesh = Field(
        default=DEFAULTS.mesh, description="Finest spacing of the learning rates around each optimum, in octaves."
    )
    early_stopping: bool = Field(DEFAULTS.early_stopping, description="Stop trials that can't come near the best one.")
    measure: Annotated[
        list[Measured],
        Field(
            min_length=1,
            max_length=len(Measured),
            json_schema_extra={"uniqueItems": True},
            description=f"What is measured. {listed(Measured, '`')}.",
        ),
    ] = list(DEFAULTS.measure)
    probe_learning_rate: LearningRate | None = Field(
        DEFAULTS.probe_learning_rate,
        description="Base learning rate of the runs that measure epsilon, alignment and coordinates. Left out: the "
        "middle of the learning rates.",
    )
    horizons: Horizons | None = Field(
        default=None,
        description="Steps of each horizon, where `horizon` is measured: distinct, kept in ascending order. Left out: "
        "steps, twice and four times it.",
    )
    runner: Runner = Field(
        DEFAULTS.runner,
        description=f"Who trains. {listed(Runner, '`')}.",
    )

    @field_validator("measure")
    @classmethod
    def _distinct(cls, kinds: list[Measured]) -> list[Measured]:
        for index, kind in enumerate(kinds):
            if kind in kinds[:index]:
                raise ValueError(f"holds {kind.value!r} twice; give each once")
        return kinds

    @field_validator("widths", "learning_rates", "horizons")
    @classmethod
    def _distinct_ascending(cls, values: list[float] | None) -> list[float] | None:
        if values is None:
            return None
        ascending = sorted(values)
        for lower, upper in pairwise(ascending):
            if upper < lower * (1 + CLOSEST):
                raise ValueError(f"holds {lower} and {upper}, which are the same or nearly; give each once")
        return ascending

    def to_spec(self) -> CalibrationSpec:
        """The library's specification: what is stored, with its default learning rates and horizons."""
        return CalibrationSpec.from_dict(self.model_dump(mode="json", include=set(SpecificationBody.model_fields)))


class Extension(BaseModel):
    """What a succeeded calibration is to have more of: one at least.

    Widths, seeds or a finer mesh; of an information search, a finer precision or a larger budget.
    """

    model_config = REQUEST

    widths: Annotated[list[ProxyWidth], Field(min_length=1, max_length=15)] | None = Field(
        None, description="Widths to add, above the smallest one: that is the base of every multiplier."
    )
    seeds: Seeds | None = Field(None, description="Runs of each cell in all.")
    mesh: Mesh | None = Field(
        None, description="Finest spacing of the learning rates around each optimum, in octaves: below what it was."
    )
    precision: Precision | None = Field(
        None,
        description="Of an information search: octaves of half of the interval at the target width, fewer than it had.",
    )
    budget: Budget | None = Field(
        None,
        description="Of an information search: floating-point operations in all, those of the calibration that is "
        "extended included.",
    )
