"""The record of an export: for which trainer, what its format carries, and how the trainer applies it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from widthwise.exports.matcher import Matcher
from widthwise.vocabulary import Optimizer, QuantityName

if TYPE_CHECKING:
    from widthwise.exports.content import Content


class Carried(StrEnum):
    """How often a format holds a quantity."""

    EACH = "each group has its own"
    ONCE = "one for all"


class Rate(StrEnum):
    """What a trainer takes for a group's learning rate, and what its scheduler does to it."""

    PLAN = "the plan's own"
    ABSOLUTE = "absolute; the scheduler multiplies it"
    MULTIPLIER = "a multiplier, which the scheduler applies to its own rate"
    PEAK_AND_FLOOR = "absolute peak and floor, between which the scheduler moves it"


class Decay(StrEnum):
    """What a trainer takes off a weight W in a step, by its weight decay λ, learning rate η and peak η₀."""

    PLAN = "the plan's own"
    TIMES_RATE = "η·λ·W"
    SHARE_OF_PEAK = "(η/η₀)·λ·W"
    MULTIPLIER = "η·λ·W, with λ a multiplier of the scheduled one"


#: Adam and AdamW are one class to most trainers: which, the decay mode says.
ADAM = frozenset({Optimizer.ADAM, Optimizer.ADAMW})

EACH_OF_ALL: Mapping[QuantityName, Carried] = {
    "learning_rate": Carried.EACH,
    "epsilon": Carried.EACH,
    "weight_decay": Carried.EACH,
    "init_std": Carried.EACH,
    "forward_multiplier": Carried.EACH,
}
OPTIMIZER_ONLY: Mapping[QuantityName, Carried] = {
    "learning_rate": Carried.EACH,
    "epsilon": Carried.EACH,
    "weight_decay": Carried.EACH,
}


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One form that a plan can be written in."""

    name: str
    trainer: str  #: as people write it
    versions: str  #: of the trainer that the form was read in or loaded by
    file_name: str
    media_type: str
    write: "Callable[[Content], str]"
    use: str  #: one line
    scheduler: str  #: what it does to the values, and what to avoid
    carries: Mapping[QuantityName, Carried] = field(default_factory=lambda: OPTIMIZER_ONLY)
    rate: Rate = Rate.ABSOLUTE
    decay: Decay = Decay.TIMES_RATE
    matcher: Matcher = Matcher.FULLMATCH_ONE
    optimizers: frozenset[Optimizer] = ADAM
    takes_coupled_decay: bool = False  #: torch.optim.Adam, which adds λW to the gradient
    wrapped: bool = False  #: the trainer sees names with wrappers inside
    prefixes: tuple[str, ...] = ("",)  #: what the trainer may put before every name

    @property
    def is_table(self) -> bool:
        """Whether it is the plan itself, for no trainer."""
        return self.rate is Rate.PLAN
