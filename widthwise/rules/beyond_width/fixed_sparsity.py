"""Experts at a fixed share of active ones (2601.20205, table 1)."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from widthwise.errors import InvalidInputError
from widthwise.model import sparsity
from widthwise.rules.beyond_width.experts import (
    ByPart,
    by_role_cautions,
    init_factor,
    require_mup_with_adam,
    require_parts,
    required_count,
)
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.parameter import said
from widthwise.rules.contract import Case, Change, Factors, Subject
from widthwise.vocabulary import TensorPart


@dataclass(frozen=True, slots=True)
class FixedSparsity(NamedRule):
    """Width, inner width and experts together: η of each matrix as its fan-in says, and three inits."""

    #: The router's init is ∝ m^(−gamma).
    gamma: float = field(default=1.0, metadata=said("Exponent γ of the router's init", 0.5, 2.0, term="exponent"))

    about: ClassVar = About.EXPERTS
    word: ClassVar = "fixed_sparsity"
    source: ClassVar = "2601.20205, table 1"
    formula: ClassVar = (
        "init of routers × m^(−γ), of expert_up × m^(−½), of expert_down × √m/m_M; η of the first two × 1/m and of "
        "expert_down × 1/m_M, as the width rule has it; experts averaged, 1/A"
    )
    holds: ClassVar = (
        "muP with Adam and A/E constant: over a sweep of E at constant A the best rate drifted by .13 decades, against "
        ".01 to .04 elsewhere; blocks (1/A)·Σ gᵢEᵢ with gates of Θ(1); a bias that balances experts starts at 0 with a "
        "constant η; a router that starts at zero next to such a bias collapses without a sign; ε is the width rule's"
    )
    disagrees: ClassVar = (
        "Kakao (2608.20061) widens with more experts at constant A and inner width, trains what an expert returns as a "
        "vector (η × 1), and reports a stable 155B model: with m_M = 1 the η here is the same, and only the constant "
        "share of active experts forbids its A. `complete_mue` leaves E and A free"
    )
    covers: ClassVar = frozenset({"experts"})

    def __post_init__(self) -> None:
        self.checked("gamma")

    def apply(self, case: Case) -> ByPart:
        """Return the inits of the experts' matrices. InvalidInputError if the share of active experts changes."""
        require_mup_with_adam(self, case)
        required_count(self, case, "experts")
        active = required_count(self, case, "active_experts")
        before, after = sparsity(case.base), sparsity(case.target)
        if before != after:
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, and active experts go from {before} to {after} of all experts, over "
                "which it does not hold; keep the share, or name 'complete_mue'",
                field="target.active_experts",
            )
        require_parts(self, case)
        ratio = active[0] / active[1]
        reason = f"Σ gᵢEᵢ × 1/A = 1/{active[1]}, ×{ratio:.6g} next to the base's ({self.source})"

        def of_part(part: TensorPart, subject: Subject) -> Factors:
            return self._of_part(case, part, subject)

        return ByPart(
            self.source,
            of_part,
            tuple(by_role_cautions(case)),
            {"route_scale": Change(lambda base: base * ratio, reason, 1 / active[1])},
        )

    def _of_part(self, case: Case, part: TensorPart, subject: Subject) -> Factors:
        assert subject.fans is not None  # noqa: S101 - only tensors have parts
        ratio_in, ratio_out = subject.fans.ratio_in, subject.fans.ratio_out
        match part:
            case TensorPart.ROUTER:
                wanted, law = ratio_in**-self.gamma, f"m^(−{self.gamma:g})"
            case TensorPart.EXPERT_UP:
                wanted, law = ratio_in**-0.5, "m^(−½)"
            case TensorPart.EXPERT_DOWN:
                wanted, law = math.sqrt(ratio_out) / ratio_in, "√m/m_M"
        return Factors({"init_std": init_factor(case, subject, wanted)}, f"{part.value}: init × {law} ({self.source})")
