"""When a run of a sweep may end early: if it diverges, or can only end too high to be a point of its cell's curve.

A cell's curve is fitted to losses within 8 % of its lowest (`cell.LOST`). A run that ends above that only says on which
side the optimum does not lie, and it says so wherever above that it ends. So a run is stopped if its loss would remain
above it even after falling, from the same step, `FALLS` times as far as any finished run of the cell fell from there to
its own end. A run that may become the cell's best, or a point of its curve, continues.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from widthwise.sweeps.cell import LOST

Curve = Mapping[int, float]  # loss by step

FEWEST = 2  # finished runs of the cell to compare with (chosen)
FALLS = 2.0  # chosen: runs at high rates fall later than others, with the decay of the rate
RISEN, IN_A_ROW = 1.5, 3  # chosen: so far above its first loss, in so many reports, a run has diverged


def may_stop(curve: Curve, finished: Iterable[tuple[Curve, float]]) -> bool:
    """Return whether a run may end now.

    curve: its losses so far. finished: the losses and the last loss of each run of its cell that ended well.
    """
    steps = sorted(curve)
    if not steps:
        return False
    if not np.isfinite(curve[steps[-1]]):
        return True
    last = [curve[step] for step in steps[-IN_A_ROW:]]
    if len(steps) > IN_A_ROW and min(last) > RISEN * curve[steps[0]]:
        return True
    step = steps[-1]
    ends = [(_at(other, step), end) for other, end in finished if _reaches(other, step)]
    if len(ends) < FEWEST:
        return False
    fall = max(max(then - end, 0.0) for then, end in ends)
    best = min(end for _, end in ends)
    return curve[step] - FALLS * fall > LOST * best


def _reaches(curve: Curve, step: int) -> bool:
    return bool(curve) and min(curve) <= step <= max(curve)


def _at(curve: Curve, step: int) -> float:
    """Return the loss at a step, between the reported ones on a straight line."""
    steps: Sequence[int] = sorted(curve)
    return float(np.interp(step, steps, [curve[one] for one in steps]))
