"""What rules of the batch do to Adam's β."""

from widthwise.errors import InvalidInputError
from widthwise.rules.contract import Change


def scaled_complement(which: int, ratio: float, source: str) -> Change:
    """Return the change 1 − β ← (1 − β)·ratio: the average forgets per token as before, to first order.

    The change raises InvalidInputError where that leaves no β in [0, 1).
    """

    def changed(beta: float) -> float:
        after = 1 - (1 - beta) * ratio
        if not after >= 0:
            raise InvalidInputError(
                f"1 − β_{which} grows ×{ratio:.6g} from {1 - beta:.6g}, which leaves no β_{which} in [0, 1): give a "
                "smaller growth of the batch, or rules.batch 'half_life'",
                field=f"base.beta{which}",
            )
        return beta if ratio == 1 else after

    return Change(changed, f"1 − β_{which} × {ratio:.6g} ({source})")


def kept_half_life(ratio: float, source: str) -> Change:
    """Return the change β₂ ← β₂^ratio: the average forgets per token exactly as before."""
    return Change(lambda beta: beta**ratio, f"β_2^{ratio:.6g}: its half-life in tokens stays ({source})")
