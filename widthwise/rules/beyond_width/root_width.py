"""Weight decay with the singular values of matrices kept: λ ∝ √m next to η ∝ 1/m (2510.15262)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.decay import DecayInForce, decay_in_force, width_ratio
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case, Subject
from widthwise.vocabulary import Role


@dataclass(frozen=True, slots=True)
class RootWidth(NamedRule):
    """η·λ of hidden matrices × m^(−½), which is λ × √m where η ∝ 1/m; of all others as at the base."""

    about: ClassVar = About.WEIGHT_DECAY
    word: ClassVar = "root_width"
    source: ClassVar = "2510.15262"
    formula: ClassVar = "hidden matrices: η·λ × m^(−½); with η ∝ 1/m, λ × √m"
    holds: ClassVar = (
        "AdamW near its steady state, where a matrix's top singular value goes as √(η/λ)·m^.75; the paper leaves "
        "vectors undecayed"
    )
    page: ClassVar = "decay"
    covers: ClassVar[frozenset[str]] = frozenset()

    def apply(self, case: Case) -> DecayInForce:
        """Return λ from the learning rate's factors and the width."""
        return decay_in_force(self, case, _product)


def _product(subject: Subject) -> float:
    return width_ratio(subject) ** -0.5 if subject.role is Role.HIDDEN else 1.0
