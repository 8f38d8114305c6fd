"""Weight decay with η·λ ∝ 1/width, best where models are trained compute-optimally (2512.05620)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.decay import DecayInForce, decay_in_force, width_ratio
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class ComputeOptimal(NamedRule):
    """η·λ of every tensor × 1/m: with η ∝ 1/m, AdamW's λ stays."""

    about: ClassVar = About.WEIGHT_DECAY
    word: ClassVar = "compute_optimal"
    source: ClassVar = "2512.05620"
    formula: ClassVar = "η·λ × 1/m; with η ∝ 1/m, λ as at the base"
    holds: ClassVar = "several optimizers, with tokens that grow with the parameters; not at a fixed number of tokens"
    page: ClassVar = "decay"
    covers: ClassVar[frozenset[str]] = frozenset()

    def apply(self, case: Case) -> DecayInForce:
        """Return λ from the learning rate's factors and the width."""
        return decay_in_force(self, case, lambda subject: 1 / width_ratio(subject))
