"""What every published law says at a place, and whether it holds there."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from widthwise.laws.law import DERIVED, QUANTITIES, Place, PublishedLaw
from widthwise.laws.registry import LAWS

ASSUMED_OPTIMIZER = "adamw"  # of a place that names none: what nearly all laws were fitted with
NEAR = 2.0  # times the tuned batch, either way (chosen): there the best rate changes by less than the law's interval


@dataclass(frozen=True)
class PublishedRate:
    """What one published law says at a place."""

    law: str
    title: str
    source: str
    formula: str
    learning_rate: float | None  #: None if the place lacks something that the formula takes
    interval: tuple[float, float] | None  #: 95 %, of the law; None if none is known
    missing: tuple[str, ...]  #: what the formula takes and the place lacks
    outside: tuple[str, ...]  #: how the place lies outside of what the law was fitted to
    holds: str  #: how its runs were trained, and the sizes that they span
    assumed: tuple[str, ...]  #: what the place doesn't say, as it was assumed

    @property
    def valid(self) -> bool:
        """Whether the law can be evaluated, and nothing is known to be outside of what it was fitted to."""
        return self.learning_rate is not None and not self.outside

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {**asdict(self), "valid": self.valid}


def published_at(place: Place, *, optimizer: str | None = None) -> tuple[PublishedRate, ...]:
    """Return every law's learning rate at a place.

    place: any of parameters (without embeddings, active ones), tokens, batch_tokens, width, rank, experts, model and
        optimizer; other names are ignored.
    optimizer: overrides the place's. Without either AdamW is assumed, and said.

    >>> published_at({"parameters": 1e9, "tokens": 1e11})[0].learning_rate
    0.001632499402447079
    """
    known = {name: value for name, value in place.items() if name in QUANTITIES}
    if optimizer is not None:
        known["optimizer"] = optimizer
    return tuple(_at(law, known) for law in LAWS)


def _at(law: PublishedLaw, place: Place) -> PublishedRate:
    filled = dict(place)
    assumed = []
    if "optimizer" not in filled:
        filled["optimizer"] = ASSUMED_OPTIMIZER
        assumed.append("AdamW")
    if "experts" not in filled:
        filled["experts"] = 1.0
        assumed.append("a dense model")
    if law.best_batch is not None and "batch_tokens" not in filled:
        assumed.append("the law's best batch")
    missing = tuple(name for name in law.needs if name not in filled)
    outside = tuple(_outside(law, filled))
    if missing or _unknown_family(law, filled):
        rate = interval = None
    else:
        rate = law.rate(filled)
        interval = None if law.interval is None else law.interval(filled)
    return PublishedRate(
        law.name, law.title, law.source, law.formula, rate, interval, missing, outside, law.holds, tuple(assumed)
    )


def _unknown_family(law: PublishedLaw, place: Place) -> bool:
    name = str(place.get("model", "")).rpartition("/")[2].lower()
    return bool(law.families) and "model" in place and not name.startswith(law.families)


def _outside(law: PublishedLaw, place: Place) -> Iterator[str]:
    """Yield how a place lies outside of what a law was fitted to, as far as the place tells."""
    optimizer = str(place["optimizer"])
    if optimizer.lower() not in law.optimizers:
        yield f"{' or '.join(law.optimizers)}, not {optimizer}"
    moe = float(place["experts"]) > 1
    if (law.kind == "dense" and moe) or (law.kind == "moe" and not moe):
        yield "mixtures of experts" if law.kind == "moe" else "dense models"
    if law.fine_tuning != ("rank" in place):
        yield "fine-tuning with LoRA" if law.fine_tuning else "pre-training, not LoRA"
    if _unknown_family(law, place):
        yield f"{' and '.join(law.families)} models, not {place['model']}"
    for name, (low, high) in law.ranges.items():
        value = _value(name, place)
        if value is not None and not low <= value <= high:
            yield f"{name} {low:.3g} to {high:.3g}, not {value:.3g}"
    if law.best_batch is not None and {"batch_tokens", *law.needs} <= set(place):
        batch, best = float(place["batch_tokens"]), law.best_batch(place)
        if abs(math.log(batch / best)) > math.log(NEAR):
            yield f"batches near {best:.2g} tokens, not {batch:.2g}"


def _value(name: str, place: Place) -> float | None:
    """Return a quantity, or one that follows from others; None if the place lacks what it takes."""
    if name in DERIVED:
        needs, derived = DERIVED[name]
        return derived(place) if set(needs) <= set(place) else None
    return float(place[name]) if name in place else None
