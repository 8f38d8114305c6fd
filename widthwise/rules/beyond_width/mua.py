"""muA: low-rank adapters with alpha = r, by which factor starts at zero (2602.06204)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.rank import OfAdapters, rank_in_force
from widthwise.rules.contract import Case

_SOURCE = "muA, 2602.06204, as three summaries restate it"


@dataclass(frozen=True, slots=True)
class RandomA(NamedRule):
    """A random and B zero: η × m_r^(−½) and × m^(−½)."""

    about: ClassVar = About.RANK
    word: ClassVar = "mua"
    source: ClassVar = _SOURCE
    formula: ClassVar = "A random, B zero, s = 1: η × m_r^(−½)·m^(−½)"
    holds: ClassVar = "alpha = r, Adam; the init of A by its fan-in, as LoRA's code has it"
    disagrees: ClassVar = (
        "s·η is r^(−½) here, and r^(−.82) by `rank_slope` under alpha/r: the conventions don't share an exponent"
    )
    covers: ClassVar = frozenset({"rank"})

    def apply(self, case: Case) -> OfAdapters:
        """Return η over rank and width."""
        return rank_in_force(self, case, power=-0.5, scale="one", width_power=-0.5)


@dataclass(frozen=True, slots=True)
class RandomB(NamedRule):
    """B random and A zero: η as it is, and as in full fine-tuning."""

    about: ClassVar = About.RANK
    word: ClassVar = "mua_random_b"
    source: ClassVar = _SOURCE
    formula: ClassVar = "B random, A zero, s = 1: η × 1"
    holds: ClassVar = (
        "alpha = r, Adam; the best rate is that of full fine-tuning, so that adapters serve as its proxy; how the init "
        "of B depends on r could not be read: it is left as at the base"
    )
    covers: ClassVar = frozenset({"rank"})

    def apply(self, case: Case) -> OfAdapters:
        """Return what keeps η of the adapters."""
        return rank_in_force(self, case, power=0.0, scale="one")
