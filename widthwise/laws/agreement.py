"""Whether a predicted learning rate agrees with the published laws that hold at its place."""

from collections.abc import Sequence

from widthwise.caution import Caution
from widthwise.laws.evaluation import PublishedRate

FAR = 2.0  # times (chosen): published laws that are fitted to the same runs differ by less


def published_cautions(
    learning_rate: float, interval: tuple[float, float] | None, published: Sequence[PublishedRate]
) -> tuple[Caution, ...]:
    """Return a warning if laws that hold differ from a rate by over a factor of 2 and by more than both intervals."""
    holding = [one for one in published if one.valid]
    apart = [one for one in holding if _differs(learning_rate, interval, one)]
    if not apart:
        return ()
    listed = "; ".join(_described(learning_rate, one) for one in apart)
    others = len(holding) - len(apart)
    advice = "Check the units (tokens; parameters without embeddings), the optimizer, the schedule and the decay."
    if others:
        advice = f"{others} other{'s' * (others != 1)} agree{'s' * (others == 1)}, so the published laws disagree here."
    return (
        Caution(
            "published_laws_differ",
            f"Published laws differ from the rate {learning_rate:.3g} by more than a factor of 2: {listed}. {advice}",
        ),
    )


def _differs(rate: float, interval: tuple[float, float] | None, other: PublishedRate) -> bool:
    if other.learning_rate is None:
        return False
    low, high = interval or (rate, rate)
    other_low, other_high = other.interval or (other.learning_rate, other.learning_rate)
    ratio = other.learning_rate / rate
    return max(ratio, 1 / ratio) > FAR and (other_low > high or other_high < low)


def _described(rate: float, other: PublishedRate) -> str:
    there = other.learning_rate or rate
    ratio = f"{there / rate:.1f} times it" if there > rate else f"{rate / there:.1f} times less"
    interval = "no interval" if other.interval is None else f"95 % {other.interval[0]:.3g} to {other.interval[1]:.3g}"
    return f"{other.title} has {there:.3g} ({interval}), {ratio}; it holds for {other.holds}"
