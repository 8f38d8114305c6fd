"""The cells of a sweep as planning sees them: how often each learning rate was run, and how often it may be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from widthwise.sweeps.cell import SAME, Floats, SweepCell
from widthwise.sweeps.planned import PlannedCell, same_place
from widthwise.sweeps.planning import CellState
from widthwise.sweeps.run import SweepRun


@dataclass(frozen=True)
class RunsSoFar:
    """The runs of a sweep by how they stand."""

    finished: Sequence[SweepRun]
    pending: Sequence[SweepRun]  #: under way; their losses are not known
    dropped: Sequence[SweepRun]  #: given up
    tables: Sequence[SweepCell]  #: of the finished ones


def cell_states(cells: Sequence[PlannedCell], so_far: RunsSoFar, seeds: int) -> list[CellState]:
    """Return the state of every planned cell, then of cells that have runs without being planned.

    A rate allows as many runs as there are seeds, and none beyond a wall.
    """
    planned = list(cells)
    for table in so_far.tables:
        if not any(same_place(cell.axes, table.axes) for cell in planned):
            planned.append(PlannedCell(table.axes, np.zeros(0), np.inf))
    return [_state(cell, so_far, seeds) for cell in planned]


def _state(cell: PlannedCell, so_far: RunsSoFar, seeds: int) -> CellState:
    def own(runs: Sequence[SweepRun]) -> list[float]:
        return [run.learning_rate for run in runs if same_place(run.axes, cell.axes)]

    finished, pending, dropped = own(so_far.finished), own(so_far.pending), own(so_far.dropped)
    whole = _with_rates(cell, [*finished, *pending, *dropped])
    allowed = np.array([seeds if cell.index(2.0**x) is not None else 0.0 for x in whole.x])
    free = np.maximum(allowed - _counted(whole, [*finished, *pending, *dropped]), 0)
    counts = _counted(whole, pending)
    for table in so_far.tables:
        if same_place(table.axes, cell.axes):
            counts += _counted(whole, np.exp2(table.x), table.run_counts)
            if table.wall_above is not None:
                free[whole.x >= table.wall_above - np.log2(SAME)] = 0
            if table.wall_below is not None:
                free[whole.x <= table.wall_below + np.log2(SAME)] = 0
    return CellState(whole, counts, free)


def _counted(cell: PlannedCell, rates: Iterable[float], counts: Iterable[float] | None = None) -> Floats:
    """Return how often each rate of a cell is among some."""
    found = np.zeros(cell.x.size)
    for rate, count in zip(rates, repeat(1.0) if counts is None else counts, strict=False):
        at = cell.index(rate)
        if at is not None:
            found[at] += count
    return found


def _with_rates(cell: PlannedCell, rates: Iterable[float]) -> PlannedCell:
    """Return a cell with the rates that were run besides its own."""
    for rate in sorted(rates):
        if cell.index(rate) is None:
            cell = PlannedCell(cell.axes, np.sort(np.append(cell.x, np.log2(rate))), cell.cost)
    return cell
