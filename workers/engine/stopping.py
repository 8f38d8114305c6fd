"""Which trials end early: those that can't come within an octave of the best learning rate of their sweep.

Trials of one seed share their random numbers, so their training losses over the same steps differ by the learning rate
alone. A trial is compared with the *reference*, the first trial in the order of `likely_first` that completed: the
middle of the learning rates, unless it diverged. It is stopped where its mean training loss over the last tenth of the
run exceeds the reference's over the same steps by a margin.

The margins are 1.5 times the largest excess that any trial within an octave of its sweep's best had over any other
trial of that sweep, in whole curves of the MLP; benchmarks/early_stopping.py measures them, and the error rate of the
rule on other widths, lengths, texts, sweeps of γ and the transformer (docs/results/early_stopping.md). They differ by
side and by optimizer. A learning rate that is too small looks bad at first and catches up. One that is too large looks
worse than it is until the cooldown, most of all with SGD at the edge of stability, which recovers from losses of
several nats: above the reference SGD is not stopped at all. In the cooldown nothing is stopped, since little is left to
save.

The reference is fixed by the shard alone. So a shard that is resumed stops the same trials, at the price of training
the reference once more, and the decisions of one trial change no other. In a group of fewer than FEWEST nothing is
stopped.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from widthwise.vocabulary import Optimizer
from workers.engine.trials import Setting

Curve = tuple[float, ...]  #: mean training loss in nats over each chunk of steps

FIRST_TENTH, LAST_TENTH = 2, 8  # of a run: before them all learning rates warm up, after them they cool down


@dataclass(frozen=True)
class Margins:
    """Nats by which a training loss may exceed the reference's."""

    below: tuple[float, ...]  #: of a smaller learning rate, after FIRST_TENTH, …, LAST_TENTH tenths of the run
    above: float  #: of a larger one, at any of them


# Measured, see above. Adam's update has one size whatever the tensor's, that of the relative ones grows with it.
_ADAM = Margins(below=(0.20, 0.20, 0.10, 0.10, 0.10, 0.10, 0.10), above=0.20)
_RELATIVE = Margins(below=(0.38, 0.38, 0.32, 0.22, 0.14, 0.14, 0.12), above=0.48)
MARGINS = {
    Optimizer.ADAM: _ADAM,
    Optimizer.ADAMW: _ADAM,
    Optimizer.ADAM_ATAN2: _ADAM,
    Optimizer.ADAFACTOR: _RELATIVE,
    Optimizer.ADAM_PARAMETER_SCALING: _RELATIVE,
    Optimizer.SGD: Margins(below=(0.31, 0.20, 0.20, 0.17, 0.17, 0.15, 0.15), above=math.inf),
}
FEWEST = 6  # learning rates of a sweep that may be stopped (chosen): a telescope's three are all needed by its fit
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
    tenths = 10 * step // steps
    if steps < SHORTEST or not FIRST_TENTH <= tenths <= LAST_TENTH:
        return False
    margins, is_above = MARGINS[optimizer], varied(setting) > reference.learning_rate
    margin = margins.above if is_above else margins.below[tenths - FIRST_TENTH]
    return curve[-1] - reference.curve[len(curve) - 1] > margin
