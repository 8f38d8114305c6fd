"""LoRA under alpha/r and rsLoRA under alpha/√r: the learning rate over the rank, published and measured."""

from dataclasses import dataclass
from typing import ClassVar

from widthwise.caution import Caution
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.rank import OfAdapters, rank_in_force
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class AlphaOverRank(NamedRule):
    """η as it is under alpha/r."""

    about: ClassVar = About.RANK
    word: ClassVar = "alpha_over_r"
    source: ClassVar = "LoRA without regret, its code's comment and table"
    formula: ClassVar = "η × 1, s = alpha/r with alpha kept"
    holds: ClassVar = (
        "alpha 32, Adam, fine-tuning: nearly independent of r, and about 10 times the best rate of full fine-tuning"
    )
    disagrees: ClassVar = "`rank_slope` is a refit of the same tables; muA (2602.06204) finds r^(−½) where s = 1"
    covers: ClassVar = frozenset({"rank"})

    def apply(self, case: Case) -> OfAdapters:
        """Return what keeps η of the adapters."""
        return rank_in_force(self, case, power=0.0, scale="alpha_over_r")


@dataclass(frozen=True, slots=True)
class RankSlope(NamedRule):
    """η × m_r^.18 under alpha/r, as measured."""

    about: ClassVar = About.RANK
    word: ClassVar = "rank_slope"
    source: ClassVar = "Tinker's tables refitted (25 models, r 1 to 128)"
    formula: ClassVar = "η × m_r^.18 (.15 to .21), s = alpha/r with alpha kept"
    holds: ClassVar = (
        "local parabolas with interior optima; by model usually one step of a ×3 grid from r 1 to 16 and flat after; "
        "never divide η by r"
    )
    covers: ClassVar = frozenset({"rank"})

    def apply(self, case: Case) -> OfAdapters:
        """Return η over the rank, with what the ends of the interval say."""
        ratio = self.ratio(case, "rank")
        ends = sorted(ratio**end for end in (0.15, 0.21))  # 95 %, of the refit
        said = Caution(
            "rank_interval",
            f"rank ×{ratio:.4g}: η × {ratio**0.18:.4g}, and with slopes from .15 to .21 from ×{ends[0]:.4g} to "
            f"×{ends[1]:.4g} ({self.source})",
        )
        return rank_in_force(self, case, power=0.18, scale="alpha_over_r", cautions=() if ratio == 1 else (said,))


@dataclass(frozen=True, slots=True)
class RankStabilized(NamedRule):
    """η as it is under alpha/√r."""

    about: ClassVar = About.RANK
    word: ClassVar = "rslora"
    source: ClassVar = "rsLoRA, 2312.03732"
    formula: ClassVar = "η × 1, s = alpha/√r with alpha kept"
    holds: ClassVar = "Adam; a scale that keeps the size of activations and gradients over r"
    covers: ClassVar = frozenset({"rank"})

    def apply(self, case: Case) -> OfAdapters:
        """Return what keeps η of the adapters."""
        return rank_in_force(self, case, power=0.0, scale="alpha_over_root_r")
