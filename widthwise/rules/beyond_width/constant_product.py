"""Weight decay with η·λ kept (Kosson et al. 2025, 2510.19093)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.decay import DecayInForce, decay_in_force
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class ConstantProduct(NamedRule):
    """η·λ of every tensor as at the base, whatever the other rules do to η."""

    about: ClassVar = About.WEIGHT_DECAY
    word: ClassVar = "constant_product"
    source: ClassVar = "Kosson et al. 2025, 2510.19093; CompleteP's code"
    formula: ClassVar = "η·λ as at the base; with η ∝ 1/m, λ × m"
    holds: ClassVar = "width at fixed batch and tokens; what a transfer of width alone does without a rule"
    page: ClassVar = "decay"
    covers: ClassVar[frozenset[str]] = frozenset()

    def apply(self, case: Case) -> DecayInForce:
        """Return λ from the learning rate's factors."""
        return decay_in_force(self, case, lambda _: 1.0)
