"""Ask for the next run of a sweep, tell how it ended: for a training loop of one's own.

    sweep = Sweep(axes={"width": [64, 128, 256]}, learning_rates=(1e-4, 1e-1), ratio=2**0.5,
                  target={"width": 4096}, precision=0.5, path="sweep.jsonl")
    while not sweep.done:
        for run in sweep.ask():
            sweep.tell(run, train(**run.axes, learning_rate=run.learning_rate, seed=run.seed))
    sweep.predict()

Several processes may work on one path. `information.py` has how the next run is chosen, docs/sweeps.md how to use it.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.sweeps.belief import Belief, belief_before, belief_from
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.fit import SweepFit, fit_sweep
from widthwise.sweeps.journal import Event, Journal
from widthwise.sweeps.ledger import FORMAT, AskedRun, Ledger, loss_or_none
from widthwise.sweeps.planned import Axes, Cost, Rates, planned_cells, same_place
from widthwise.sweeps.planning import CellState, next_plans, worth_running
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.sweeps.run import SweepRun
from widthwise.sweeps.states import cell_states
from widthwise.sweeps.stopping import may_stop

Done = Literal["precision", "budget", "nothing_left"]
LEASE_SECONDS = 3600.0  # chosen; every report renews it


class Sweep:
    """A sweep whose next run is asked for and whose losses are told."""

    def __init__(
        self,
        *,
        learning_rates: Rates,
        target: Axes,
        cells: Sequence[Axes] | None = None,
        axes: Mapping[str, Sequence[float | str]] | None = None,
        ratio: float | None = None,
        cost: Cost | None = None,
        precision: float | None = None,
        budget: float | None = None,
        seeds: int = 1,
        prescribed: Collection[str] = (),
        path: Path | str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.cells = planned_cells(cells, axes, learning_rates, ratio, cost)
        self.target = dict(target)
        self.precision, self.budget, self.seeds = precision, budget, seeds
        self.prescribed = tuple(prescribed)
        self._check()
        self._lease_seconds, self._clock = lease_seconds, clock
        self._journal, self._ledger = Journal(path), Ledger()
        self._fitted: tuple[int, SweepFit | None] = (-1, None)
        with self._writing() as events:
            if self._ledger.axes is None:
                events.append({"event": "sweep", "format": FORMAT, "axes": list(self.cells[0].axes)})

    def ask(self, n: int = 1, worker: str = "main") -> list[AskedRun]:
        """Return the n runs that this worker should do now: those it already has, then new ones."""
        with self._writing() as events:
            now = self._clock()
            held = [one for one, lease in self._ledger.leases.items() if lease.worker == worker and lease.until > now]
            mine = held[:n]
            expired = [number for number, lease in self._ledger.leases.items() if lease.until <= now]
            # A worker that comes back after a crash has its own runs again, even if they expired.
            expired.sort(key=lambda number: self._ledger.leases[number].worker != worker)
            again = expired[: n - len(mine)]
            until = now + self._lease_seconds
            events += [{"event": "leased", "run": number, "worker": worker, "until": until} for number in mine + again]
            found = [self._ledger.runs[number] for number in mine + again]
            for run in self._planned(n - len(found)):
                events.append({"event": "asked", **_stored(run), "worker": worker, "until": until})
                found.append(run)
            return found

    def tell(self, run: AskedRun | int, loss: float | None) -> None:
        """Store how a run ended."""
        with self._writing() as events:
            number, value = self._number(run), loss_or_none(loss)
            if number not in self._ledger.losses:
                events.append({"event": "told", "run": number, "loss": value})
            elif self._ledger.losses[number] != value:
                raise InvalidInputError(
                    f"run {number} has the loss {self._ledger.losses[number]}, and now {value}; a run has one loss",
                    field="loss",
                )

    def add(self, axes: Axes, learning_rate: float, loss: float | None, seed: int = 0) -> None:
        """Take in a run that was not asked for, such as one of before."""
        with self._writing() as events:
            value, names = loss_or_none(loss), set(self.cells[0].axes)
            SweepRun(learning_rate, value, axes)  # checks the ranges
            if set(axes) != names:
                raise InvalidInputError(f"the run has the axes {sorted(axes)}, the sweep has {sorted(names)}")
            run = AskedRun(len(self._ledger.runs), dict(axes), learning_rate, seed)
            events.append({"event": "added", **_stored(run), "loss": value})

    def report(self, run: AskedRun | int, step: int, loss: float) -> bool:
        """Store a loss of a run under way, renew its lease, and return whether to stop it.

        Tell the loss it stopped at, or None if that is not finite. Twenty to a hundred reports in a run are enough:
        each is written to the disk.
        """
        with self._writing() as events:
            number, value = self._number(run), loss_or_none(loss)
            curve = dict(self._ledger.curves.get(number, {}))
            curve[step] = math.inf if value is None else value
            stop = may_stop(curve, self._ended(number))
            until = self._clock() + self._lease_seconds
            if value is not None:
                events.append(
                    {"event": "reported", "run": number, "step": step, "loss": value, "stop": stop, "until": until}
                )
            return stop

    @property
    def done(self) -> Done | None:
        """Why nothing more should be run; None while something should.

        "precision": half of the predicted interval is no wider than asked. "budget": no run that is left is
        affordable. "nothing_left": all runs that are left together would hardly narrow the interval.
        """
        with self._writing():
            fit = self._fit()
            if fit is not None and self.precision is not None and self._half_width(fit) <= self.precision:
                return "precision"
            states, belief, target = self._planning(fit)
            if not worth_running(states, belief, target):
                return "nothing_left"
            if self._ledger.leases or next_plans(states, belief, target, 1, self._left()):
                return None
            return "budget"

    def fit(self) -> SweepFit:
        """Return the fit of the runs that were told. Raises `EstimateError` before one has a loss."""
        with self._writing():
            fit = self._fit()
        if fit is None:
            raise EstimateError(f"none of the {len(self._ledger.losses)} runs told has a loss yet")
        return fit

    def predict(self, **axes: float | str) -> SweepPrediction:
        """Return the best learning rate at a place, by default at the target, as `SweepFit.predict` does.

        If the target was run itself, its own runs count.
        """
        return self._predicted(self.fit(), axes or self.target)

    @property
    def runs(self) -> tuple[SweepRun, ...]:
        """The runs that ended."""
        with self._writing():
            return self._ledger.finished()

    @contextmanager
    def _writing(self) -> Iterator[list[Event]]:
        """Keep others out, take in what they wrote, and then write the events that are put into the list."""
        with self._journal.locked() as news:
            for event in news:
                self._ledger.apply(event)
            events: list[Event] = []
            yield events
            self._journal.append(events)
            for event in events:
                self._ledger.apply(event)

    def _planned(self, count: int) -> list[AskedRun]:
        """Return new runs."""
        if count <= 0:
            return []
        states, belief, target = self._planning(self._fit())
        found: list[AskedRun] = []
        for plan in next_plans(states, belief, target, count, self._left()):
            state = states[plan.cell]
            for at in plan.rates:
                rate = float(2.0 ** state.cell.x[at])
                same = [*self._ledger.runs.values(), *found]
                seed = sum(
                    same_place(run.axes, state.cell.axes) and state.cell.index(run.learning_rate) == at for run in same
                )
                found.append(AskedRun(len(self._ledger.runs) + len(found), state.cell.axes, rate, seed))
        return found[:count]

    def _planning(self, fit: SweepFit | None) -> tuple[list[CellState], Belief, int]:
        """Return the cells, what is believed of them, and which place there is the target."""
        finished = self._ledger.finished()
        pending = [self._ledger.runs[number] for number in self._ledger.leases]
        waiting = [SweepRun(run.learning_rate, None, run.axes, run.seed) for run in pending]
        tables = cells_of(finished) if finished else ()
        states = cell_states(self.cells, finished, waiting, tables, self.seeds)
        places = [state.cell.axes for state in states]
        target = next((index for index, place in enumerate(places) if same_place(place, self.target)), len(places))
        if target == len(places):
            places.append(self.target)
        if fit is not None:
            return states, belief_from(fit, places, self.prescribed), target
        ends = min(float(cell.x[0]) for cell in self.cells), max(float(cell.x[-1]) for cell in self.cells)
        walls = [table.wall_above for table in tables if table.wall_above is not None]
        return states, belief_before(places, ends, self.prescribed, walls), target

    def _left(self) -> float:
        """Return what remains of the budget when all runs under way are paid."""
        if self.budget is None:
            return math.inf
        spent = 0.0
        for number, run in self._ledger.runs.items():
            cell = next((one for one in self.cells if same_place(one.axes, run.axes)), None)
            spent += 0.0 if cell is None or number in self._ledger.unasked else cell.cost
        return self.budget - spent

    def _fit(self) -> SweepFit | None:
        """Return the fit of all runs that ended; None while none has a loss."""
        count = len(self._ledger.losses)
        if self._fitted[0] != count:
            runs = self._ledger.finished()
            fit = None if all(run.diverged for run in runs) else fit_sweep(runs, prescribed=self.prescribed)
            self._fitted = count, fit
        return self._fitted[1]

    def _predicted(self, fit: SweepFit, axes: Axes) -> SweepPrediction:
        found = fit.predict(**axes)
        own = next((one for one in fit.optima if same_place(one.axes, axes)), None)
        if own is None:
            return found
        return replace(found, learning_rate=own.learning_rate, interval=own.interval)

    def _half_width(self, fit: SweepFit) -> float:
        """Return half of the width of the target's interval, octaves."""
        low, high = self._predicted(fit, self.target).interval
        return math.log2(high / low) / 2

    def _ended(self, number: int) -> list[tuple[Mapping[int, float], float]]:
        """Return the curves and last losses of the runs in the cell of one that ended well and whole."""
        ledger, place = self._ledger, self._ledger.runs[number].axes
        return [
            (ledger.curves[other], loss)
            for other, loss in ledger.losses.items()
            if loss is not None
            and other in ledger.curves
            and other not in ledger.stopped
            and same_place(ledger.runs[other].axes, place)
        ]

    def _check(self) -> None:
        """Refuse a target on other axes, and numbers that are out of range."""
        names = sorted(self.cells[0].axes)
        if sorted(self.target) != names:
            raise InvalidInputError(
                f"target has the axes {sorted(self.target)}, the cells have {names}; give the same ones", field="target"
            )
        SweepRun(1.0, None, self.target)  # checks the ranges
        for name, value in (("precision", self.precision), ("budget", self.budget), ("seeds", self.seeds)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidInputError(f"{name} is {value!r}; give a number above 0, or leave it out", field=name)

    def _number(self, run: AskedRun | int) -> int:
        number = run if isinstance(run, int) else run.number
        known = self._ledger.runs.get(number)
        if known is None or (isinstance(run, AskedRun) and known != run):
            raise InvalidInputError(
                f"{run!r} is not a run of this sweep; tell those that ask returned, and add others", field="run"
            )
        return number


def _stored(run: AskedRun) -> dict[str, Any]:
    return {"run": run.number, "axes": dict(run.axes), "learning_rate": run.learning_rate, "seed": run.seed}
