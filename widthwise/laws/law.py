"""A published law: the formula of the best learning rate, where it comes from, and where it was fitted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Place = Mapping[str, float | str]
Range = tuple[float, float]

#: What a place may name, in the units that every law here takes.
QUANTITIES = {
    "parameters": "parameters without embeddings; the active ones of a mixture of experts",
    "tokens": "training tokens",
    "batch_tokens": "tokens in a batch",
    "width": "the residual stream's size",
    "experts": "experts in a layer; 1 if dense",
    "rank": "LoRA's rank",
    "model": "the model's name, or its family",
    "optimizer": "the optimizer's name",
}
#: What follows from them, for the range of a law.
DERIVED: Mapping[str, tuple[tuple[str, ...], Callable[[Place], float]]] = {
    "flops": (("parameters", "tokens"), lambda place: 6 * number(place, "parameters") * number(place, "tokens")),
    "tokens_per_parameter": (
        ("parameters", "tokens"),
        lambda place: number(place, "tokens") / number(place, "parameters"),
    ),
}


@dataclass(frozen=True)
class PublishedLaw:
    """One published law of the optimal learning rate, the peak of its schedule."""

    name: str
    title: str
    source: str  #: paper with equation, or repository with file
    formula: str  #: with its units
    setting: str  #: how its runs were trained
    needs: tuple[str, ...]  #: quantities that the formula takes
    rate: Callable[[Place], float]
    optimizers: tuple[str, ...]
    kind: Literal["dense", "moe", "both"] = "dense"
    ranges: Mapping[str, Range] = field(default_factory=dict)  #: of quantities and derived ones, where it was fitted
    interval: Callable[[Place], Range] | None = None  #: 95 %, of the law
    interval_source: str = ""
    best_batch: Callable[[Place], float] | None = None  #: tokens: the law holds at this batch, which was tuned too
    fine_tuning: bool = False
    families: tuple[str, ...] = ()  #: beginnings of the names of the models it holds for; any if empty

    @property
    def holds(self) -> str:
        """How its runs were trained, and the sizes that they span, in one line."""
        spans = [f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in self.ranges.items()]
        return ", ".join([self.setting, *spans])


def number(place: Place, name: str) -> float:
    """Return a number of a place."""
    return float(place[name])
