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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from widthwise.calibration.trial import TrialIdentity
from widthwise.vocabulary import Role

Curve = tuple[float, ...]  #: mean training loss in nats over each chunk of steps

FIRST_TENTH, LAST_TENTH = 2, 8  # of a run: before them all learning rates warm up, after them they cool down


@dataclass(frozen=True)
class Margins:
    """Nats by which a training loss may exceed the reference's: measured for each optimizer, see above."""

    below: tuple[float, ...]  #: of a smaller learning rate, after FIRST_TENTH, …, LAST_TENTH tenths of the run
    above: float  #: of a larger one, at any of them


FEWEST = 6  # learning rates of a sweep that may be stopped (chosen): a telescope's three are all needed by its fit
SHORTEST = 100  # steps of a run that may be stopped; below them no curve was measured


@dataclass(frozen=True)
class Reference:
    """The trial that others of its group are compared with."""

    learning_rate: float  #: of the tensors that the sweep varies: base learning rate times γ
    curve: Curve


def comparable(trials: Iterable[TrialIdentity]) -> list[list[TrialIdentity]]:
    """Return the groups that are one sweep each and share random numbers: by seed, and by learning rate if γ varies."""
    groups: dict[tuple[int, Role | None, float | None], list[TrialIdentity]] = {}
    for trial in trials:
        key = (trial.seed, trial.role, None if trial.role is None else trial.learning_rate)
        groups.setdefault(key, []).append(trial)
    return list(groups.values())


def varied(trial: TrialIdentity) -> float:
    """Return the learning rate that distinguishes the trials of a group."""
    return trial.learning_rate * trial.gamma


def likely_first(group: Sequence[TrialIdentity]) -> list[TrialIdentity]:
    """Return a group in the order in which it is trained: from the middle learning rate outwards, downwards first.

    >>> [trial.learning_rate for trial in likely_first([TrialIdentity(8, rate, 0) for rate in (1.0, 2.0, 4.0, 8.0)])]
    [2.0, 1.0, 4.0, 8.0]
    """
    ascending = sorted(group, key=varied)
    middle = (len(ascending) - 1) // 2
    ranks = sorted(range(len(ascending)), key=lambda rank: (abs(rank - middle), rank))
    return [ascending[rank] for rank in ranks]


def hopeless(
    trial: TrialIdentity, curve: Sequence[float], reference: Reference, margins: Margins, *, step: int, steps: int
) -> bool:
    """Return whether a trial of `steps` steps, of which `step` are done, should end.

    `curve` holds its training loss over each chunk so far; the reference's covers the same chunks, and more.
    """
    tenths = 10 * step // steps
    if steps < SHORTEST or not FIRST_TENTH <= tenths <= LAST_TENTH:
        return False
    margin = margins.above if varied(trial) > reference.learning_rate else margins.below[tenths - FIRST_TENTH]
    return curve[-1] - reference.curve[len(curve) - 1] > margin
