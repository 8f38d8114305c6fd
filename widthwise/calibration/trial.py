"""Outcomes of training runs: trials have losses, measurements other recorded data; each has an identity."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from widthwise.fields import LARGEST_INTEGER, Fields
from widthwise.vocabulary import Measured, Role, TrialStatus


class TrialIdentity(NamedTuple):
    """What distinguishes a trial from every other trial of its calibration."""

    width: int
    learning_rate: float  #: the base learning rate
    seed: int
    role: Role | None = None  #: role whose learning rate γ multiplies; None in a plain sweep
    gamma: float = 1.0
    horizon: int | None = None  #: steps of a branched horizon; None: the specification's


class MeasurementIdentity(NamedTuple):
    """What distinguishes a measurement from every other measurement of its calibration."""

    width: int
    seed: int
    kind: Measured


@dataclass(frozen=True, slots=True)
class Trial:
    """One training run that ended; `loss` is finite if it completed, else None."""

    width: int
    learning_rate: float  #: the base learning rate
    seed: int
    status: TrialStatus
    loss: float | None  #: held-out, nats
    seconds: float | None = None  #: wall-clock, without compilation
    steps: int | None = None  #: steps actually done
    flops: float | None = None  #: estimate, training and evaluation
    role: Role | None = None  #: role whose learning rate was multiplied; None in a plain sweep
    gamma: float = 1.0  #: its multiplier
    horizon: int | None = None  #: steps of a branched horizon; None: the specification's

    @property
    def identity(self) -> TrialIdentity:
        """What distinguishes it from every other trial of its calibration."""
        return TrialIdentity(self.width, self.learning_rate, self.seed, self.role, self.gamma, self.horizon)

    @property
    def is_plain(self) -> bool:
        """Whether it belongs to the plain sweep, without γ or a branched horizon."""
        return self.role is None and self.horizon is None

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "trial") -> "Trial":
        """Read JSON. Without a status it is an upload: completed with its loss, or diverged if the loss is null.

        Raises InvalidInputError, which names the faulty field: a number that is not finite, a completed trial without a
        loss, any other trial with one.

        >>> Trial.from_dict({"width": 64, "learning_rate": 0.01, "seed": 0, "loss": None}).status.value
        'diverged'
        """
        given = Fields.of(value, path)
        width, seed = given.integer("width"), given.integer("seed", 0, LARGEST_INTEGER)
        learning_rate = given.positive("learning_rate")
        loss = given.number("loss") if given.has("loss") else None
        implied = TrialStatus.DIVERGED if loss is None else TrialStatus.COMPLETED
        status = given.word(TrialStatus, "status") if given.has("status") else implied
        if (loss is None) == (status is TrialStatus.COMPLETED):
            raise given.error(
                "loss",
                f"is {loss!r} and the status {status.value!r}; a completed trial has a finite loss, all others null",
            )
        return cls(
            width=width,
            learning_rate=learning_rate,
            seed=seed,
            status=status,
            loss=loss,
            seconds=given.number("seconds") if given.has("seconds") else None,
            steps=given.integer("steps", 0, LARGEST_INTEGER) if given.has("steps") else None,
            flops=given.number("flops") if given.has("flops") else None,
            role=given.word(Role, "role") if value.get("role") else None,
            gamma=given.positive("gamma") if given.has("gamma") else 1.0,
            horizon=given.integer("horizon") if value.get("horizon") else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready."""
        return {
            "width": self.width,
            "learning_rate": self.learning_rate,
            "seed": self.seed,
            "role": None if self.role is None else self.role.value,
            "gamma": self.gamma,
            "horizon": self.horizon,
            "status": self.status.value,
            "loss": self.loss,
            "seconds": self.seconds,
            "steps": self.steps,
            "flops": self.flops,
        }


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run measured besides its loss."""

    width: int
    seed: int
    kind: Measured
    data: Mapping[str, Any]  #: JSON; its form depends on the kind

    @property
    def identity(self) -> MeasurementIdentity:
        """What distinguishes it from every other measurement of its calibration."""
        return MeasurementIdentity(self.width, self.seed, self.kind)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "measurement") -> "Measurement":
        """Read JSON. Raises InvalidInputError, which names the faulty field."""
        given = Fields.of(value, path)
        return cls(
            given.integer("width"),
            given.integer("seed", 0, LARGEST_INTEGER),
            given.word(Measured, "kind"),
            given.object("data").values,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"width": self.width, "seed": self.seed, "kind": self.kind.value, "data": dict(self.data)}
