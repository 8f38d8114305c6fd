"""Finite losses that only a diverged run has: far above what the learning rates below them lead to.

Not every trainer marks a run that diverged. Its last loss is a number, often near that of an untrained model, and a
parabola through it puts the vertex octaves too low. The losses of one seed are judged from the best learning rate
upwards: a loss is that of a divergence if it exceeds the median of the losses below it by more than twenty times the
rise between neighbours there, and by more than those losses span. A parabola rises so fast only twenty octaves above
its vertex, and a loss twice as steep towards divergence (eˣ − 1 − x, x in octaves) four times as fast at any distance.

Noise that hides the curve can look like a divergence: as large as the rise over the first octave, in about one sweep
of a hundred.
"""

import numpy as np
from numpy.typing import NDArray

from widthwise.estimate.parabola import Floats

RISES = 20.0  # times the largest rise between neighbours; measured on public sweeps, see the module's docstring
NEIGHBOURS = 3  # learning rates below that show the rise: of two rises on a parabola at most one is near zero
APART = 0.4  # octaves (chosen): rises between closer learning rates are noise; half octaves may have been rounded


def finite_divergences(x: Floats, loss_LxS: Floats) -> NDArray[np.bool_]:
    """Return which losses (n_lr, n_seeds) at the ascending log2 learning rates x (n_lr,) are of diverged runs.

    >>> finite_divergences(np.arange(-10.0, -5), np.array([[2.4], [2.1], [2.0], [2.1], [7.8]])).ravel().tolist()
    [False, False, False, False, True]
    """
    found = np.zeros(loss_LxS.shape, dtype=np.bool_)
    for seed in range(loss_LxS.shape[1]):
        ran = np.flatnonzero(np.isfinite(loss_LxS[:, seed]))
        if ran.size > NEIGHBOURS:
            found[ran, seed] = _diverged(x[ran], loss_LxS[ran, seed])
    return found


def _diverged(x: Floats, loss_L: Floats) -> NDArray[np.bool_]:
    """Return which losses of one seed are of diverged runs."""
    found = np.zeros(x.size, dtype=np.bool_)
    for at in range(int(np.argmin(loss_L)) + 1, x.size):
        below = np.flatnonzero(~found[:at])
        near = [below[-1]]
        for each in below[::-1]:
            if len(near) < NEIGHBOURS and x[near[-1]] - x[each] >= APART:
                near.append(each)
        if len(near) == NEIGHBOURS:
            # By chance neighbours can be level in a noisy sweep, but not most of them.
            rise = max(np.abs(np.diff(loss_L[near])).max(), np.median(np.abs(np.diff(loss_L[below]))))
            # Losses that are level, such as rounded ones, show no rise to compare with.
            least = max(RISES * rise, np.ptp(loss_L[below])) if rise else np.inf
            found[at] = loss_L[at] - np.median(loss_L[below]) > least
    return found
