"""What to run: the part of a calibration's specification that the engine reads, and one shard of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Form, Optimizer, Parameterization

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
            ),
        )


@dataclass(frozen=True)
class Shard:
    """Trials of one width: every learning rate with every seed."""

    width: int
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]

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
        return cls(
            width=_positive_integer(shard, "width", "shard"),
            learning_rates=tuple(
                _positive_number({"learning_rates": rate}, "learning_rates", "shard") for rate in rates
            ),
            seeds=tuple(seeds),
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
