"""The specification of a calibration: what to measure, at which widths, on which proxy, with which search."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from widthwise.calibration.grids import default_horizons, default_learning_rates
from widthwise.errors import InvalidInputError
from widthwise.fields import Fields
from widthwise.theory.alignment import Alignment, parse
from widthwise.vocabulary import (
    AlignmentName,
    Architecture,
    EpsilonRule,
    FeedForward,
    Form,
    LearningRateRule,
    Measured,
    Optimizer,
    Parameterization,
    Runner,
    Search,
)

#: Values of fields missing from specifications stored by older versions; new ones get CalibrationSpec's defaults.
OLDER: Mapping[str, Any] = {"search": Search.GRID}


FAR = 4  # times the largest width (chosen): as far as predictions are tested on known truth

#: The options of each architecture in addition to those that all have.
OPTIONS: Mapping[Architecture, tuple[str, ...]] = {
    Architecture.MLP: (),
    Architecture.TRANSFORMER: ("feed_forward", "qk_norm", "tied"),
}


@dataclass(frozen=True, slots=True)
class ProxySpec:
    """The small model to train, and its data. The defaults show the theory on two cores (measured)."""

    architecture: Architecture = Architecture.MLP
    depth: int = 2  #: residual blocks
    head_dim: int = 16  #: width of one attention head, constant while the width grows; unused by the MLP
    sequence_length: int = 8  #: bytes that the model sees: the MLP's context, the transformer's window
    batch_size: int = 256  #: windows per step
    dataset: str = "python_docs"
    feed_forward: FeedForward = FeedForward.GELU  #: for the transformer
    qk_norm: bool = False  #: RMS norm of queries and keys; for the transformer
    tied: bool = False  #: the readout uses the embedding table; for the transformer

    def __post_init__(self) -> None:
        """Refuse an option that the architecture does not have."""
        for option, plain in _PLAIN_OPTIONS.items():
            given, own = getattr(self, option), self.architecture
            if option not in OPTIONS[own] and given != plain:
                raise InvalidInputError(
                    f"proxy.{option} is {_plain(given)!r}, and the {own.value} has no such option; leave it out, or "
                    f"take architecture {_with_option(option)}",
                    field=f"proxy.{option}",
                )

    @classmethod
    def of(cls, architecture: Architecture) -> "ProxySpec":
        """The default proxy of an architecture."""
        return _DEFAULT_PROXIES[architecture]

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "proxy") -> "ProxySpec":
        """Read JSON; omitted fields get the architecture's defaults. Raises InvalidInputError."""
        given = Fields.of(value, path)
        architecture = given.word(Architecture, "architecture") if given.has("architecture") else Architecture.MLP
        default = cls.of(architecture)
        known = Fields({**asdict(default), **_present(value)}, path)
        return cls(
            architecture=architecture,
            depth=known.integer("depth"),
            head_dim=known.integer("head_dim"),
            sequence_length=known.integer("sequence_length"),
            batch_size=known.integer("batch_size"),
            dataset=known.text("dataset"),
            feed_forward=known.word(FeedForward, "feed_forward"),
            qk_norm=known.flag("qk_norm"),
            tied=known.flag("tied"),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without options that the architecture does not have."""
        return {
            "architecture": self.architecture.value,
            "depth": self.depth,
            "head_dim": self.head_dim,
            "sequence_length": self.sequence_length,
            "batch_size": self.batch_size,
            "dataset": self.dataset,
            **{option: _plain(getattr(self, option)) for option in OPTIONS[self.architecture]},
        }


_PLAIN_OPTIONS: Mapping[str, Any] = {
    each.name: each.default for each in fields(ProxySpec) if any(each.name in options for options in OPTIONS.values())
}


def _with_option(option: str) -> str:
    return " or ".join(repr(word.value) for word, options in OPTIONS.items() if option in options)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


_DEFAULT_PROXIES: Mapping[Architecture, ProxySpec] = {
    Architecture.MLP: ProxySpec(),
    Architecture.TRANSFORMER: ProxySpec(Architecture.TRANSFORMER, sequence_length=64, batch_size=32),
}


@dataclass(frozen=True, slots=True)
class Atan2Constants:
    """The constants of Adam-atan2's update a·atan2(m̂, b·√v̂); Everett et al. 2024 used 1 and 1."""

    a: float = 1.0
    b: float = 1.0

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "atan2") -> "Atan2Constants":
        """Read JSON; an omitted constant is 1. Raises InvalidInputError."""
        given = Fields({**cls().to_dict(), **_present(Fields.of(value, path).values)}, path)
        return cls(given.positive("a"), given.positive("b"))

    def to_dict(self) -> dict[str, float]:
        """JSON-ready."""
        return {"a": self.a, "b": self.b}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSpec:
    """A job that measures exponents: learning rates × widths × seeds of small training runs.

    The base width is the smallest; every multiplier is 1 there. At width n each tensor is trained with the base
    learning rate times the factor that theory prescribes for it, so if theory is right, the best base learning rate is
    the same at every width.
    """

    parameterization: Parameterization
    optimizer: Optimizer
    widths: tuple[int, ...]  #: ascending
    alignment: str | Mapping[str, Any] = AlignmentName.FULL.value  #: a name, or α, ω and u by role
    readout_omega: float | None = None  #: None: the alignment's value
    form: Form = Form.TABLE_9
    proxy: ProxySpec = field(default_factory=ProxySpec)
    learning_rates: tuple[float, ...]  #: base learning rates of the grid, ascending
    seeds: int = 2  #: seeds per learning rate
    steps: int = 200  #: optimizer steps of one run
    epsilon: float = 1e-12  #: Adam's ε at the base width (Everett et al. 2024: 1e-12 is safe)
    learning_rate_rule: LearningRateRule = LearningRateRule.PER_LAYER
    epsilon_rule: EpsilonRule = EpsilonRule.PER_LAYER
    atan2: Atan2Constants = field(default_factory=Atan2Constants)
    search: Search = Search.TELESCOPE
    target_width: int | None = None  #: of the information search; None: FAR times the largest width
    precision: float | None = None  #: of it: octaves, half of the target's 95 % interval, at which it ends
    budget: float | None = None  #: of it: operations that its sweeps may take
    mesh: float = 0.5  #: finest spacing of the learning rates around each optimum, in octaves
    early_stopping: bool = True  #: stop trials that can't come near the best one
    measure: tuple[Measured, ...] = (Measured.LEARNING_RATE,)
    probe_learning_rate: float | None = None  #: for the runs that measure; None: the middle of the learning rates
    horizons: tuple[int, ...] = ()  #: steps of each horizon, ascending; empty unless they are measured
    runner: Runner = Runner.WORKER

    @property
    def base_width(self) -> int:
        """The smallest width, at which every multiplier is 1."""
        return min(self.widths)

    @property
    def is_telescope(self) -> bool:
        """Whether widths beyond the base are searched around a prediction."""
        return self.search is Search.TELESCOPE

    @property
    def is_information(self) -> bool:
        """Whether each run is chosen by what it says about the optimum at the target width."""
        return self.search is Search.INFORMATION

    @property
    def asked_width(self) -> int:
        """The width at which the information search predicts."""
        return FAR * max(self.widths) if self.target_width is None else self.target_width

    @property
    def parsed_alignment(self) -> Alignment:
        """The alignment in force, with the readout's ω replaced if the specification gives one."""
        return parse(self.alignment, self.readout_omega)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "spec") -> "CalibrationSpec":
        """Read JSON: omitted fields get their defaults, and specifications of older versions are upgraded.

        Unknown fields are ignored, since a newer version may have written them. Raises InvalidInputError, which names
        the faulty field.

        >>> spec = CalibrationSpec.from_dict({"parameterization": "mup", "optimizer": "adam", "widths": [64, 32]})
        >>> spec.widths, spec.search.value, len(spec.learning_rates)
        ((32, 64), 'grid', 11)
        """
        given = Fields.of(value, path)
        parameterization = given.word(Parameterization, "parameterization")
        optimizer = given.word(Optimizer, "optimizer")
        widths = tuple(sorted(set(given.integers("widths"))))
        if not widths:
            raise given.error("widths", "is empty; give at least one width")
        known = Fields({**_PLAIN_DEFAULTS, **OLDER, **_present(value)}, path)
        proxy = ProxySpec.from_dict(known.values.get("proxy") or {}, f"{path}.proxy")
        measure = known.words(Measured, "measure") or (Measured.LEARNING_RATE,)
        steps = known.integer("steps")
        rates = tuple(sorted(given.positives("learning_rates")))
        if value.get("learning_rates") is None:
            rates = default_learning_rates(optimizer, proxy.architecture, widths[0])
        horizons = tuple(sorted(given.integers("horizons")))
        if not horizons and Measured.HORIZON in measure:
            horizons = tuple(default_horizons(steps))
        return cls(
            parameterization=parameterization,
            optimizer=optimizer,
            widths=widths,
            alignment=_alignment(known, path),
            readout_omega=known.number("readout_omega") if known.has("readout_omega") else None,
            form=known.word(Form, "form"),
            proxy=proxy,
            learning_rates=rates,
            seeds=known.integer("seeds"),
            steps=steps,
            epsilon=known.positive("epsilon"),
            learning_rate_rule=known.word(LearningRateRule, "learning_rate_rule"),
            epsilon_rule=known.word(EpsilonRule, "epsilon_rule"),
            atan2=Atan2Constants.from_dict(known.values.get("atan2") or {}, f"{path}.atan2"),
            search=known.word(Search, "search"),
            target_width=known.integer("target_width") if known.has("target_width") else None,
            precision=known.positive("precision") if known.has("precision") else None,
            budget=known.positive("budget") if known.has("budget") else None,
            mesh=known.positive("mesh"),
            early_stopping=known.flag("early_stopping"),
            measure=measure,
            probe_learning_rate=known.positive("probe_learning_rate") if known.has("probe_learning_rate") else None,
            horizons=horizons,
            runner=known.word(Runner, "runner"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready: the form that is stored and that `from_dict` reads."""
        return {
            "parameterization": self.parameterization.value,
            "optimizer": self.optimizer.value,
            "alignment": self.alignment,
            "readout_omega": self.readout_omega,
            "form": self.form.value,
            "widths": list(self.widths),
            "proxy": self.proxy.to_dict(),
            "learning_rates": list(self.learning_rates),
            "seeds": self.seeds,
            "steps": self.steps,
            "epsilon": self.epsilon,
            "learning_rate_rule": self.learning_rate_rule.value,
            "epsilon_rule": self.epsilon_rule.value,
            "atan2": self.atan2.to_dict(),
            "search": self.search.value,
            **_present({name: getattr(self, name) for name in ("target_width", "precision", "budget")}),
            "mesh": self.mesh,
            "early_stopping": self.early_stopping,
            "measure": [kind.value for kind in self.measure],
            "probe_learning_rate": self.probe_learning_rate,
            "horizons": list(self.horizons),
            "runner": self.runner.value,
        }


def _present(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given for name, given in value.items() if given is not None}


#: Every default as a specification, so that each is written once; its setting, widths and rates mean nothing.
DEFAULTS = CalibrationSpec(
    parameterization=Parameterization.STANDARD, optimizer=Optimizer.ADAM, widths=(1,), learning_rates=()
)
#: Those that do not depend on another field, as JSON.
_PLAIN_DEFAULTS: Mapping[str, Any] = {
    name: value
    for name, value in DEFAULTS.to_dict().items()
    if name not in ("parameterization", "optimizer", "widths", "learning_rates", "proxy", "horizons")
}


def _alignment(known: Fields, path: str) -> str | Mapping[str, Any]:
    """Return the alignment as it was given, after checking it."""
    given = known.values["alignment"]
    if not isinstance(given, str | Mapping):
        raise InvalidInputError(
            f"{path}.alignment is {given!r}; give 'full', 'none' or exponents by role", field=f"{path}.alignment"
        )
    return given
