"""What the service answers about sweeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from widthwise import notebook
from widthwise.caution import Caution
from widthwise.client.answer import Answer

if TYPE_CHECKING:
    from widthwise.sweeps.prediction import SweepPrediction


@dataclass(frozen=True, eq=False)
class SweepAxis(Answer):
    """The part of an axis that the runs cover."""

    low: float | None = None  #: None if the axis holds words
    high: float | None = None
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class KeptSweep(Answer):
    """A sweep that the service keeps."""

    id: str
    created_at: datetime
    name: str
    notes: str | None
    revision: int  #: counts the requests that added runs
    runs: int
    diverged: int
    cells: int
    axes: Mapping[str, SweepAxis]
    reading: Mapping[str, Any]  #: how rows become runs, and the setting that they were trained in

    def _repr_html_(self) -> str:
        head = f"Sweep {self.name}: {self.runs} runs in {self.cells} cells, {self.diverged} diverged"
        rows = [
            (name, ", ".join(axis.levels) if axis.levels else notebook.interval((axis.low or 0.0, axis.high or 0.0)))
            for name, axis in self.axes.items()
        ]
        return notebook.heading(head) + notebook.table("Axes", ("axis", "from … to"), rows)


@dataclass(frozen=True, eq=False)
class KeptRun(Answer):
    """One training run of a sweep."""

    id: str
    created_at: datetime
    revision: int  #: since which it belongs to the sweep
    learning_rate: float
    loss: float | None  #: in nats; None if the run diverged
    seed: int | None
    axes: Mapping[str, float | str]
    unused: Mapping[str, float | str]  #: columns that are not axes


@dataclass(frozen=True, eq=False)
class AppendedRuns(Answer):
    """How many runs a sweep gained."""

    added: int
    sweep: KeptSweep


@dataclass(frozen=True, eq=False)
class FittedOptimum(Answer):
    """The best learning rate of a cell."""

    axes: Mapping[str, float | str]
    learning_rate: float
    interval: tuple[float, float]  #: 95 %
    edge: str | None  #: on which side of the rates tried it may lie
    curvature: float | None


@dataclass(frozen=True, eq=False)
class FittedParameter(Answer):
    """A parameter of the law over the axes."""

    name: str
    value: float
    interval: tuple[float, float]  #: 95 %
    learnt: float  #: share of the prior's variance that the data removed


@dataclass(frozen=True, eq=False)
class FittedSweep(Answer):
    """A fitted sweep."""

    sweep: Mapping[str, Any]  #: id, name, revision and runs
    optima: tuple[FittedOptimum, ...]
    law: tuple[FittedParameter, ...]
    scatter: float  #: ω, octaves: how far single cells lie from the law
    saturation_batch: Mapping[str, Any] | None
    shape: Mapping[str, Any]
    warnings: tuple[Caution, ...]

    def _repr_html_(self) -> str:
        head = f"Fit of {self.sweep['name']}, revision {self.sweep['revision']}: {self.sweep['runs']} runs"
        optima = notebook.optima([(one.axes, one.learning_rate, one.interval, one.edge) for one in self.optima])
        law = notebook.law([(one.name, one.value, one.interval) for one in self.law])
        return notebook.heading(head) + optima + law + notebook.warnings(self.warnings)


@dataclass(frozen=True, eq=False)
class SweepPredictions(Answer):
    """The best rate at each place, and the score of a holdout."""

    sweep: Mapping[str, Any]
    held_out: Mapping[str, Any] | None
    warnings: tuple[Caution, ...]  #: of the fit

    @property
    def predictions(self) -> "tuple[SweepPrediction, ...]":
        """The predictions, in the order of the places."""
        return tuple(_prediction(one) for one in self.raw["predictions"])

    def _repr_html_(self) -> str:
        places = self.raw["predictions"]
        axes = list(dict.fromkeys(name for one in places for name in one["axes"]))
        rows = [
            (
                *(notebook.number(one["axes"].get(name)) for name in axes),
                f"{one['learning_rate']:.3g}",
                notebook.interval(one["interval"]),
                f"{one['expected_regret']:.2g}",
            )
            for one in places
        ]
        head = (*axes, "learning rate", "95 % interval", "expected regret, nats")
        parts = [notebook.table(f"Predictions of {self.sweep['name']}", head, rows, words=0)]
        if self.held_out is not None:
            covered, cells = self.held_out["covered"], len(self.held_out["cells"])
            parts.append(
                notebook.paragraph(
                    f"Held out: {covered} of {cells} cells within their interval, "
                    f"{self.held_out['median_octaves']:.2f} octaves off in the median."
                )
            )
        return "".join(parts) + notebook.warnings(self.warnings)


def _prediction(one: Mapping[str, Any]) -> "SweepPrediction":
    from widthwise.laws import PublishedRate
    from widthwise.sweeps.prediction import SweepPrediction

    return SweepPrediction(
        axes=one["axes"],
        learning_rate=one["learning_rate"],
        interval=_pair(one["interval"]),
        law_interval=_pair(one["law_interval"]),
        expected_regret=one["expected_regret"],
        warnings=tuple(Caution(each["code"], each["message"]) for each in one["warnings"]),
        published=tuple(
            PublishedRate(
                law=rate["law"],
                title=rate["title"],
                source=rate["source"],
                formula=rate["formula"],
                learning_rate=rate["learning_rate"],
                interval=None if rate["interval"] is None else _pair(rate["interval"]),
                missing=tuple(rate["missing"]),
                outside=tuple(rate["outside"]),
                holds=rate["holds"],
                assumed=tuple(rate["assumed"]),
            )
            for rate in one["published"]
        ),
    )


def _pair(ends: Sequence[float]) -> tuple[float, float]:
    low, high = ends
    return low, high
