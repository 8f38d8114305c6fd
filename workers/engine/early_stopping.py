"""Which trials end early: those that can't come within an octave of the best learning rate of their sweep.

Trials with the same seed share their random numbers, so their training losses over the same steps differ only by the
learning rate. A trial is compared with the *reference*, the first trial in the order of `likely_first` that completed:
the one with the middle learning rate, unless it diverged. A trial is stopped if its mean training loss over the last
tenth of the run exceeds the reference's over the same steps by a margin.

The margins are 1.5 times the largest excess that any trial within an octave of its sweep's best had over any other
trial of that sweep, in complete curves of the MLP. benchmarks/early_stopping.py measures them, and the rule's error
rate on other widths, lengths, texts, sweeps of γ and the transformer (docs/results/early_stopping.md). They differ by
side and by optimizer. A learning rate that is too small looks bad at first and catches up. One that is too large looks
worse than it is until the cooldown, most of all with SGD at the edge of stability, which recovers from losses of
several nats, so SGD is never stopped above the reference. Nothing is stopped in the cooldown, since little is left to
save.

The reference depends only on the shard. So a resumed shard stops the same trials, at the cost of training the reference
again, and the decision about one trial does not affect another. Nothing is stopped in a group of fewer than FEWEST.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from widthwise.calibration.trial import TrialIdentity
from widthwise.vocabulary import Role

Curve = tuple[float, ...]  #: mean training loss in nats over each chunk of steps

FIRST_TENTH, LAST_TENTH = 2, 8  # of a run: before these all learning rates warm up, after them they cool down


@dataclass(frozen=True)
class Margins:
    """Nats by which a training loss may exceed the reference's; measured for each optimizer, see above."""

    below: tuple[float, ...]  #: for a smaller learning rate, after FIRST_TENTH, …, LAST_TENTH tenths of the run
    above: float  #: for a larger one, at any of them


FEWEST = 6  # learning rates of a sweep that may be stopped (chosen): a telescope's three are all needed by its fit
SHORTEST = 100  # steps of a run that may be stopped; no shorter curve was measured


@dataclass(frozen=True)
class Reference:
    """The trial that others in its group are compared with."""

    learning_rate: float  #: for the tensors that the sweep varies: base learning rate times γ
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
    """Return a group in training order: from the middle learning rate outwards, the smaller one first.

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

    `curve` holds its training loss over each chunk so far; the reference's curve covers at least the same chunks.
    """
    tenths = 10 * step // steps
    if steps < SHORTEST or not FIRST_TENTH <= tenths <= LAST_TENTH:
        return False
    margin = margins.above if varied(trial) > reference.learning_rate else margins.below[tenths - FIRST_TENTH]
    return curve[-1] - reference.curve[len(curve) - 1] > margin
