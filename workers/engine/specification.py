"""What to run: the part of a calibration's specification that the engine reads, and one shard of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import (
    MEASURED_BY_RUNS,
    EpsilonRule,
    FeedForward,
    Form,
    LearningRateRule,
    Optimizer,
    Parameterization,
    Role,
    ShardKind,
    known_word,
)

Word = TypeVar("Word", Parameterization, Optimizer, Form)

MAX_SEED = 2**31 - 1  # chosen: fits every random generator and every integer column


@dataclass(frozen=True)
class ProxySpec:
    """Which small model to train, and on what."""

    architecture: str
    depth: int  #: residual blocks
    head_dim: int  #: width of one attention head; fixed while the width grows, unused by the MLP
    sequence_length: int  #: bytes that the model sees: the context of the MLP, the window of the transformer
    batch_size: int  #: windows in one step
    dataset: str
    feed_forward: str = "gelu"  #: "gelu" | "swiglu"; the transformer's
    qk_norm: bool = False  #: RMS norm of queries and keys; the transformer's
    tied: bool = False  #: the readout reads the embedding table; the transformer's


@dataclass(frozen=True)
class SweepSpec:
    """Everything that decides a trial's loss, apart from its width, learning rate and seed."""

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: str | Mapping[str, Any]
    readout_omega: float | None  #: None: the alignment's own
    form: Form
    base_width: int  #: the smallest width of the calibration; every multiplier is 1 there
    steps: int
    epsilon: float
    proxy: ProxySpec
    learning_rate_rule: str = "per_layer"  #: "global": one learning rate for every tensor at every width
    epsilon_rule: str = "per_layer"  #: "constant": one epsilon for every tensor at every width
    atan2: tuple[float, float] = (1.0, 1.0)  #: (a, b) of Adam-atan2's update a·atan2(m̂, b·√v̂)
    early_stopping: bool = True

    @classmethod
    def from_dict(cls, spec: Mapping[str, Any]) -> "SweepSpec":
        """Reads a calibration specification; keys that are not the engine's own are left alone.

        Raises InvalidInputError, whose `field` names the key that is missing or wrong.
        """
        proxy = _value(spec, "proxy", Mapping, "spec")
        widths = [_positive_integer({"widths": w}, "widths", "spec") for w in _value(spec, "widths", Sequence, "spec")]
        if not widths:
            raise InvalidInputError("spec.widths is empty; give at least one width", field="spec.widths")
        alignment = spec.get("alignment")
        if not isinstance(alignment, str | Mapping):
            raise InvalidInputError(
                f"spec.alignment is {alignment!r}; give 'full', 'none' or exponents by role", field="spec.alignment"
            )
        omega = spec.get("readout_omega")
        atan2 = {"a": 1.0, "b": 1.0, **(spec.get("atan2") or {})}
        return cls(
            parameterization=_word(Parameterization, spec, "parameterization"),
            optimizer=_word(Optimizer, spec, "optimizer"),
            alignment=alignment,
            readout_omega=None if omega is None else _positive_number(spec, "readout_omega", "spec"),
            form=_word(Form, spec, "form"),
            base_width=min(widths),
            steps=_positive_integer(spec, "steps", "spec"),
            epsilon=_positive_number(spec, "epsilon", "spec"),
            proxy=ProxySpec(
                architecture=_value(proxy, "architecture", str, "spec.proxy"),
                depth=_positive_integer(proxy, "depth", "spec.proxy"),
                head_dim=_positive_integer(proxy, "head_dim", "spec.proxy"),
                sequence_length=_positive_integer(proxy, "sequence_length", "spec.proxy"),
                batch_size=_positive_integer(proxy, "batch_size", "spec.proxy"),
                dataset=_value(proxy, "dataset", str, "spec.proxy"),
                feed_forward=_choice(proxy, "feed_forward", tuple(FeedForward), "spec.proxy"),
                qk_norm=_value({"qk_norm": False, **proxy}, "qk_norm", bool, "spec.proxy"),
                tied=_value({"tied": False, **proxy}, "tied", bool, "spec.proxy"),
            ),
            learning_rate_rule=_choice(spec, "learning_rate_rule", tuple(LearningRateRule), "spec"),
            epsilon_rule=_choice(spec, "epsilon_rule", tuple(EpsilonRule), "spec"),
            atan2=(_positive_number(atan2, "a", "spec.atan2"), _positive_number(atan2, "b", "spec.atan2")),
            early_stopping=_value({"early_stopping": True, **spec}, "early_stopping", bool, "spec"),
        )


@dataclass(frozen=True)
class Shard:
    """Work of one width, of one kind: every learning rate with every seed, and with every γ or horizon."""

    width: int
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    kind: str = "sweep"  #: a ShardKind
    role: Role | None = None  #: of a `gamma` shard: the role whose learning rate is multiplied
    gammas: tuple[float, ...] = ()  #: of a `gamma` shard: the multipliers γ
    horizons: tuple[int, ...] = ()  #: of a `horizon` shard: steps, ascending
    measure: tuple[str, ...] = ()  #: of a `measure` shard: some of MEASURED_BY_RUNS

    @classmethod
    def from_dict(cls, shard: Mapping[str, Any]) -> "Shard":
        """Reads a shard; raises InvalidInputError that names the key at fault."""
        rates = _value(shard, "learning_rates", Sequence, "shard")
        seeds = _value(shard, "seeds", Sequence, "shard")
        for seed in seeds:
            if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
                raise InvalidInputError(
                    f"shard.seeds holds {seed!r}; give integers from 0 to {MAX_SEED}", field="shard.seeds"
                )
        role = shard.get("role")
        measure = tuple(shard.get("measure") or ())
        unknown = [name for name in measure if name not in MEASURED_BY_RUNS]
        if unknown:
            raise InvalidInputError(
                f"shard.measure holds {unknown[0]!r}; it takes {', '.join(MEASURED_BY_RUNS)}", field="shard.measure"
            )
        return cls(
            width=_positive_integer(shard, "width", "shard"),
            learning_rates=tuple(
                _positive_number({"learning_rates": rate}, "learning_rates", "shard") for rate in rates
            ),
            seeds=tuple(seeds),
            kind=_choice(shard, "kind", tuple(ShardKind), "shard"),
            role=None if role is None else known_word(Role, role, "shard.role"),
            gammas=tuple(_positive_number({"gammas": gamma}, "gammas", "shard") for gamma in shard.get("gammas") or ()),
            horizons=tuple(
                _positive_integer({"horizons": steps}, "horizons", "shard") for steps in shard.get("horizons") or ()
            ),
            measure=measure,
        )


def _value(mapping: Mapping[str, Any], key: str, kind: type, path: str) -> Any:
    if key not in mapping:
        raise InvalidInputError(f"{path}.{key} is missing", field=f"{path}.{key}")
    value = mapping[key]
    if not isinstance(value, kind):
        raise InvalidInputError(
            f"{path}.{key} is {value!r}, of type {type(value).__name__}; give a {kind.__name__}", field=f"{path}.{key}"
        )
    return value


def _choice(mapping: Mapping[str, Any], key: str, choices: tuple[str, ...], path: str) -> str:
    """One of `choices`; the first where the key is absent."""
    value = mapping.get(key, choices[0])
    if value not in choices:
        raise InvalidInputError(f"{path}.{key} is {value!r}; give {' or '.join(choices)}", field=f"{path}.{key}")
    return str(value)


def _positive_integer(mapping: Mapping[str, Any], key: str, path: str) -> int:
    value: int = _value(mapping, key, int, path)
    if isinstance(value, bool) or value < 1:
        raise InvalidInputError(f"{path}.{key} is {value!r}; give an integer of at least 1", field=f"{path}.{key}")
    return value


def _positive_number(mapping: Mapping[str, Any], key: str, path: str) -> float:
    value = mapping.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
        raise InvalidInputError(f"{path}.{key} is {value!r}; give a finite number above 0", field=f"{path}.{key}")
    return float(value)


def _word(kind: type[Word], spec: Mapping[str, Any], key: str) -> Word:
    value = spec.get(key)
    try:
        return kind(str(value))
    except ValueError:
        known = ", ".join(word.value for word in kind)
        raise InvalidInputError(f"spec.{key} is {value!r}; it is one of {known}", field=f"spec.{key}") from None
