"""The square-root rule of the batch: Adam's stochastic differential equation (Malladi et al. 2022, 2205.10287)."""

import math
from dataclasses import dataclass
from typing import ClassVar

from widthwise.caution import Caution
from widthwise.rules.beyond_width.batch import batch_in_force
from widthwise.rules.beyond_width.betas import scaled_complement
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case, Changes

#: Where the square root ends: slopes of the best learning rate over the batch in Step Law's public sweeps, refitted, in
#: sequences of 2,048 tokens.
SATURATES = "the best rate grows as m_B^.61 under 200 sequences of 2,048 tokens, as m_B^.18 to 600, and not above"


@dataclass(frozen=True, slots=True)
class SquareRoot(NamedRule):
    """η × √m_B, 1 − β × m_B, ε × m_B^(−½): the same stochastic differential equation at another batch."""

    about: ClassVar = About.BATCH
    word: ClassVar = "square_root"
    source: ClassVar = "Malladi et al. 2022, 2205.10287"
    formula: ClassVar = "η × √m_B, 1 − β₁ and 1 − β₂ × m_B, ε × m_B^(−½)"
    holds: ClassVar = f"Adam at a fixed number of tokens, far below the critical batch: in public sweeps {SATURATES}"
    page: ClassVar = "batch_size"
    covers: ClassVar = frozenset({"batch_tokens"})

    def apply(self, case: Case) -> Everywhere:
        """Return the same factors for every tensor."""
        ratio = self.ratio(case, "batch_tokens")
        changes: Changes = {
            "beta1": scaled_complement(1, ratio, self.source),
            "beta2": scaled_complement(2, ratio, self.source),
        }
        return batch_in_force(self, case, rate=math.sqrt(ratio), changes=changes, cautions=saturation(self, case))


def saturation(rule: NamedRule, case: Case) -> tuple[Caution, ...]:
    """Return the caution that the square root ends, if the larger batch is one where public sweeps saw that."""
    larger = max(case.base.batch_tokens or 0, case.target.batch_tokens or 0)
    if rule.ratio(case, "batch_tokens") == 1 or larger <= KNEE:
        return ()
    return (
        Caution(
            "batch_saturates",
            f"a batch of {larger} tokens is above {KNEE}: {SATURATES} (Step Law's runs, 0.2 to 1.1 billion "
            "parameters); prefer rules.batch 'surge' with a measured noise_scale",
        ),
    )


KNEE = 200 * 2048  # tokens: where the slope leaves the square root in Step Law's runs
