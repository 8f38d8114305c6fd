"""u-μP's rule of depth: branches, and learning rates in the stack, by the root of the depth (2407.17465)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.depth import blocks_in_force
from widthwise.rules.beyond_width.in_force import ByBlock
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class UnitScaledMuP(NamedRule):
    """Depth alone: branches and learning rates in blocks × m_L^(−½); nothing outside."""

    about: ClassVar = About.DEPTH
    word: ClassVar = "u_mup"
    source: ClassVar = "u-μP, Blake et al. 2024, 2407.17465, and its package unit_scaling"
    formula: ClassVar = (
        "in blocks η × m_L^(−½) and η·λ as it was, branches × m_L^(−½), ε in blocks as their gradient × m_L^(−½)"
    )
    holds: ClassVar = (
        "transformers with independent weight decay; the factors between base and target of its unit-scaled form; the "
        "paper leaves ε open: here it follows the gradient"
    )
    covers: ClassVar = frozenset({"depth"})

    def apply(self, case: Case) -> ByBlock:
        """Return the factors within the blocks; outside there are none."""
        return blocks_in_force(self, case, alpha=0.5, product=1.0)
