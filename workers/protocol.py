"""The protocol between a worker and its child process, in lines of JSON: jobs in, events out (see `conversation`).

job     {"spec": …, "shard": …, "done": […], "cache_dir": … | null, "corpora_dir": … | null}
        done, stored already: [learning rate, seed, role, γ, horizon] of trials of the shard's width, without the
        last three for a plain trial; [kind, seed] of measurements
        with "only_compile": true the program of the shard's width is compiled for later, and nothing is trained;
        another job may follow before that has finished
events  {"event": "started", …}  {"event": "trial", "trial": …}  {"event": "measurement", "measurement": …}
        {"event": "progress", …}  {"event": "finished"}  {"event": "described", …}
        {"event": "error", "kind": …, "message": …}
        after "finished" the child takes another job; after "error" it exits
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.fields import LARGEST_INTEGER, Fields
from widthwise.vocabulary import Measured, Role, ShardKind

Identity = TrialIdentity | MeasurementIdentity


class ProtocolError(Exception):
    """The child wrote something that is not an event."""


class ErrorKind(StrEnum):
    """Why a child could not finish."""

    INVALID_INPUT = "invalid_input"  #: another attempt would fail the same way
    OUT_OF_MEMORY = "out_of_memory"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Job:
    """A shard of work for a child."""

    spec: CalibrationSpec
    shard: ShardSpec
    done: Sequence[Identity] = ()  #: outcomes that are stored already and are skipped
    cache_dir: str | None = None  #: of compiled programs
    corpora_dir: str | None = None  #: of the operator's own texts
    only_compile: bool = False  #: compile the program of the shard's width for later, and train nothing

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read a line of JSON. Raises InvalidInputError, which names the faulty field."""
        given = Fields.of(value, "job")
        shard = ShardSpec.from_dict(given.object("shard").values)
        return cls(
            CalibrationSpec.from_dict(given.object("spec").values),
            shard,
            tuple(identities(shard, given.sequence("done"))),
            given.text("cache_dir") if given.has("cache_dir") else None,
            given.text("corpora_dir") if given.has("corpora_dir") else None,
            given.flag("only_compile") if given.has("only_compile") else False,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "spec": self.spec.to_dict(),
            "shard": self.shard.to_dict(),
            "done": [_written(identity) for identity in self.done],
            "cache_dir": self.cache_dir,
            "corpora_dir": self.corpora_dir,
            **({"only_compile": True} if self.only_compile else {}),
        }


def identities(shard: ShardSpec, done: Sequence[Any]) -> Iterator[Identity]:
    """Yield the identities in `done`, with the shard's width. Raises InvalidInputError for any other form.

    >>> list(identities(ShardSpec(8, (0.1,), (0,)), [[0.1, 0]]))
    [TrialIdentity(width=8, learning_rate=0.1, seed=0, role=None, gamma=1.0, horizon=None)]
    """
    names = ("kind", "seed") if shard.kind is ShardKind.MEASURE else TrialIdentity._fields[1:]
    for entry in done:
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) not in (2, len(names)):
            raise InvalidInputError(f"done holds {entry!r}; give [{', '.join(names)}]", field="done")
        given = Fields(dict(zip(names, entry, strict=False)), "done")
        seed = given.integer("seed", 0, LARGEST_INTEGER)
        if shard.kind is ShardKind.MEASURE:
            yield MeasurementIdentity(shard.width, seed, given.word(Measured, "kind"))
        else:
            yield TrialIdentity(
                shard.width,
                given.positive("learning_rate"),
                seed,
                given.word(Role, "role") if given.has("role") else None,
                given.positive("gamma") if given.has("gamma") else 1.0,
                given.integer("horizon") if given.has("horizon") else None,
            )


def _written(identity: Identity) -> list[Any]:
    if isinstance(identity, MeasurementIdentity):
        return [identity.kind.value, identity.seed]
    return list(identity[1:])  # a role is written as its value


@dataclass(frozen=True, slots=True)
class Started:
    """The child has started a job; says what it runs on."""

    EVENT: ClassVar = "started"
    environment: Mapping[str, Any]  #: device, platform, versions, digests of the text and the code, constants

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event."""
        return cls(_without_name(value))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT, **self.environment}


@dataclass(frozen=True, slots=True)
class Described:
    """The device, from a child that was only asked to describe it."""

    EVENT: ClassVar = "described"
    environment: Mapping[str, Any]  #: device, platform, versions

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event."""
        return cls(_without_name(value))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT, **self.environment}


@dataclass(frozen=True, slots=True)
class TrialDone:
    """A trial has ended."""

    EVENT: ClassVar = "trial"
    trial: Trial

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event. Raises InvalidInputError."""
        return cls(Trial.from_dict(value.get("trial") or {}))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT, "trial": self.trial.to_dict()}


@dataclass(frozen=True, slots=True)
class MeasurementDone:
    """A measurement has ended."""

    EVENT: ClassVar = "measurement"
    measurement: Measurement

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event. Raises InvalidInputError."""
        return cls(Measurement.from_dict(value.get("measurement") or {}))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT, "measurement": self.measurement.to_dict()}


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The child's progress, for people who watch."""

    EVENT: ClassVar = "progress"
    trial: int  #: from 1
    of: int  #: how many
    step: int
    steps: int  #: how many

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event. Raises InvalidInputError."""
        given = Fields(value, cls.EVENT)
        return cls(*(given.integer(name, 0, LARGEST_INTEGER) for name in ("trial", "of", "step", "steps")))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT, "trial": self.trial, "of": self.of, "step": self.step, "steps": self.steps}


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole shard has been run."""

    EVENT: ClassVar = "finished"

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event."""
        del value
        return cls()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT}


@dataclass(frozen=True, slots=True)
class Failed:
    """The child could not finish."""

    EVENT: ClassVar = "error"
    kind: str  #: an ErrorKind, or another word from a child that is not ours
    message: str

    @property
    def is_final(self) -> bool:
        """Whether another attempt would fail the same way."""
        return self.kind == ErrorKind.INVALID_INPUT

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Read an event."""
        return cls(str(value.get("kind")), str(value.get("message")))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"event": self.EVENT, "kind": str(self.kind), "message": self.message}


Event = Started | Described | TrialDone | MeasurementDone | StepProgress | Finished | Failed
_EVENTS = (Started, Described, TrialDone, MeasurementDone, StepProgress, Finished, Failed)
_BY_NAME: Mapping[str, type[Event]] = {kind.EVENT: kind for kind in _EVENTS}


def read_event(value: Any) -> Event:
    """Read an event. Raises ProtocolError for anything else."""
    name = value.get("event") if isinstance(value, Mapping) else None
    if not isinstance(name, str) or name not in _BY_NAME:
        raise ProtocolError(f"{value!r} is not a known event")
    try:
        return _BY_NAME[name].from_dict(value)
    except InvalidInputError as error:
        raise ProtocolError(str(error)) from error


def ended(outcome: Trial | Measurement) -> TrialDone | MeasurementDone:
    """Return the event of an outcome."""
    return TrialDone(outcome) if isinstance(outcome, Trial) else MeasurementDone(outcome)


def _without_name(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != "event"}
