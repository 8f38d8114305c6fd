"""Depth-muP: branches and every learning rate by the root of the depth (Yang et al. 2023, 2310.02244)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.depth import blocks_in_force
from widthwise.rules.beyond_width.in_force import ByBlock
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class DepthMuP(NamedRule):
    """Depth alone: branches and all learning rates × m_L^(−½), in the form of HyperP's code."""

    about: ClassVar = About.DEPTH
    word: ClassVar = "depth_mup"
    source: ClassVar = "depth-muP, Yang et al. 2023, 2310.02244, as HyperP (2603.28743) applies it"
    formula: ClassVar = "η of every tensor × m_L^(−½), branches × m_L^(−½), ε in blocks as their gradient × m_L^(−½)"
    holds: ClassVar = (
        "derived for blocks of one matrix; with two or more, learning rates drift with depth and CompleteP is better "
        "(2505.01618); the paper leaves ε open: here it follows the gradient"
    )
    covers: ClassVar = frozenset({"depth"})

    def apply(self, case: Case) -> ByBlock:
        """Return the factors within and outside the blocks."""
        return blocks_in_force(self, case, alpha=0.5, rate_outside=self.ratio(case, "depth") ** -0.5)
