"""CompleteP: depth with α in [½, 1] (Dey et al. 2025, 2505.01618)."""

from dataclasses import dataclass, field
from typing import ClassVar

from widthwise.rules.beyond_width.depth import blocks_in_force
from widthwise.rules.beyond_width.in_force import ByBlock
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.parameter import said
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class CompleteP(NamedRule):
    """Depth alone: branches × m_L^(−α), learning rates in blocks × m_L^(α−1), ε in blocks × m_L^(−α)."""

    #: At 1 all layers learn features, whatever the depth.
    alpha: float = field(default=1.0, metadata=said("Exponent α of the depth", 0.5, 1.0, term="exponent"))

    about: ClassVar = About.DEPTH
    word: ClassVar = "completep"
    source: ClassVar = "CompleteP, Dey et al. 2025, 2505.01618, table 1"
    formula: ClassVar = "in blocks η × m_L^(α−1) and ε × m_L^(−α), branches × m_L^(−α)"
    holds: ClassVar = (
        "pre-norm transformers with AdamW, 111M to 1.5B parameters; embedding, final norm and readout carry no factor; "
        "λ does not change with depth"
    )
    page: ClassVar = "depth"
    covers: ClassVar = frozenset({"depth"})

    def __post_init__(self) -> None:
        self.checked("alpha")

    def apply(self, case: Case) -> ByBlock:
        """Return the factors within the blocks; outside there are none."""
        return blocks_in_force(self, case, alpha=self.alpha)
