"""Complete(d)P: depth, batch and tokens in one prescription (2512.22382)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from widthwise.rules.beyond_width.betas import scaled_complement
from widthwise.rules.beyond_width.depth import blocks_in_force
from widthwise.rules.beyond_width.in_force import ByBlock
from widthwise.rules.beyond_width.named import About, NamedRule, decay_factor, epsilon_factor
from widthwise.rules.beyond_width.parameter import said
from widthwise.rules.contract import Case, Factors
from widthwise.vocabulary import QuantityName


@dataclass(frozen=True, slots=True)
class CompletedP(NamedRule):
    """CompleteP, and with r = m_B/m_D: all η and λ × √r, ε × 1/√r, 1 − β × r."""

    alpha: float = field(default=1.0, metadata=said("Exponent α of the depth", 0.5, 1.0, term="exponent"))

    about: ClassVar = About.DEPTH
    also_sets: ClassVar = frozenset({About.BATCH, About.TOKENS, About.WEIGHT_DECAY})
    word: ClassVar = "completed_p"
    source: ClassVar = "Complete(d)P, 2512.22382"
    formula: ClassVar = "as CompleteP; with r = m_B/m_D all η and λ × √r, ε × 1/√r, 1 − β₁ and 1 − β₂ × r"
    holds: ClassVar = (
        "AdamW with decoupled decay; exact for r at a fixed number of steps' worth of noise, approximate where only "
        "the batch or only the tokens change; its factors of width are those of the parameterization in force"
    )
    covers: ClassVar = frozenset({"depth", "batch_tokens", "tokens"})

    def __post_init__(self) -> None:
        self.checked("alpha")

    def apply(self, case: Case) -> ByBlock:
        """Return CompleteP's factors times those of the noise scale, for every tensor."""
        depth = blocks_in_force(self, case, alpha=self.alpha)
        ratio = self.ratio(case, "batch_tokens") / self.ratio(case, "tokens")
        root = math.sqrt(ratio)
        everywhere: dict[QuantityName, float] = {
            "learning_rate": root,
            "epsilon": epsilon_factor(case, 1 / root),
            **decay_factor(case, rate=root, product=ratio, gradient=1 / root),
        }
        reason = f"{self.formula}; r = {ratio:.6g} ({self.source})"
        return replace(
            depth,
            inside=Factors(
                {**depth.inside.multipliers, **_product(depth.inside.multipliers, everywhere)},
                f"{depth.inside.reason}, r = {ratio:.6g}",
            ),
            outside=Factors(everywhere, reason),
            changes={
                **depth.changes,
                "beta1": scaled_complement(1, ratio, self.source),
                "beta2": scaled_complement(2, ratio, self.source),
            },
        )


def _product(one: Mapping[QuantityName, float], other: Mapping[QuantityName, float]) -> dict[QuantityName, float]:
    return {name: value * one.get(name, 1.0) for name, value in other.items()}
