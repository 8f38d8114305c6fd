"""Which trials end early: those that can't come within an octave of the best learning rate of their sweep.

Trials of one seed share their random numbers, so their training losses over the same steps differ by the learning rate
alone. A trial is compared with the *reference*, the first trial in the order of `likely_first` that completed: the
middle of the learning rates, unless it diverged. It is stopped where its training loss over a tenth of the run exceeds
the reference's by a margin.

The margins are 1.5 times the largest excess of any trial within an octave of its sweep's best over any other trial of
that sweep, taken from whole curves: benchmarks/early_stopping.py measures it, on which settings, and the error rate on
others (docs/results/early_stopping.md). The two sides differ. A learning rate that is too small looks bad at first and
catches up; from two tenths on its excess is close to that of the end. One that is too large looks worse than it is
until the cooldown, most of all with SGD at the edge of stability, which recovers from losses of several nats: SGD is
not stopped on that side. In the cooldown nothing is stopped, since little is left to save.

The reference is fixed by the shard alone. So a shard that is resumed stops the same trials, at the price of training
the reference once more, and the decisions of one trial change no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from widthwise.vocabulary import Optimizer
from workers.engine.trials import Setting

Curve = tuple[float, ...]  #: mean training loss in nats over each chunk of steps

# Nats by the tenths of the run that are over; measured, see above
MARGINS_BELOW = {2: 0.38, 3: 0.38, 4: 0.32, 5: 0.22, 6: 0.20, 7: 0.20, 8: 0.20}
MARGINS_ABOVE = {2: 0.38, 3: 0.38, 4: 0.42, 5: 0.42, 6: 0.42, 7: 0.42, 8: 0.50}
SHORTEST = 100  # steps of a run that may be stopped; below them no curve was measured


@dataclass(frozen=True)
class Reference:
    """The trial that others of its group are compared with."""

    learning_rate: float  #: of the tensors that the sweep varies: base learning rate times γ
    curve: Curve


def comparable(settings: Iterable[Setting]) -> list[list[Setting]]:
    """The groups that are one sweep each, and share random numbers: by seed, and by learning rate where γ varies."""
    groups: dict[tuple[int, str | None, float | None], list[Setting]] = {}
    for setting in settings:
        key = (setting.seed, setting.role, None if setting.role is None else setting.learning_rate)
        groups.setdefault(key, []).append(setting)
    return list(groups.values())


def varied(setting: Setting) -> float:
    """The learning rate that tells the trials of a group apart."""
    return setting.learning_rate * setting.gamma


def likely_first(group: Sequence[Setting]) -> list[Setting]:
    """From the middle of the learning rates outwards, downwards first: the order in which a group is trained.

    >>> [setting.learning_rate for setting in likely_first([Setting(rate, 0) for rate in (1.0, 2.0, 4.0, 8.0)])]
    [2.0, 1.0, 4.0, 8.0]
    """
    ascending = sorted(group, key=varied)
    middle = (len(ascending) - 1) // 2
    ranks = sorted(range(len(ascending)), key=lambda rank: (abs(rank - middle), rank))
    return [ascending[rank] for rank in ranks]


def hopeless(
    setting: Setting, curve: Sequence[float], reference: Reference, optimizer: Optimizer, *, step: int, steps: int
) -> bool:
    """Whether a trial of `steps` steps, of which `step` are done, should end.

    `curve` holds its training loss over each chunk so far; the reference's covers the same chunks, and more.
    """
    if steps < SHORTEST:
        return False
    above = varied(setting) > reference.learning_rate
    if above and optimizer is Optimizer.SGD:
        return False
    margin = (MARGINS_ABOVE if above else MARGINS_BELOW).get(10 * step // steps)
    return margin is not None and curve[-1] - reference.curve[len(curve) - 1] > margin
