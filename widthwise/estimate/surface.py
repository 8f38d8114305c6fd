"""The trials of one width as a table: learning rates × seeds, with losses, divergences and gaps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import TrialStatus


@dataclass(frozen=True)
class Surface:
    """Losses of one width over learning rate and seed.

    A cell is a completed trial (finite loss), a diverged one, a stopped one (ended early, because it could not come
    near the best of its width and seed) or a gap (failed or not run). A divergence and a stop are evidence about the
    learning rate; a gap is none.
    """

    width: int
    learning_rates: tuple[float, ...]  #: ascending, as tried at this width
    seeds: tuple[int, ...]  #: ascending
    losses: NDArray[np.float64]  #: (n_lr, n_seeds), nats, NaN where no trial completed
    diverged: NDArray[np.bool_]  #: (n_lr, n_seeds)
    stopped: NDArray[np.bool_]  #: (n_lr, n_seeds)

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
        """How many trials were ended early."""
        return int(self.stopped.sum())

    @property
    def gap_count(self) -> int:
        """How many cells of the table hold no outcome."""
        return int(self.losses.size) - self.completed_count - self.diverged_count - self.stopped_count


def surfaces_by_width(trials: Sequence[Mapping[str, Any]]) -> dict[int, Surface]:
    """Sort trial records into one surface per width, in ascending order of width.

    A record holds `width`, `learning_rate`, `seed`, `status` and `loss` (nats; read only where the status is
    "completed"). The order of the records does not matter; a record given twice counts once. Records of other sweeps
    (`role` or `horizon` set) are left out.

    Raises `InvalidInputError` for a completed trial without a finite loss, a width or learning rate that is
    not positive, an unknown status, or two different outcomes for one (width, learning rate, seed).
    """
    outcomes: dict[int, dict[tuple[float, int], tuple[str, float | None]]] = {}
    for index, trial in enumerate(trials):
        if trial.get("role") is not None or trial.get("horizon") is not None:
            continue
        width, learning_rate, seed, outcome = _read(trial, index)
        cells = outcomes.setdefault(width, {})
        earlier = cells.setdefault((learning_rate, seed), outcome)
        if earlier != outcome:
            raise InvalidInputError(
                f"two outcomes for width {width}, learning rate {learning_rate!r}, seed {seed}: "
                f"{earlier} and {outcome}; keep one",
                field=f"trials.{index}",
            )
    return {width: _surface(width, cells) for width, cells in sorted(outcomes.items())}


def _surface(width: int, cells: Mapping[tuple[float, int], tuple[str, float | None]]) -> Surface:
    """Lay the outcomes of one width out as arrays."""
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
    return Surface(width, learning_rates, seeds, losses, diverged, stopped)


def _read(trial: Mapping[str, Any], index: int) -> tuple[int, float, int, tuple[str, float | None]]:
    """Check one trial record and take out what the estimate needs."""
    where = f"trials.{index}"
    try:
        width, seed = int(trial["width"]), int(trial["seed"])
        learning_rate, status, loss = float(trial["learning_rate"]), str(trial["status"]), trial.get("loss")
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"trial {index} is {dict(trial)!r}: it needs whole numbers 'width' and 'seed', a number "
            "'learning_rate' and a 'status'",
            field=where,
        ) from error
    if width < 1:
        raise InvalidInputError(f"the width of trial {index} is {width}; give at least 1", field=f"{where}.width")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise InvalidInputError(
            f"the learning rate of trial {index} is {learning_rate}; give a positive finite number",
            field=f"{where}.learning_rate",
        )
    if status not in tuple(TrialStatus):
        raise InvalidInputError(
            f"the status of trial {index} is {status!r}; give one of {', '.join(TrialStatus)}",
            field=f"{where}.status",
        )
    if status != TrialStatus.COMPLETED:
        return width, learning_rate, seed, (status, None)
    if loss is None or not math.isfinite(loss):
        raise InvalidInputError(
            f"trial {index} completed with loss {loss}; a completed trial has a finite loss, "
            "record this one as diverged or failed",
            field=f"{where}.loss",
        )
    return width, learning_rate, seed, (status, float(loss))
