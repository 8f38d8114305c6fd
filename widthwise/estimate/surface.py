"""The trials of one width as a table: learning rates × seeds, with losses, divergences and gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from widthwise.calibration.trial import Trial
from widthwise.errors import InvalidInputError
from widthwise.estimate.losses import finite_divergences
from widthwise.vocabulary import TrialStatus


@dataclass(frozen=True)
class Surface:
    """Losses of one width over learning rate and seed.

    A cell is a completed trial (finite loss), a diverged one, a stopped one (ended early, because it could not come
    near the best of its width and seed) or a gap (failed or not run). Divergences and stops are evidence about the
    learning rate; gaps are not. A completed trial with a loss that only a diverged run has is a divergence (`losses`).
    """

    width: int
    learning_rates: tuple[float, ...]  #: ascending, as tried at this width
    seeds: tuple[int, ...]  #: ascending
    losses: NDArray[np.float64]  #: (n_lr, n_seeds), nats, NaN if no trial completed
    diverged: NDArray[np.bool_]  #: (n_lr, n_seeds)
    stopped: NDArray[np.bool_]  #: (n_lr, n_seeds)
    recognised: NDArray[np.float64]  #: (n_lr, n_seeds): finite losses that count as diverged, nats; NaN elsewhere

    @property
    def completed_count(self) -> int:
        """How many trials completed."""
        return int(np.isfinite(self.losses).sum())

    @property
    def diverged_count(self) -> int:
        """How many trials diverged."""
        return int(self.diverged.sum())

    @property
    def stopped_count(self) -> int:
        """How many trials were stopped early."""
        return int(self.stopped.sum())

    @property
    def gap_count(self) -> int:
        """How many cells of the table have no outcome."""
        return int(self.losses.size) - self.completed_count - self.diverged_count - self.stopped_count


def surfaces_by_width(trials: Sequence[Trial]) -> dict[int, Surface]:
    """Sort the trials of the plain sweep into one surface per width, in ascending order of width.

    The order of the trials does not matter; duplicates count once. Trials of other sweeps (with a role or a horizon)
    are left out. Raises `InvalidInputError` for two different outcomes of one (width, learning rate, seed).
    """
    outcomes: dict[int, dict[tuple[float, int], tuple[str, float | None]]] = {}
    for index, trial in enumerate(trials):
        if not trial.is_plain:
            continue
        outcome = trial.status.value, trial.loss
        cells = outcomes.setdefault(trial.width, {})
        earlier = cells.setdefault((trial.learning_rate, trial.seed), outcome)
        if earlier != outcome:
            raise InvalidInputError(
                f"two outcomes for width {trial.width}, learning rate {trial.learning_rate!r}, seed {trial.seed}: "
                f"{earlier} and {outcome}; keep one",
                field=f"trials.{index}",
            )
    return {width: _surface(width, cells) for width, cells in sorted(outcomes.items())}


def _surface(width: int, cells: Mapping[tuple[float, int], tuple[str, float | None]]) -> Surface:
    """Arrange the outcomes of one width in arrays."""
    learning_rates = tuple(sorted({learning_rate for learning_rate, _ in cells}))
    seeds = tuple(sorted({seed for _, seed in cells}))
    losses = np.full((len(learning_rates), len(seeds)), np.nan)
    diverged, stopped = np.zeros(losses.shape, dtype=np.bool_), np.zeros(losses.shape, dtype=np.bool_)
    row = {learning_rate: i for i, learning_rate in enumerate(learning_rates)}
    column = {seed: j for j, seed in enumerate(seeds)}
    for (learning_rate, seed), (status, loss) in cells.items():
        at = row[learning_rate], column[seed]
        diverged[at], stopped[at] = status == TrialStatus.DIVERGED, status == TrialStatus.STOPPED
        if loss is not None:
            losses[at] = loss
    lost = finite_divergences(np.log2(learning_rates), losses)
    recognised = np.where(lost, losses, np.nan)
    return Surface(width, learning_rates, seeds, np.where(lost, np.nan, losses), diverged | lost, stopped, recognised)
