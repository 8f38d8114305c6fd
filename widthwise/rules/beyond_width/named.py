"""A rule that a request names: what it is about, what it sets, where it comes from and where it holds."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from widthwise.errors import InvalidInputError
from widthwise.explained import Explained
from widthwise.rules.beyond_width.parameter import parameters_of
from widthwise.rules.contract import Case, RuleInForce
from widthwise.theory.optimizers import OPTIMIZERS, decay_mode_in_force, epsilon_power, update_scale
from widthwise.vocabulary import QuantityName, Role, WeightDecayMode


class About(Explained):
    """What a named rule is about; a request names at most one rule about each."""

    EXPERTS = "experts", "the experts of sparse feed-forward parts: how many, how many of them active, how wide"
    RANK = "rank", "the rank of low-rank adapters (LoRA), and alpha in their scale"
    DEPTH = "depth", "the number of residual blocks"
    BATCH = "batch", "the batch size in tokens"
    TOKENS = "tokens", "the tokens of the whole training, at a fixed batch size"
    SCHEDULE = "schedule", "the steps of warm-up and cooldown when the number of steps changes"
    WEIGHT_DECAY = "weight_decay", "what the learning rate times the weight decay does"


@dataclass(frozen=True, slots=True)
class NamedRule(ABC):
    """What every named rule has. The fields of a subclass are its parameters, each with its words (`said`)."""

    about: ClassVar[About]
    word: ClassVar[str]  #: in a request
    source: ClassVar[str]
    formula: ClassVar[str]  #: with m_L, m_B, m_D, m for target over base of depth, batch, tokens and width
    holds: ClassVar[str]  #: where it was derived or measured, and where not
    covers: ClassVar[frozenset[str]]  #: the sizes of a model that it handles
    disagrees: ClassVar[str] = ""  #: which sources say something else, and what
    page: ClassVar[str] = ""  #: the page of docs/results that tried it at proxy size
    also_sets: ClassVar[frozenset[About]] = frozenset()  #: what else it settles, so that no second rule may

    @abstractmethod
    def apply(self, case: Case) -> RuleInForce:
        """Return the rule in force. InvalidInputError if the case lacks what the rule needs, or is outside of it."""

    @property
    def name(self) -> str:
        """Its name in a plan's `factors`: there is one rule about each."""
        return self.about.value

    @property
    def field(self) -> str:
        """The field of a request that names it."""
        return f"rules.{self.about.value}"

    def checked(self, name: str) -> float:
        """Return a parameter as a float. InvalidInputError outside of what it may be."""
        value: Any = getattr(self, name)
        ((low, high),) = ((each.low, each.high) for each in parameters_of(self) if each.name == name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidInputError(
                f"{self.field}.{name} is {value!r}; give a number from {low:g} to {high:g}",
                field=f"{self.field}.{name}",
            )
        return float(value)

    def ratio(self, case: Case, size: str) -> float:
        """Return target over base of a size. InvalidInputError if either end does not state it."""
        ends = {"base": getattr(case.base, size), "target": getattr(case.target, size)}
        for end, value in ends.items():
            if value is None:
                raise InvalidInputError(
                    f"{self.field} is {self.word!r}, which needs {end}.{size}; give it at both ends",
                    field=f"{end}.{size}",
                )
        ratio: float = ends["target"] / ends["base"]
        return ratio

    def require_adam_like(self, case: Case) -> None:
        """Raise InvalidInputError for an optimizer whose update's size follows the gradient or the parameter."""
        optimizer = case.scheme.optimizer
        hidden = update_scale(optimizer, Role.HIDDEN)
        if hidden.preconditioner is not None and hidden.epsilon_power != 1:
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, which moves ε with the gradient, and the ridge of "
                f"{OPTIMIZERS[optimizer].label} follows its square in hidden matrices alone; leave the rule out",
                field=self.field,
            )
        if update_scale(optimizer).follows is not None:
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, which is for optimizers whose update does not follow the gradient's "
                f"size, as Adam's; {OPTIMIZERS[optimizer].label} has another: leave the rule out",
                field=self.field,
            )

    def require_adams_matrices(self, case: Case) -> None:
        """Raise InvalidInputError for an optimizer whose update of hidden matrices is not of Adam's kind."""
        optimizer = case.scheme.optimizer
        scale = update_scale(optimizer, Role.HIDDEN)
        if scale.follows is not None or scale.alignment is not None:
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, which was derived for Adam's update of matrices, and "
                f"{OPTIMIZERS[optimizer].label} has another; leave the rule out",
                field=self.field,
            )

    def to_choice(self) -> dict[str, Any]:
        """Return the JSON form, parameters included."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"rule": self.word, **{name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}}


def epsilon_factor(case: Case, gradient: float) -> float:
    """Return the factor on epsilon where the gradient has the factor `gradient`: Adafactor's is added to its square."""
    return gradient ** epsilon_power(case.scheme.optimizer)


def decay_factor(case: Case, *, rate: float, product: float, gradient: float = 1.0) -> Mapping[QuantityName, float]:
    """Return the factor on λ by which a step takes `product` times as much off a weight.

    rate: the factor on η. gradient: on the gradient's size, to which coupled decay is added (Adam's update is then
    η·(g + λW)/|g|).
    """
    match decay_mode_in_force(case.scheme.optimizer, case.scheme.weight_decay_mode):
        case WeightDecayMode.DECOUPLED:
            return {"weight_decay": product / rate}
        case WeightDecayMode.INDEPENDENT:
            return {"weight_decay": product}
        case WeightDecayMode.COUPLED:
            return {"weight_decay": product / rate * gradient}
