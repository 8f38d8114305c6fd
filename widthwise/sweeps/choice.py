"""What a sweep should do next: which runs, or why none."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from widthwise.errors import InvalidInputError
from widthwise.sweeps.belief import Belief, belief_before, belief_from
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.ledger import AskedRun, Ledger
from widthwise.sweeps.planned import Axes, PlannedCell, same_place
from widthwise.sweeps.planning import CellState, next_designs, worth_running
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.sweeps.run import SweepRun
from widthwise.sweeps.states import RunsSoFar, cell_states

Done = Literal["precision", "budget", "nothing_left"]


@dataclass(frozen=True)
class Aim:
    """What a sweep may run, and what for. Raises `InvalidInputError` for a target on other axes and odd numbers."""

    cells: tuple[PlannedCell, ...]
    target: Axes
    precision: float | None  #: octaves, of half of the target's interval
    budget: float | None  #: in the unit of the cells' costs
    seeds: int  #: runs that one learning rate of a cell may have
    prescribed: tuple[str, ...]

    def __post_init__(self) -> None:
        names = sorted(self.cells[0].axes)
        if sorted(self.target) != names:
            raise InvalidInputError(
                f"target has the axes {sorted(self.target)}, the cells have {names}; give the same ones", field="target"
            )
        SweepRun(1.0, None, self.target)  # checks the ranges
        for cell in self.cells:
            odd = [name for name in names if isinstance(cell.axes[name], str) != isinstance(self.target[name], str)]
            if odd:
                raise InvalidInputError(
                    f"{odd[0]} is {cell.axes[odd[0]]!r} in a cell and {self.target[odd[0]]!r} in the target; give "
                    "words or numbers to all",
                    field=odd[0],
                )
        unknown = [name for name in self.prescribed if isinstance(self.target.get(name, ""), str)]
        if unknown:
            raise InvalidInputError(
                f"prescribed names {unknown[0]!r}; give axes of the cells that hold numbers", field="prescribed"
            )
        for name, value in (("precision", self.precision), ("budget", self.budget), ("seeds", self.seeds)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidInputError(f"{name} is {value!r}; give a number above 0, or leave it out", field=name)


def choose(aim: Aim, ledger: Ledger, fit: SweepFit | None, count: int) -> tuple[Done | None, list[AskedRun]]:
    """Return up to `count` new runs; without any, why nothing more should be run, or None to wait for those under way.

    fit: of the runs that ended; None while none has a loss.
    """
    if fit is not None and aim.precision is not None and half_width(predicted_at(fit, aim.target)) <= aim.precision:
        return "precision", []
    states, belief, target = _planning(aim, ledger, fit)
    if not worth_running(states, belief, target):
        return (None if ledger.leases else "nothing_left"), []
    designs = next_designs(states, belief, target, count, _left(aim, ledger))
    found: list[AskedRun] = []
    for design in designs:
        cell = states[design.cell].cell
        for at in design.rates:
            number, rate = len(ledger.runs) + len(found), float(2.0 ** cell.x[at])
            before = [run for run in (*ledger.runs.values(), *found) if same_place(run.axes, cell.axes)]
            seed = sum(cell.index(run.learning_rate) == at for run in before)
            found.append(AskedRun(number, cell.axes, rate, seed))
    return (None if found or ledger.leases else "budget"), found[:count]


def predicted_at(fit: SweepFit, axes: Axes) -> SweepPrediction:
    """Return the best learning rate at a place; at one that was run, its own runs count too."""
    found = fit.predict(**axes)
    own = next((one for one in fit.optima if same_place(one.axes, axes)), None)
    return found if own is None else replace(found, learning_rate=own.learning_rate, interval=own.interval)


def half_width(prediction: SweepPrediction) -> float:
    """Return half of the width of a predicted interval, octaves."""
    low, high = prediction.interval
    return math.log2(high / low) / 2


def _planning(aim: Aim, ledger: Ledger, fit: SweepFit | None) -> tuple[list[CellState], Belief, int]:
    """Return the cells, what is believed of them, and which place there is the target."""
    finished = tuple(ledger.finished().values())
    tables = cells_of(finished) if finished else ()
    so_far = RunsSoFar(finished, _unfinished(ledger, ledger.leases), _unfinished(ledger, ledger.dropped), tables)
    states = cell_states(aim.cells, so_far, aim.seeds)
    places = [state.cell.axes for state in states]
    target = next((index for index, place in enumerate(places) if same_place(place, aim.target)), len(places))
    if target == len(places):
        places.append(aim.target)
    if fit is not None:
        return states, belief_from(fit, places, aim.prescribed), target
    ends = min(float(cell.x[0]) for cell in aim.cells), max(float(cell.x[-1]) for cell in aim.cells)
    walls = [table.wall_above for table in tables if table.wall_above is not None]
    return states, belief_before(places, ends, aim.prescribed, walls), target


def _unfinished(ledger: Ledger, numbers: Iterable[int]) -> list[SweepRun]:
    runs = [ledger.runs[number] for number in numbers]
    return [SweepRun(run.learning_rate, None, run.axes, run.seed) for run in runs]


def _left(aim: Aim, ledger: Ledger) -> float:
    """Return what remains of the budget when all runs asked for are paid."""
    if aim.budget is None:
        return math.inf
    asked = [run for number, run in ledger.runs.items() if number not in ledger.unasked]
    return aim.budget - sum(cell.cost for run in asked for cell in aim.cells if same_place(cell.axes, run.axes))
