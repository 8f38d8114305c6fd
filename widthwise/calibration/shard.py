"""A shard: the runs of one width that one worker trains in one child process."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from widthwise.calibration.trial import MeasurementIdentity, TrialIdentity
from widthwise.fields import Fields
from widthwise.vocabulary import MEASURED_BY_RUNS, Measured, Role, ShardKind

MAX_SEED = 2**31 - 1  # chosen: fits every random generator and every integer column


@dataclass(frozen=True, slots=True)
class ShardSpec:
    """The work of one width and one kind: every learning rate with every seed, and with every γ or horizon."""

    width: int
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    kind: ShardKind = ShardKind.SWEEP
    role: Role | None = None  #: of a gamma shard: the role whose learning rate γ multiplies
    gammas: tuple[float, ...] = ()  #: of a gamma shard
    horizons: tuple[int, ...] = ()  #: of a horizon shard: steps, ascending
    measure: tuple[Measured, ...] = ()  #: of a measure shard: some of MEASURED_BY_RUNS

    @property
    def longest_horizon(self) -> int | None:
        """Steps of the longest horizon; None if its runs have the specification's length."""
        return max(self.horizons, default=None)

    @property
    def runs(self) -> int:
        """How many training runs it has, counting branched horizons as parts of one run."""
        return len(self.learning_rates) * len(self.seeds) * max(1, len(self.gammas))

    def trials(self) -> set[TrialIdentity]:
        """The identities of its trials: learning rates × seeds × what its kind varies."""
        if self.kind is ShardKind.MEASURE:
            return set()
        is_gamma = self.kind is ShardKind.GAMMA
        gammas = self.gammas if is_gamma else (1.0,)
        horizons = self.horizons if self.kind is ShardKind.HORIZON else (None,)
        role = self.role if is_gamma else None
        every = product((self.width,), self.learning_rates, self.seeds, (role,), gammas, horizons)
        return {TrialIdentity(*each) for each in every}

    def measurements(self) -> set[MeasurementIdentity]:
        """The identities of its measurements: seeds × kinds."""
        if self.kind is not ShardKind.MEASURE:
            return set()
        return {MeasurementIdentity(*each) for each in product((self.width,), self.seeds, self.measure)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "shard") -> "ShardSpec":
        """Read JSON; fields that older versions did not store get their defaults. Raises InvalidInputError."""
        given = Fields.of(value, path)
        measure = given.words(Measured, "measure")
        unknown = [kind.value for kind in measure if kind not in MEASURED_BY_RUNS]
        if unknown:
            raise given.error("measure", f"contains {unknown[0]!r}; give some of {', '.join(MEASURED_BY_RUNS)}")
        return cls(
            width=given.integer("width"),
            learning_rates=given.positives("learning_rates"),
            seeds=given.integers("seeds", 0, MAX_SEED),
            kind=given.word(ShardKind, "kind") if value.get("kind") else ShardKind.SWEEP,
            role=given.word(Role, "role") if value.get("role") else None,
            gammas=given.positives("gammas"),
            horizons=given.integers("horizons"),
            measure=measure,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, JSON-ready: the form that is stored and that the child process reads."""
        return {
            "kind": self.kind.value,
            "width": self.width,
            "learning_rates": list(self.learning_rates),
            "seeds": list(self.seeds),
            "role": None if self.role is None else self.role.value,
            "gammas": list(self.gammas),
            "horizons": list(self.horizons),
            "measure": [kind.value for kind in self.measure],
        }
