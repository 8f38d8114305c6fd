"""The trials of a shard: what each is trained with, what came of it, and which are stored already."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from widthwise.errors import InvalidInputError
from workers.engine.specification import Shard

Identity = tuple[float, int, str | None, float, int | None]  #: (learning rate, seed, role, γ, horizon)


@dataclass(frozen=True)
class Setting:
    """What tells one trial of a width from another."""

    learning_rate: float  #: the base learning rate
    seed: int
    role: str | None = None  #: whose learning rates are multiplied; None in a plain sweep
    gamma: float = 1.0  #: by how much
    horizon: int | None = None  #: steps of a trial that was branched from a constant learning rate

    @property
    def identity(self) -> Identity:
        """By which a stored trial of the same width and calibration is recognised."""
        return (self.learning_rate, self.seed, self.role, self.gamma, self.horizon)


@dataclass(frozen=True)
class Trial:
    """One training run that ended."""

    width: int
    learning_rate: float  #: the base learning rate
    seed: int
    status: Literal["completed", "diverged", "stopped"]  #: stopped: it could not come near the best, see `stopping`
    loss: float | None  #: held-out, nats a byte; None unless completed, and finite
    seconds: float  #: wall-clock, without compilation
    steps: int  #: steps really done
    flops: float  #: estimate, training and evaluation
    role: str | None = None
    gamma: float = 1.0
    horizon: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The trial as a JSON-ready record."""
        return asdict(self)


def settings_of(shard: Shard) -> list[Setting]:
    """The trials of a sweep or gamma shard, seed by seed; raises InvalidInputError for a gamma shard without γ or role.

    >>> shard = {"kind": "gamma", "width": 8, "learning_rates": [0.1], "seeds": [0], "role": "hidden", "gammas": [1, 2]}
    >>> [setting.identity for setting in settings_of(Shard.from_dict(shard))]
    [(0.1, 0, 'hidden', 1.0, None), (0.1, 0, 'hidden', 2.0, None)]
    """
    if shard.kind == "sweep":
        return [Setting(rate, seed) for seed in shard.seeds for rate in shard.learning_rates]
    if shard.kind != "gamma":
        raise InvalidInputError(
            f"shard.kind is {shard.kind!r}; a sweep trains shards of kind sweep or gamma", field="shard.kind"
        )
    if shard.role is None:
        raise InvalidInputError(
            "a gamma shard has no role; name the role whose learning rate varies", field="shard.role"
        )
    if not shard.gammas:
        raise InvalidInputError("a gamma shard has no gammas; give at least one multiplier", field="shard.gammas")
    return [
        Setting(rate, seed, shard.role.value, gamma)
        for seed in shard.seeds
        for rate in shard.learning_rates
        for gamma in shard.gammas
    ]


def stored_identities(done: Collection[Sequence[Any]]) -> frozenset[Identity]:
    """The identities in `done`, each [learning rate, seed, role, γ, horizon]; a pair stands for a plain sweep trial.

    Raises InvalidInputError for another form.

    >>> sorted(stored_identities([[0.1, 0], [0.2, 0, None, 1, None]]))
    [(0.1, 0, None, 1.0, None), (0.2, 0, None, 1.0, None)]
    """
    return frozenset(_identity(entry) for entry in done)


def _identity(entry: Sequence[Any]) -> Identity:
    if len(entry) not in (2, 5):
        raise InvalidInputError(
            f"done holds {list(entry)!r}; give [learning_rate, seed, role, gamma, horizon]", field="done"
        )
    rate, seed, role, gamma, horizon = (*entry, None, 1.0, None)[:5]
    return (
        float(rate),
        int(seed),
        None if role is None else str(role),
        float(gamma),
        None if horizon is None else int(horizon),
    )
