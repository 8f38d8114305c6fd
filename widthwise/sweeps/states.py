"""The cells of a sweep as planning sees them: how often each learning rate was run, and how often it may be."""

from collections.abc import Iterable, Sequence

import numpy as np

from widthwise.errors import InvalidInputError
from widthwise.sweeps.cell import SAME, SweepCell
from widthwise.sweeps.planned import PlannedCell, same_place
from widthwise.sweeps.planning import CellState
from widthwise.sweeps.run import SweepRun


def cell_states(
    cells: Sequence[PlannedCell],
    finished: Sequence[SweepRun],
    pending: Sequence[SweepRun],
    tables: Sequence[SweepCell],
    seeds: int,
) -> list[CellState]:
    """Return the state of every planned cell, then of cells that have runs without being planned.

    tables: of the finished runs. A rate allows as many runs as there are seeds, and none beyond a wall.
    """
    planned = list(cells)
    for table in tables:
        if not any(same_place(cell.axes, table.axes) for cell in planned):
            planned.append(PlannedCell(table.axes, np.zeros(0), np.inf))
    return [_state(cell, finished, pending, tables, seeds) for cell in planned]


def _state(
    cell: PlannedCell,
    finished: Sequence[SweepRun],
    pending: Sequence[SweepRun],
    tables: Sequence[SweepCell],
    seeds: int,
) -> CellState:
    own = [run for run in finished if same_place(run.axes, cell.axes)]
    waiting = [run for run in pending if same_place(run.axes, cell.axes)]
    table = next((one for one in tables if same_place(one.axes, cell.axes)), None)
    whole = _with_rates(cell, [run.learning_rate for run in (*own, *waiting)])
    asked, counts = np.zeros(whole.x.size), np.zeros(whole.x.size)
    for run in (*own, *waiting):
        asked[_index(whole, run)] += 1
    for run in waiting:
        counts[_index(whole, run)] += 1
    free = np.array([seeds if cell.index(2.0**x) is not None else 0.0 for x in whole.x])
    free = np.maximum(free - asked, 0)
    if table is not None:
        for x, count in zip(table.x, table.run_counts, strict=True):
            at = whole.index(2.0**x)
            counts[at] += count
        if table.wall_above is not None:
            free[whole.x >= table.wall_above - np.log2(SAME)] = 0
        if table.wall_below is not None:
            free[whole.x <= table.wall_below + np.log2(SAME)] = 0
    return CellState(whole, counts, free)


def _with_rates(cell: PlannedCell, rates: Iterable[float]) -> PlannedCell:
    """Return a cell with the rates that were run besides its own."""
    x = list(cell.x)
    for rate in sorted(rates):
        if PlannedCell(cell.axes, np.array(x), cell.cost).index(rate) is None:
            x.append(np.log2(rate))
    return PlannedCell(cell.axes, np.array(sorted(x)), cell.cost)


def _index(cell: PlannedCell, run: SweepRun) -> int:
    found = cell.index(run.learning_rate)
    if found is None:
        raise InvalidInputError(f"{run} is at no rate of its cell")
    return found
