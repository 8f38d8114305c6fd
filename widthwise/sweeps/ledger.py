"""What a sweep's journal says: the runs asked for, who has them, and how they ended."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.sweeps.journal import Event
from widthwise.sweeps.run import SweepRun

FORMAT = 1  # of the journal


@dataclass(frozen=True)
class AskedRun:
    """One training run to do."""

    number: int  #: counts the runs of a sweep from 0
    axes: Mapping[str, float | str]
    learning_rate: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class RunLease:
    """Who has a run, and until when it is theirs."""

    worker: str
    until: float  #: seconds since the epoch


@dataclass
class Ledger:
    """The state that the events of a journal add up to."""

    runs: dict[int, AskedRun] = field(default_factory=dict)
    leases: dict[int, RunLease] = field(default_factory=dict)  #: of runs without a loss
    losses: dict[int, float | None] = field(default_factory=dict)  #: None: the run diverged
    curves: dict[int, dict[int, float]] = field(default_factory=dict)  #: loss by step
    unasked: set[int] = field(default_factory=set)  #: runs that were added, and cost nothing
    dropped: set[int] = field(default_factory=set)  #: runs that nothing is known of and nobody does
    stopped: set[int] = field(default_factory=set)  #: runs told to stop early
    uploaded: set[int] = field(default_factory=set)
    sweep_id: str | None = None  #: of the service
    axes: tuple[str, ...] | None = None  #: names
    key: str = ""  #: of this journal, unlike any other's

    def apply(self, event: Event) -> None:
        """Take one event in. Raises `InvalidInputError` for one of a kind that this version does not know."""
        match event.get("event"):
            case "sweep" if event.get("format") == FORMAT:
                self.axes, self.key = tuple(event["axes"]), event["key"]
            case "asked":
                number = event["run"]
                self.runs[number] = AskedRun(number, event["axes"], event["learning_rate"], event["seed"])
                self.leases[number] = RunLease(event["worker"], event["until"])
            case "leased":
                if event["run"] not in self.losses and event["run"] not in self.dropped:
                    self.leases[event["run"]] = RunLease(event["worker"], event["until"])
            case "told":
                self.losses[event["run"]] = event["loss"]
                self.dropped.discard(event["run"])
                self.leases.pop(event["run"], None)
            case "dropped":
                self.dropped.add(event["run"])
                self.leases.pop(event["run"], None)
            case "added":
                number = event["run"]
                self.runs[number] = AskedRun(number, event["axes"], event["learning_rate"], event["seed"])
                self.losses[number] = event["loss"]
                self.unasked.add(number)
            case "reported":
                self.curves.setdefault(event["run"], {})[event["step"]] = event["loss"]
                if event["stop"]:
                    self.stopped.add(event["run"])
                if event["run"] in self.leases:
                    self.leases[event["run"]] = RunLease(self.leases[event["run"]].worker, event["until"])
            case "uploaded":
                self.sweep_id = event["sweep"]
                self.uploaded |= set(event["runs"])
            case _:
                raise InvalidInputError(
                    f"{dict(event)} is not an event of format {FORMAT}; give the file of a sweep, or open it with the "
                    "version of Widthwise that wrote it",
                    field="path",
                )

    def finished(self, without: Collection[int] = ()) -> dict[int, SweepRun]:
        """Return the runs that ended, by number, without some."""
        return {
            number: SweepRun(run.learning_rate, self.losses[number], run.axes, run.seed)
            for number, run in self.runs.items()
            if number in self.losses and number not in without
        }


def loss_or_none(loss: float | None) -> float | None:
    """Return a loss as it is stored: None for one that is not finite. Raises `InvalidInputError` for one below 0."""
    if loss is None or not math.isfinite(loss):
        return None
    if loss <= 0:
        raise InvalidInputError(f"loss is {loss!r}; give nats above 0, or None if the run diverged", field="loss")
    return float(loss)
