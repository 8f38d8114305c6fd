"""The batch with saturation: the best learning rate peaks at the noise scale (Li et al. 2024, 2405.14578)."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

from widthwise.errors import InvalidInputError
from widthwise.model import MAX_COUNT
from widthwise.rules.beyond_width.batch import batch_in_force
from widthwise.rules.beyond_width.betas import kept_half_life
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.parameter import said
from widthwise.rules.contract import Case, Changes


@dataclass(frozen=True, slots=True)
class Surge(NamedRule):
    """η(B) = η_max / (½(√(B_n/B) + √(B/B_n))): √B far below the noise scale B_n, its largest there, less above."""

    #: B_n, from sweeps at three batches or more.
    noise_scale: float | None = field(
        default=None, metadata=said("Noise scale", 1, MAX_COUNT, term="noise-scale", unit="tokens")
    )

    about: ClassVar = About.BATCH
    word: ClassVar = "surge"
    source: ClassVar = "surge form, Li et al. 2024, 2405.14578"
    formula: ClassVar = "η ∝ 1/(√(B_n/B) + √(B/B_n)), β₂ ← β₂^m_B, ε × m_B^(−½)"
    holds: ClassVar = (
        "Adam-like optimizers; noise_scale must be measured (three batches at least), and it grows through training: "
        "the value at the end of a run is what counts"
    )
    page: ClassVar = "batch_size"
    covers: ClassVar = frozenset({"batch_tokens"})

    def __post_init__(self) -> None:
        if self.noise_scale is None:
            raise InvalidInputError(
                f"{self.field}.noise_scale is missing: the batch in tokens at which the best learning rate peaks; "
                "measure it with sweeps at three batches (`widthwise fit`), or name another rule",
                field=f"{self.field}.noise_scale",
            )
        self.checked("noise_scale")

    def apply(self, case: Case) -> Everywhere:
        """Return the same factors for every tensor."""
        ratio = self.ratio(case, "batch_tokens")
        changes: Changes = {"beta2": kept_half_life(ratio, self.source)}
        rate = self._relative(case.target.batch_tokens) / self._relative(case.base.batch_tokens)
        return batch_in_force(self, case, rate=rate, changes=changes)

    def _relative(self, batch: Any) -> float:
        root = math.sqrt(batch / self.checked("noise_scale"))
        return 1 / (root + 1 / root)
