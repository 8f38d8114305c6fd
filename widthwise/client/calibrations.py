"""What the service answers about calibrations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from widthwise import notebook
from widthwise.caution import Caution
from widthwise.client.answer import Answer
from widthwise.client.catalogue import DrawnFigure

if TYPE_CHECKING:
    from widthwise.calibration.spec import CalibrationSpec
    from widthwise.calibration.trial import Measurement, Trial

FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, eq=False)
class Progress(Answer):
    """How far a calibration is."""

    trials_done: int
    trials_total: int  #: planned so far plus expected later; 0 if an external runner decides
    shards: Mapping[str, int]  #: by state
    seconds_left: float | None = None  #: None until known


@dataclass(frozen=True, eq=False)
class CalibrationEstimate(Answer):
    """What a specification asks for, before anything has run."""

    trials: int
    shards: int
    training_steps: int
    flops: float
    upper_bound: bool = False  #: an information search may end earlier
    seconds: float | None = None  #: if the rate is known
    workers: int | None = None  #: among whom the time was shared


@dataclass(frozen=True, eq=False)
class EstimatedCalibration(Answer):
    """What a specification would ask for, if it were submitted now."""

    estimate: CalibrationEstimate

    @property
    def spec(self) -> "CalibrationSpec":
        """The specification, with every default filled in."""
        from widthwise.calibration.spec import CalibrationSpec

        return CalibrationSpec.from_dict(self.raw["spec"])


@dataclass(frozen=True, eq=False)
class Exponent(Answer):
    """A measured exponent; `quantity` says what is proportional to which power."""

    quantity: str  #: a `widthwise.vocabulary.ExponentQuantity`
    role: str
    value: float
    standard_error: float | None
    interval: tuple[float, float] | None  #: 95 %; None if there are no degrees of freedom
    degrees_of_freedom: int
    theory: float | None
    widths: tuple[int, ...]
    source: str = ""
    id: str = ""  #: empty in the result of a calibration, as are the fields below
    calibration_id: str = ""
    parameterization: str = ""
    optimizer: str = ""
    alignment: str = ""
    architecture: str = ""
    dataset: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    calibration_name: str | None = None  #: what people call it now


@dataclass(frozen=True, eq=False)
class EstimatedExtension(Answer):
    """What an extension would ask of workers, if it were submitted now."""

    estimate: CalibrationEstimate  #: of what is missing
    shared_trials: int  #: that it would begin with

    @property
    def spec(self) -> "CalibrationSpec":
        """The extended specification, with every default filled in."""
        from widthwise.calibration.spec import CalibrationSpec

        return CalibrationSpec.from_dict(self.raw["spec"])


@dataclass(frozen=True, eq=False)
class BestRate(Answer):
    """The best base learning rate of one width."""

    width: int
    learning_rate: float
    loss: float
    interval: tuple[float, float] | None = None  #: 95 %; None for a bound
    kind: str = ""  #: `interior`, or which side of the rates it lies beyond: `upper_bound`, `lower_bound`
    bound: float | None = None


@dataclass(frozen=True, eq=False)
class Calibration(Answer):
    """A calibration; `result` has what it measured once it has succeeded."""

    id: str
    state: str  #: queued, running, succeeded, failed or cancelled
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None  #: why it failed
    progress: Progress
    estimate: CalibrationEstimate
    result: Mapping[str, Any] | None  #: optima, drift, exponents and warnings as JSON, once succeeded
    runner: str = "worker"
    name: str | None = None
    note: str | None = None
    cancel_requested: bool = False
    extends: str | None = None  #: the calibration whose trials it started with
    rounds: int = 0

    @property
    def ended(self) -> bool:
        """Whether it has succeeded, failed or been cancelled."""
        return self.state in FINAL_STATES

    @property
    def spec(self) -> "CalibrationSpec":
        """The specification, with every default filled in."""
        from widthwise.calibration.spec import CalibrationSpec

        return CalibrationSpec.from_dict(self.raw["spec"])

    @property
    def optima(self) -> tuple[BestRate, ...]:
        """The best base learning rate of each width; empty before it has succeeded."""
        return tuple(BestRate.read(one) for one in (self.result or {}).get("optima", ()))

    @property
    def exponents(self) -> tuple[Exponent, ...]:
        """The measured exponents; empty before it has succeeded."""
        return tuple(Exponent.read(one) for one in (self.result or {}).get("exponents", ()))

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """What makes the result less certain than it looks."""
        return tuple(Caution(one["code"], one["message"]) for one in (self.result or {}).get("warnings", ()))

    def _repr_html_(self) -> str:
        return calibration_html(self)


@dataclass(frozen=True, eq=False)
class CalibrationFit(Answer):
    """The fit of the learning rates that a calibration has tried so far."""

    id: str
    state: str
    trials: int  #: that the fit is from
    other_trials: int  #: of γ and of horizons, which it leaves out
    widths: tuple[
        Mapping[str, Any], ...
    ]  #: of each: its optimum or why it has none, whether an edge is final, its means
    optima: tuple[BestRate, ...]
    candidates: tuple[Mapping[str, Any], ...]  #: the laws that were compared
    choice: Mapping[str, Any]  #: `sentence` says what was chosen and why
    predictions: tuple[Mapping[str, Any], ...]  #: at the multiples of the largest width
    raw_slope: Mapping[str, Any] | None = None  #: of the optima alone
    drift: Mapping[str, Any] | None = None

    def _repr_html_(self) -> str:
        head = notebook.heading(f"Fit of {self.trials} trials")
        rows = [(one.width, _bounded(one), notebook.interval(one.interval), f"{one.loss:.4f}") for one in self.optima]
        ahead = [
            (one["width"], f"{one['learning_rate']:.3g}", notebook.interval(one["interval"]), "predicted")
            for one in self.predictions
        ]
        names = ("width", "learning rate", "95 % interval", "loss")
        return (
            head + notebook.paragraph(self.choice["sentence"]) + notebook.table("Best base rate", names, rows + ahead)
        )


@dataclass(frozen=True)
class CalibrationReport:
    """A calibration with its figures; a notebook shows both."""

    calibration: Calibration
    plot: DrawnFigure  #: loss over learning rate, by width
    width_plot: DrawnFigure | None = None  #: best rate over width; None before it has succeeded

    def _repr_html_(self) -> str:
        figures = [one._repr_html_() for one in (self.plot, self.width_plot) if one is not None]
        return calibration_html(self.calibration) + "".join(figures)


@dataclass(frozen=True, eq=False)
class KeptTrial(Answer):
    """One training run of a calibration."""

    id: str
    created_at: datetime
    width: int
    learning_rate: float  #: the base learning rate
    seed: int
    status: str  #: completed, diverged, stopped or failed
    loss: float | None  #: in nats; None unless completed
    role: str | None = None  #: role whose learning rate was multiplied; None in a plain sweep
    gamma: float | None = None  #: its multiplier
    horizon: int | None = None  #: steps of a branched horizon; None: the specification's
    seconds: float | None = None
    steps: int | None = None
    flops: float | None = None

    @property
    def trial(self) -> "Trial":
        """The trial as the library fits it."""
        from widthwise.calibration.trial import Trial

        return Trial.from_dict(self.raw)


@dataclass(frozen=True, eq=False)
class KeptMeasurement(Answer):
    """What one run of a calibration measured besides its loss."""

    id: str
    created_at: datetime
    width: int
    seed: int
    kind: str  #: epsilon, alignment or coordinates
    data: Mapping[str, Any]

    @property
    def measurement(self) -> "Measurement":
        """The measurement as the library fits it."""
        from widthwise.calibration.trial import Measurement

        return Measurement.from_dict(self.raw)


@dataclass(frozen=True, eq=False)
class CalibrationShard(Answer):
    """A unit of work of a calibration."""

    id: str
    position: int
    kind: str
    width: int
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    state: str
    attempts: int
    reason: str | None
    worker: Mapping[str, Any] | None  #: None if no worker has taken it yet
    role: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, eq=False)
class CalibrationComparison(Answer):
    """How two calibrations differ; `same` of each part is None if it is not known."""

    this: str
    other: str
    specification: Mapping[str, Any]
    code: Mapping[str, Any]
    device: Mapping[str, Any]
    trials: Mapping[str, Any]


def calibration_html(calibration: Calibration) -> str:
    """Return a calibration as HTML: its progress, or the tables of its result."""
    progress = calibration.progress
    head = f"Calibration {calibration.name or calibration.id}: {calibration.state}"
    head += f", {progress.trials_done} of {progress.trials_total} trials" if progress.trials_total else ""
    parts = [notebook.heading(head)]
    if calibration.reason:
        parts.append(notebook.paragraph(calibration.reason))
    if calibration.optima:
        rows = [
            (one.width, _bounded(one), notebook.interval(one.interval), f"{one.loss:.4f}") for one in calibration.optima
        ]
        parts.append(
            notebook.table("Best base learning rate", ("width", "learning rate", "95 % interval", "loss"), rows)
        )
    if calibration.exponents:
        parts.append(exponents_html("Measured exponents", calibration.exponents))
    parts.append(notebook.warnings(calibration.warnings))
    return "".join(parts)


def exponents_html(title: str, exponents: tuple[Exponent, ...]) -> str:
    """Return measured exponents next to theory's as an HTML table."""
    rows = [
        (
            one.quantity.replace("_", " "),
            one.role,
            f"{one.value:+.3f}",
            notebook.interval(one.interval, "+.3f"),
            "–" if one.theory is None else f"{one.theory:+.3f}",
        )
        for one in exponents
    ]
    return notebook.table(title, ("quantity", "role", "exponent", "95 % interval", "theory"), rows, words=2)


def _bounded(one: BestRate) -> str:
    side = {"upper_bound": "< ", "lower_bound": "> "}.get(one.kind)
    return f"{one.learning_rate:.3g}" if side is None or one.bound is None else f"{side}{one.bound:.3g}"
