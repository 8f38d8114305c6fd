"""The contract of a rule: from a base, a target and a placed tensor to factors by quantity, with reason and cautions.

A transfer is the product of the rules in force. To add a rule, write a module with a class that satisfies `Rule` and
list it in `registry.RULES`; nothing else knows rules by name.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from widthwise.caution import Caution
from widthwise.model import Base, Target
from widthwise.rules.exponents import Exponents
from widthwise.rules.in_force import ExponentsInForce, Scheme
from widthwise.tensors.multipliers import CodePower, ComputedMultiplier
from widthwise.tensors.placement import Placement, Tensor
from widthwise.theory.fans import Fans
from widthwise.vocabulary import QuantityName, Role, TensorPart


class Case(NamedTuple):
    """Everything that a rule may use to decide whether it is in force."""

    scheme: Scheme
    exponents: Exponents | None  #: measured or given by the user; None: theory's
    in_force: ExponentsInForce
    base: Base
    target: Target
    tensors: Sequence[Tensor]
    placements: Sequence[Placement]  #: of the tensors, in their order
    has_ties: bool  #: whether an embedding and a readout share weights
    widths: tuple[int, int] | None  #: of base and target, as stated; None: not stated
    code_multipliers: Sequence[ComputedMultiplier] = ()
    in_blocks: Sequence[bool | None] = ()  #: whether each tensor stands in a residual block; None: nothing tells
    block_size: int | None = None  #: of the optimizer's preconditioners


class Subject(NamedTuple):
    """What the factors apply to: one tensor, or all tensors of a role if every width grows by the same ratio."""

    role: Role
    fans: Fans | None  #: of a tensor
    ratio: float | None  #: of the widths, for a role
    is_tied: bool = False  #: it shares weights between an embedding and a readout
    code: CodePower | None = None  #: what the model's own code multiplies its output by
    owner_code: CodePower | None = None  #: of a tied readout: what it multiplies the embedding's output by
    in_block: bool | None = None  #: whether it stands in a residual block; None: not asked, or nothing tells
    part: TensorPart | None = None  #: what it is within experts


_NONE: Mapping[QuantityName, float] = MappingProxyType({})


class Factors(NamedTuple):
    """Target over base by quantity; quantities that the rule does not change are absent."""

    multipliers: Mapping[QuantityName, float]
    reason: str  #: in one line, with the source; "" if there is nothing to say
    exponents: Mapping[QuantityName, float] = _NONE  #: the quantity is ∝ width^(−exponent); only for rules over width


class Change(NamedTuple):
    """What a rule does to a number of the whole model or training."""

    of: Callable[[float], float]  #: the target's value from the base's
    reason: str  #: the formula, with the source
    value: float | None = None  #: for the target, where the rule knows it without the base's


#: Adam's β, the multiplier of every residual branch, that of routed experts and of adapters, and the schedule.
ChangeName = Literal[
    "beta1",
    "beta2",
    "residual_multiplier",
    "route_scale",
    "adapter_scale",
    "steps",
    "warmup_steps",
    "warmup_share",
    "cooldown_steps",
    "cooldown_share",
]
Changes = Mapping[ChangeName, Change]
NO_CHANGES: Changes = MappingProxyType({})


class RuleInForce(Protocol):
    """A rule that applies to a case: its source, its cautions, and factors for every subject."""

    @property
    def source(self) -> str:
        """The paper with its equation or table, or the measurement."""

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What to know about this rule in this case."""

    @property
    def changes(self) -> Changes:
        """What it does beyond the tensors."""

    def factors(self, subject: Subject, before: Mapping[QuantityName, float]) -> Factors:
        """Return the factors of one subject. Equal subjects get equal factors, so it is called once for each.

        before: the product of the rules before this one.
        """


class Rule(Protocol):
    """A part of a transfer."""

    @property
    def name(self) -> str:
        """Its name in a plan's `factors`."""

    @property
    def covers(self) -> frozenset[str]:
        """The sizes of a model (fields of `Base`) that the rule handles, so that no warning names them."""

    def apply(self, case: Case) -> RuleInForce | None:
        """Return the rule in force for a case; None if it does not apply. InvalidInputError if it can't handle it."""


def stated_widths(base: Base, target: Target) -> tuple[int, int] | None:
    """Width of base and target as the request states them; None if it does not. Never read from a tensor."""
    return None if base.width is None or target.width is None else (base.width, target.width)
