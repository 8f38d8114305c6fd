"""The two ends of a transfer: the tuned base model and the target to train."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Role, known_word

PerRole = float | Mapping[Role | str, float] | None

MAX_WIDTH = 2**31 - 1  # chosen: beyond any model; keeps ratios far from overflow
MAX_COUNT = 2**63 - 1  # of tokens: what a signed 64-bit integer holds, as databases and most JSON readers have it
MAX_VALUE = 1e100  # chosen: with any multiplier in range the product stays a finite float
_LIMITS = {
    "width": MAX_WIDTH,
    "depth": MAX_WIDTH,
    "batch_tokens": MAX_COUNT,
    "tokens": MAX_COUNT,
    "parameters": MAX_COUNT,
    "steps": MAX_COUNT,
    "head_dim": MAX_WIDTH,
    "output_dimension": MAX_WIDTH,
    "experts": MAX_WIDTH,
    "active_experts": MAX_WIDTH,
    "shared_experts": MAX_WIDTH,
    "rank": MAX_WIDTH,
}
_LOWEST = {"shared_experts": 0}  # others: 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a model is; every field may be left out except where a transfer needs it."""

    width: int | None = None  #: model width n (d_model)
    depth: int | None = None  #: number of blocks
    batch_tokens: int | None = None  #: tokens per optimizer step
    tokens: int | None = None  #: tokens of the whole training
    head_dim: int | None = None  #: width of one attention head
    output_dimension: int | None = None  #: classes or vocabulary, if no readout tensor tells
    experts: int | None = None  #: routed experts of a sparse layer, active or not; 1: a dense one
    active_experts: int | None = None  #: routed experts that see one token
    shared_experts: int | None = None  #: experts of the same size that see every token
    rank: int | None = None  #: of low-rank adapters (LoRA)
    lora_alpha: float | None = None  #: > 0; alpha of their scale alpha/r or alpha/√r
    parameters: int | None = None  #: without embeddings; the active ones of a mixture of experts
    steps: int | None = None  #: of the whole training; None: tokens / batch_tokens
    attention_scale: float | None = None  #: > 0; what the code multiplies query·key by; None: 1/√head_dim

    def __post_init__(self) -> None:
        end = "target" if isinstance(self, Target) else "base"
        for name, limit in _LIMITS.items():
            value, low = getattr(self, name), _LOWEST.get(name, 1)
            if value is not None and (type(value) is not int or not low <= value <= limit):
                raise InvalidInputError(
                    f"{end}.{name} is {value!r}; it must be an integer from {low} to {limit}",
                    field=f"{end}.{name}",
                )
        if self.experts is not None and self.active_experts is not None and self.active_experts > self.experts:
            raise InvalidInputError(
                f"{end}.active_experts is {self.active_experts}, of {end}.experts {self.experts}; give at most as many",
                field=f"{end}.active_experts",
            )
        for name in ("attention_scale", "lora_alpha"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _number(getattr(self, name), f"{end}.{name}", positive=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Base(Size):
    """The tuned model: its size and its hyperparameters.

    Each hyperparameter but γ is one number or a mapping by role. A role left out of `weight_decay` is not decayed;
    `learning_rate` and `epsilon` must have every role that the tensors have.
    """

    learning_rate: PerRole = None  #: > 0
    epsilon: PerRole = None  #: ≥ 0; Adam's ε, Adafactor's ε₁
    weight_decay: PerRole = None  #: ≥ 0
    init_std: PerRole = None  #: ≥ 0
    gamma: Mapping[Role | str, float] | None = None  #: > 0; constant of each role that multiplies its learning rate
    gradient_rms: PerRole = None  #: > 0; measured gradient RMS, for the warnings on epsilon
    beta1: float | None = None  #: in [0, 1); Adam's β₁, for rules that change it
    beta2: float | None = None  #: in [0, 1)
    warmup_steps: int | None = None  #: ≥ 0; the schedule, for rules that change it
    cooldown_steps: int | None = None  #: ≥ 0; of the decay at the end, after a constant part
    cooldown_share: float | None = None  #: in [0, 1]; the same as a share of all steps; give one of the two

    def __post_init__(self) -> None:
        # Written out: a slotted dataclass is a new class, so zero-argument super() would not find it.
        Size.__post_init__(self)
        for name in ("learning_rate", "epsilon", "weight_decay", "init_std", "gamma", "gradient_rms"):
            if getattr(self, name) is None:
                continue
            positive = name in ("learning_rate", "gamma", "gradient_rms")
            object.__setattr__(self, name, _checked(getattr(self, name), f"base.{name}", positive=positive))
        for name in ("beta1", "beta2"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _below_one(getattr(self, name), f"base.{name}"))
        _check_schedule(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Size):
    """The model to train: its size alone."""


def sparsity(size: Size) -> Fraction | None:
    """Return active over all routed experts; None where either is not stated."""
    if size.experts is None or size.active_experts is None:
        return None
    return Fraction(size.active_experts, size.experts)


def by_role(values: PerRole, role: Role) -> float | None:
    """The number for one role; None where nothing was given for it."""
    if values is None or isinstance(values, float):  # first: the common case, and quicker than a Mapping check
        return values
    return values.get(role)


def _checked(values: PerRole, field: str, *, positive: bool) -> PerRole:
    if isinstance(values, Mapping):
        known: dict[Role | str, float] = {}
        for key, value in values.items():
            role = known_word(Role, key, field)
            known[role] = _number(value, f"{field}.{role.value}", positive=positive)
        return known
    return None if values is None else _number(values, field, positive=positive)


def _number(value: Any, field: str, *, positive: bool) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_VALUE or (positive and value == 0):
        range_ = "above 0" if positive else "of at least 0"
        raise InvalidInputError(
            f"{field} is {value!r}; it must be a number {range_} and at most {MAX_VALUE:g}", field=field
        )
    return float(value)


def _below_one(value: Any, field: str) -> float:
    number = _number(value, field, positive=False)
    if number >= 1:
        raise InvalidInputError(f"{field} is {value!r}; it must be a number from 0 to below 1", field=field)
    return number


def _check_schedule(base: Base) -> None:
    for name in ("warmup_steps", "cooldown_steps"):
        value = getattr(base, name)
        if value is not None and (type(value) is not int or not 0 <= value <= MAX_COUNT):
            raise InvalidInputError(
                f"base.{name} is {value!r}; it must be an integer from 0 to {MAX_COUNT}", field=f"base.{name}"
            )
    if base.cooldown_share is None:
        return
    if base.cooldown_steps is not None:
        raise InvalidInputError(
            "base.cooldown_steps and base.cooldown_share are both given; give one", field="base.cooldown_share"
        )
    share = _number(base.cooldown_share, "base.cooldown_share", positive=False)
    if share > 1:
        raise InvalidInputError(
            f"base.cooldown_share is {base.cooldown_share!r}; it must be a number from 0 to 1",
            field="base.cooldown_share",
        )
    object.__setattr__(base, "cooldown_share", share)


def changed_sizes(base: Base, target: Target) -> list[str]:
    """Names of the sizes, other than width and outputs, that both ends give and that differ."""
    changed = []
    for name in ("depth", "batch_tokens", "tokens", "head_dim", "experts", "shared_experts", "rank"):
        at_base, at_target = getattr(base, name), getattr(target, name)
        if at_base is not None and at_target is not None and at_base != at_target:
            changed.append(name)
    return changed
