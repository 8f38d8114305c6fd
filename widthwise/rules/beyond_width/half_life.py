"""The batch with β₂'s half-life in tokens kept, as training code does it (2507.07101)."""

import math
from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.batch import batch_in_force
from widthwise.rules.beyond_width.betas import kept_half_life
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.square_root import SATURATES, saturation
from widthwise.rules.contract import Case, Changes


@dataclass(frozen=True, slots=True)
class HalfLife(NamedRule):
    """η × √m_B, β₁ as it is, β₂ ← β₂^m_B, ε × m_B^(−½)."""

    about: ClassVar = About.BATCH
    word: ClassVar = "half_life"
    source: ClassVar = "2507.07101"
    formula: ClassVar = "η × √m_B, β₂ ← β₂^m_B, ε × m_B^(−½)"
    holds: ClassVar = f"as the square root: {SATURATES}; Marin's sweeps of β₂ agree in order of magnitude only"
    page: ClassVar = "batch_size"
    covers: ClassVar = frozenset({"batch_tokens"})

    def apply(self, case: Case) -> Everywhere:
        """Return the same factors for every tensor."""
        ratio = self.ratio(case, "batch_tokens")
        changes: Changes = {"beta2": kept_half_life(ratio, self.source)}
        return batch_in_force(self, case, rate=math.sqrt(ratio), changes=changes, cautions=saturation(self, case))
