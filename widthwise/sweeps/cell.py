"""A cell of a sweep: the runs that differ in nothing but the learning rate and the seed."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from widthwise.errors import InvalidInputError
from widthwise.estimate.parabola import adjusted_means
from widthwise.sweeps.run import SweepRun

Floats = NDArray[np.float64]

SAME = 1.01  # values within 1 % are the same one, rounded differently (public tables round to three digits)
LOST = 1.08  # chosen: a loss 8 % above the lowest belongs to a run that diverged, or never came near the others


@dataclass(frozen=True)
class SweepCell:
    """The losses of one cell over x = log2 of the learning rate.

    A rate at which a run diverged is not a point of the curve, and neither is one with a loss far above the lowest:
    they are walls, beyond which the optimum can't lie.
    """

    axes: Mapping[str, float | str]
    x: Floats  #: (P,), log2 of the learning rates with a loss, ascending
    losses: Floats  #: (P,), nats, the mean over seeds
    run_counts: Floats  #: (P,), how many runs each mean is of
    wall_below: float | None  #: log2 of the highest rate that is too slow
    wall_above: float | None  #: log2 of the lowest rate that diverged
    read_as_diverged: tuple[float, ...] = ()  #: learning rates with a finite loss that were taken as diverged
    runs: tuple[SweepRun, ...] = field(default=(), repr=False, compare=False)

    @property
    def lowest(self) -> float:
        """x of the lowest loss."""
        return float(self.x[np.argmin(self.losses)])

    @property
    def spacing(self) -> float:
        """Octaves between neighbouring rates; 1 with a single one."""
        return float(np.median(np.diff(self.x))) if self.x.size > 1 else 1.0


def cells_of(runs: Sequence[SweepRun]) -> tuple[SweepCell, ...]:
    """Sort runs into cells of equal axes, in the order of each cell's first run.

    Raises `InvalidInputError` without runs, for axes that some runs lack, and for two losses of one run.
    """
    if not runs:
        raise InvalidInputError("there are no runs; give one for each learning rate of every cell", field="runs")
    names = list(runs[0].axes)
    for number, run in enumerate(runs, start=1):
        if set(run.axes) != set(names):
            other = sorted(set(run.axes) ^ set(names))[0]
            raise InvalidInputError(
                f"run {number} and run 1 don't have the same axes: one lacks {other!r}; give every axis to every run",
                field=other,
            )
    labels = [_labels([run.axes[name] for run in runs], name) for name in names]
    found: dict[tuple[Hashable, ...], list[SweepRun]] = defaultdict(list)
    for index, run in enumerate(runs):
        found[tuple(label[index] for label in labels)].append(run)
    return tuple(_cell(members) for members in found.values())


def _labels(values: Sequence[float | str], name: str) -> list[Hashable]:
    """Return a label for each value, the same one for numbers that `SAME` can't tell apart."""
    words = [value for value in values if isinstance(value, str)]
    if len(words) == len(values):
        return list(words)
    if words:
        raise InvalidInputError(
            f"{name} is {words[0]!r} in one run and a number in another; give words or numbers", field=name
        )
    firsts: list[float] = []
    of: dict[float, Hashable] = {}
    for value in sorted({float(value) for value in values}):
        if not firsts or value > SAME * firsts[-1]:
            firsts.append(value)
        of[value] = firsts[-1]
    return [of[float(value)] for value in values]


def _cell(runs: Sequence[SweepRun]) -> SweepCell:
    """Arrange the runs of one cell as a curve and its walls."""
    rates = _labels([run.learning_rate for run in runs], "learning_rate")
    losses: dict[Hashable, dict[int, float]] = defaultdict(dict)
    for rate, run in zip(rates, runs, strict=True):
        seen = losses[rate]
        seed = len(seen) if run.seed is None else run.seed
        loss = float("nan") if run.diverged or run.loss is None else float(run.loss)
        if seed in seen and not np.array_equal(seen[seed], loss, equal_nan=True):
            raise InvalidInputError(
                f"two losses for learning rate {run.learning_rate:g}, seed {seed} of the cell {dict(run.axes)}: "
                f"{seen[seed]:g} and {loss:g}; {_instead(runs, run)}",
                field="loss",
            )
        seen[seed] = loss
    rate_L = np.array(sorted(float(rate) for rate in losses))  # type: ignore[arg-type]  # labels of rates are floats
    seeds = sorted({seed for seen in losses.values() for seed in seen})
    loss_LxS = np.array([[losses[rate].get(seed, np.nan) for seed in seeds] for rate in rate_L])
    count_L = np.array([float(len(losses[rate])) for rate in rate_L])
    lost_L = np.isfinite(loss_LxS).sum(axis=1) < count_L
    mean_L = np.full(rate_L.size, np.inf)
    if all(run.seed is not None for run in runs) and not lost_L.all():
        mean_L[~lost_L] = adjusted_means(loss_LxS[~lost_L])
    else:  # repeats without a seed: those of two rates have nothing in common
        mean_L[~lost_L] = [np.nanmean(row) for row in loss_LxS[~lost_L]]
    return replace(_walled(runs[0].axes, np.log2(rate_L), mean_L, count_L), runs=tuple(runs))


def _instead(runs: Sequence[SweepRun], run: SweepRun) -> str:
    """Return what to do about two losses of one run: they may differ in a column of words that is not an axis."""
    apart = [
        name
        for name, value in run.unused.items()
        if isinstance(value, str)
        and any(isinstance(other := each.unused.get(name), str) and other != value for each in runs)
    ]
    if apart:
        return f"the runs of this cell differ in {', '.join(apart)}: make it a group, or keep the rows with one value"
    return "keep one, or leave the seeds out if they are repeats"


def _walled(axes: Mapping[str, float | str], x_L: Floats, mean_L: Floats, count_L: Floats) -> SweepCell:
    """Divide the rates of a cell into points of its curve and walls on either side; the mean of a lost rate is ∞."""
    if np.isinf(mean_L).all():
        empty = np.zeros(0)
        return SweepCell(axes, empty, empty, empty, wall_below=None, wall_above=float(x_L[0]))
    best = int(np.argmin(mean_L))
    far_L = np.asarray(mean_L > LOST * mean_L[best])
    # A run that diverged below the best rate says nothing about slow ones.
    below = np.flatnonzero(far_L[:best] & np.isfinite(mean_L[:best]))
    above = np.flatnonzero(far_L[best:]) + best
    return SweepCell(
        axes,
        x=x_L[~far_L],
        losses=mean_L[~far_L],
        run_counts=count_L[~far_L],
        wall_below=float(x_L[below[-1]]) if below.size else None,
        wall_above=float(x_L[above[0]]) if above.size else None,
        read_as_diverged=tuple(float(2.0 ** x_L[at]) for at in above if np.isfinite(mean_L[at])),
    )


def lowest_rates(cells: Iterable[SweepCell]) -> Floats:
    """Return x of the lowest loss of every cell that has one."""
    return np.array([cell.lowest for cell in cells if cell.x.size])
