"""Weight decay with Power Lines' optimum of the EMA timescale, which falls with tokens per parameter (2505.13738)."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.rules.beyond_width.decay import DecayInForce, decay_in_force
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case

OVER_TOKENS_PER_PARAMETER = -0.527  # 2505.13738: τ of the lowest loss over D/N


@dataclass(frozen=True, slots=True)
class PowerLines(NamedRule):
    """τ = B/(η·λ·D) ∝ (D/N)^(−.527): η·λ × m_B/m_D × (m_D/m_N)^.527."""

    about: ClassVar = About.WEIGHT_DECAY
    word: ClassVar = "power_lines"
    source: ClassVar = "Power Lines, 2505.13738"
    formula: ClassVar = "τ = B/(η·λ·D) ∝ (D/N)^(−.527): η·λ × m_B/m_D × (m_D/m_N)^.527, m_N of the parameters"
    holds: ClassVar = "AdamW with muP, 111M to 3.3B parameters; needs `parameters` at both ends, without embeddings"
    covers: ClassVar[frozenset[str]] = frozenset()

    def apply(self, case: Case) -> DecayInForce:
        """Return λ from the learning rate's factors, the batch, the tokens and the parameters."""
        tokens = self.ratio(case, "tokens")
        timescale: float = (tokens / self.ratio(case, "parameters")) ** OVER_TOKENS_PER_PARAMETER
        product = self.ratio(case, "batch_tokens") / tokens / timescale
        return decay_in_force(self, case, lambda _: product)
