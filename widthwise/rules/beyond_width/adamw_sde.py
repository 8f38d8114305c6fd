"""The batch of AdamW by its stochastic differential equation: λ instead of η (2411.15958)."""

import math
from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.batch import batch_in_force
from widthwise.rules.beyond_width.betas import scaled_complement
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case, Changes


@dataclass(frozen=True, slots=True)
class AdamWSDE(NamedRule):
    """η as it is, λ × √m_B, 1 − β₂ × √m_B, ε × m_B^(−½)."""

    about: ClassVar = About.BATCH
    also_sets: ClassVar = frozenset({About.WEIGHT_DECAY})
    word: ClassVar = "adamw_sde"
    source: ClassVar = "2411.15958, as ArchScale applies it"
    formula: ClassVar = "η × 1, λ × √m_B, 1 − β₂ × √m_B, ε × m_B^(−½)"
    holds: ClassVar = "AdamW with decoupled decay, at a fixed number of tokens"
    covers: ClassVar = frozenset({"batch_tokens"})

    def apply(self, case: Case) -> Everywhere:
        """Return the same factors for every tensor."""
        root = math.sqrt(self.ratio(case, "batch_tokens"))
        changes: Changes = {"beta2": scaled_complement(2, root, self.source)}
        return batch_in_force(self, case, rate=1.0, decay=root, changes=changes)
