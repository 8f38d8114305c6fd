"""Experts of any number, share and width by what is active at once (Complete-muE, 2605.23893)."""

import math
from dataclasses import dataclass
from typing import ClassVar

from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.experts import (
    NOTHING,
    ByPart,
    by_role_cautions,
    init_factor,
    require_mup_with_adam,
    require_parts,
    required_count,
)
from widthwise.rules.beyond_width.named import About, NamedRule, decay_factor
from widthwise.rules.contract import Case, Change, Factors, Subject
from widthwise.theory.fans import Fans
from widthwise.theory.optimizers import epsilon_power
from widthwise.vocabulary import QuantityName, Role, TensorPart

_Ends = tuple[int, int]  # at base and target


@dataclass(frozen=True, slots=True)
class CompleteMuE(NamedRule):
    """The active width H = (A + S)·h: what experts return × d/H, with an init × √(H/d) and the stream's η."""

    about: ClassVar = About.EXPERTS
    word: ClassVar = "complete_mue"
    source: ClassVar = "Complete-muE, 2605.23893"
    formula: ClassVar = (
        "H = (A + S)·h of experts of inner width h, f the growth of H/d: what expert_down returns × 1/f, its init × "
        "√f·m^(−½) and its η × 1/m; router and expert_up × m^(−½) and × 1/m; normalised routed sum × A"
    )
    holds: ClassVar = (
        "muP with Adam, from a dense base too (one expert, active); gates are sigmoids normalised over the active "
        "experts; η and λ do not change with A, E and h, which rests on batch and tokens per expert moving together; "
        "the first 100 steps' loss must follow the base's; dense layers between sparse ones keep the width rule"
    )
    disagrees: ClassVar = (
        "2601.20205 finds that nothing transfers when A/E changes, and averages experts (1/A) where this sums "
        "normalised gates × A; the η of expert_down is × 1/m here and × 1/m_M there, next to another multiplier"
    )
    covers: ClassVar = frozenset({"experts", "shared_experts"})

    def apply(self, case: Case) -> ByPart:
        """Return the factors of the experts' matrices."""
        require_mup_with_adam(self, case)
        active = required_count(self, case, "active_experts")
        require_parts(self, case)
        shared = (case.base.shared_experts or 0, case.target.shared_experts or 0)
        inner, stream = self._widths(case) if case.tensors else ((1, 1), (1, 1))
        base, target = ((a + s) * h / d for a, s, h, d in zip(active, shared, inner, stream, strict=True))
        growth, ratio = target / base, active[1] / active[0]

        def of_part(part: TensorPart, subject: Subject) -> Factors:
            return self._of_part(case, part, subject, growth)

        reason = f"× A = {active[1]}, with gates that sum to 1; 1 on shared experts ({self.source})"
        return ByPart(
            self.source,
            of_part,
            tuple(by_role_cautions(case)),
            {"route_scale": Change(lambda at_base: at_base * ratio, reason, float(active[1]))},
        )

    def _widths(self, case: Case) -> tuple[_Ends, _Ends]:
        """An expert's inner width and the stream's. InvalidInputError where experts differ in them."""
        downs = [
            (tensor, placed.fans)
            for tensor, placed in zip(case.tensors, case.placements, strict=True)
            if tensor.part == TensorPart.EXPERT_DOWN
        ]
        stacked = [fans for tensor, fans in downs if len(tensor.base_shape) > 2]  # fused shared experts are not
        found: set[Fans] = set(stacked or (fans for _, fans in downs))
        if len(found) > 1:
            listed = ", ".join(f"{fans.base_in} → {fans.target_in}" for fans in sorted(found))
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, which needs one inner width of the routed experts, and expert_down "
                f"has {listed}; give the experts as one tensor with an axis of experts, or leave the rule out",
                field="tensors",
            )
        (fans,) = found
        return (fans.base_in, fans.target_in), (fans.base_out, fans.target_out)

    def _of_part(self, case: Case, part: TensorPart, subject: Subject, growth: float) -> Factors:
        assert subject.fans is not None  # noqa: S101 - only tensors have parts
        ratio_in, ratio_out = subject.fans.ratio_in, subject.fans.ratio_out
        if part is not TensorPart.EXPERT_DOWN:
            init = init_factor(case, subject, ratio_in**-0.5)
            return NOTHING if init == 1 else Factors({"init_std": init}, f"{part.value}: init × m^(−½) ({self.source})")
        power = case.in_force.scalings[subject.role].learning_rate
        rate = power.multiplier(ratio_out, ratio_out) / power.multiplier(ratio_in, ratio_out)
        init = init_factor(case, subject, math.sqrt(growth / ratio_out))
        multipliers: dict[QuantityName, float] = {
            "learning_rate": rate,
            "init_std": init,
            "forward_multiplier": 1 / growth,
            "gradient_rms": 1 / growth,
            "epsilon": growth ** -epsilon_power(case.scheme.optimizer, Role.HIDDEN),
            **decay_factor(case, rate=rate, product=1.0, gradient=rate / (growth * init)),
        }
        return Factors(
            multipliers,
            f"expert_down: H/d grows ×{growth:.6g}, so output × 1/f, init × √f·m^(−½), η × 1/m ({self.source})",
        )
