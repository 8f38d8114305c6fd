"""The tokens of the training at a fixed batch: η ∝ tokens^(−h), with an h that the sources do not agree on."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule, decay_factor
from widthwise.rules.beyond_width.parameter import said
from widthwise.rules.contract import Case

DEFAULT_EXPONENT = 0.3
PUBLISHED = (0.0, 0.5)
#: What stands behind the interval.
SOURCES = (
    "−.02 (−.09 to .05) in Step Law's table refitted at fixed size and batch, .12 to .15 derived by Everett et al., "
    ".21 to .30 Kakao's MoE, .28 to .30 Marin's sweeps, .32 Bjorck et al. (2409.19913) and HyperP, ⅓ νGPT, .35 "
    "2601.05049, .395 Marin's MuonH, .5 Complete(d)P"
)


@dataclass(frozen=True, slots=True)
class Horizon(NamedRule):
    """η × m_D^(−h) with an exponent that the request gives: its own, or one that was measured."""

    #: h. Below 0 if the best rate rises with the tokens.
    exponent: float = field(metadata=said("Exponent of the tokens", -1.0, 1.0, term="exponent"))
    #: Of h, 95 %, where it was measured.
    interval: tuple[float, float] | None = field(
        default=None, metadata=said("Interval of the token exponent", -2.0, 2.0, term="interval")
    )
    measured: str | None = field(default=None, metadata=said("Source of the token exponent"))

    about: ClassVar = About.TOKENS
    word: ClassVar = "horizon"
    source: ClassVar = "the request"
    formula: ClassVar = "η × m_D^(−exponent)"
    holds: ClassVar = (
        "the batch and the schedule for which the exponent was measured: over tokens it changes with the batch, and "
        "even its sign does in public sweeps"
    )
    page: ClassVar = "token_rules"
    covers: ClassVar = frozenset({"tokens"})

    def __post_init__(self) -> None:
        self.checked("exponent")
        if self.interval is not None:
            object.__setattr__(self, "interval", checked_interval(self.interval, f"{self.field}.interval"))

    def apply(self, case: Case) -> Everywhere:
        """Return the same factor on every learning rate; λ stays."""
        return _in_force(self, case, _Exponent(self.exponent, self.interval, self.measured or self.source))


@dataclass(frozen=True, slots=True)
class DefaultHorizon(NamedRule):
    """η × m_D^(−0.3), with the interval 0 to ½ that published exponents span."""

    about: ClassVar = About.TOKENS
    word: ClassVar = "default"
    source: ClassVar = "the middle of the published exponents"
    formula: ClassVar = "η × m_D^(−0.3), where 0 to 0.5 are published"
    holds: ClassVar = f"nowhere surely: {SOURCES}. Measure it at two horizons"
    page: ClassVar = "token_rules"
    covers: ClassVar = frozenset({"tokens"})

    def apply(self, case: Case) -> Everywhere:
        """Return the same factor on every learning rate, and the caution with its interval."""
        return _in_force(self, case, _Exponent(DEFAULT_EXPONENT, PUBLISHED, SOURCES))


def checked_interval(interval: Any, field: str) -> tuple[float, float]:
    """Return low and high of an exponent as floats; InvalidInputError names the field."""
    is_pair = isinstance(interval, list | tuple) and len(interval) == 2
    if not is_pair or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in interval):
        raise InvalidInputError(f"{field} is {interval!r}; give two numbers, low and high", field=field)
    low, high = interval
    if not -2 <= low <= high <= 2:
        raise InvalidInputError(f"{field} is {interval!r}; give low and high, in this order, from -2 to 2", field=field)
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class _Exponent:
    value: float
    interval: tuple[float, float] | None
    source: str


def _in_force(rule: NamedRule, case: Case, exponent: _Exponent) -> Everywhere:
    rule.require_adam_like(case)
    ratio = rule.ratio(case, "tokens")
    multiplier = ratio**-exponent.value
    return Everywhere(
        rule.source,
        {"learning_rate": multiplier, **decay_factor(case, rate=multiplier, product=multiplier)},
        f"tokens ×{ratio:.6g}: η × m_D^(−{exponent.value:g}) ({rule.source})",
        tuple(_cautions(ratio, exponent)),
    )


def _cautions(ratio: float, exponent: _Exponent) -> Iterator[Caution]:
    if exponent.interval is None or ratio == 1:
        return
    low, high = exponent.interval
    ends = sorted((ratio**-low, ratio**-high))
    yield Caution(
        "horizon_interval",
        f"tokens ×{ratio:.4g}: η × {ratio**-exponent.value:.4g}, and with exponents from {low:g} to {high:g} from "
        f"×{ends[0]:.4g} to ×{ends[1]:.4g} ({exponent.source})",
    )
