"""The batch with a measured exponent: η ∝ batch^h between two batches for which it was measured."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from widthwise.caution import Caution
from widthwise.rules.beyond_width.batch import batch_in_force
from widthwise.rules.beyond_width.horizon import checked_interval
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.beyond_width.parameter import said
from widthwise.rules.contract import Case


@dataclass(frozen=True, slots=True)
class BatchPower(NamedRule):
    """η × m_B^h with an exponent that the request gives: its own, or one that was measured."""

    #: h. 0 above the batch at which the best rate stops growing.
    exponent: float = field(metadata=said("Exponent of the batch", -1.0, 1.0, term="exponent"))
    #: Of h, 95 %, where it was measured.
    interval: tuple[float, float] | None = field(
        default=None, metadata=said("Interval of the batch exponent", -2.0, 2.0, term="interval")
    )
    measured: str | None = field(default=None, metadata=said("Source of the batch exponent"))

    about: ClassVar = About.BATCH
    word: ClassVar = "power"
    source: ClassVar = "the request"
    formula: ClassVar = "η × m_B^exponent, ε × m_B^(−½)"
    holds: ClassVar = (
        "between the batches for which the exponent was measured, with β₁ and β₂ as they were there: it falls to 0 "
        "where the best rate stops growing"
    )
    covers: ClassVar = frozenset({"batch_tokens"})

    def __post_init__(self) -> None:
        self.checked("exponent")
        if self.interval is not None:
            object.__setattr__(self, "interval", checked_interval(self.interval, f"{self.field}.interval"))

    def apply(self, case: Case) -> Everywhere:
        """Return the same factors for every tensor; β₁, β₂ and η·λ stay."""
        ratio = self.ratio(case, "batch_tokens")
        cautions = tuple(self._cautions(ratio))
        return batch_in_force(self, case, rate=ratio**self.exponent, changes={}, cautions=cautions)

    def _cautions(self, ratio: float) -> Iterator[Caution]:
        if self.interval is None or ratio == 1:
            return
        low, high = self.interval
        ends = sorted((ratio**low, ratio**high))
        yield Caution(
            "batch_interval",
            f"batch ×{ratio:.4g}: η × {ratio**self.exponent:.4g}, and with exponents from {low:g} to {high:g} from "
            f"×{ends[0]:.4g} to ×{ends[1]:.4g} ({self.measured or self.source})",
        )
