"""Weight decay with the EMA timescale of the weights kept, in shares of the training (2405.13698)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.decay import DecayInForce, decay_in_force
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class Timescale(NamedRule):
    """τ = B/(η·λ·D) as at the base: η·λ × m_B/m_D."""

    about: ClassVar = About.WEIGHT_DECAY
    word: ClassVar = "timescale"
    source: ClassVar = "Wang and Aitchison 2024, 2405.13698"
    formula: ClassVar = "τ = B/(η·λ·D) as at the base: η·λ × m_B/m_D; with η ∝ √B, λ × √m_B/m_D"
    holds: ClassVar = "AdamW; weights average their updates over a share τ of the training, whatever its length"
    covers: ClassVar[frozenset[str]] = frozenset()

    def apply(self, case: Case) -> DecayInForce:
        """Return λ from the learning rate's factors, the batch and the tokens."""
        product = self.ratio(case, "batch_tokens") / self.ratio(case, "tokens")
        return decay_in_force(self, case, lambda _: product)
