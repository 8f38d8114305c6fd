"""Ask for the next run of a sweep, tell how it ended: for a training loop of one's own.

    sweep = Sweep(axes={"width": [64, 128, 256]}, learning_rates=(1e-4, 1e-1), ratio=2**0.5,
                  target={"width": 4096}, precision=0.5, path="sweep.jsonl")
    while not sweep.done:
        for run in sweep.ask():
            sweep.tell(run, train(**run.axes, learning_rate=run.learning_rate, seed=run.seed))
    sweep.predict()

Several processes may work on one path. `widthwise.estimate.information` has how the next run is chosen, docs/sweeps.md
how to use it.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.sweeps.choice import Aim, Done, choose, predicted_at
from widthwise.sweeps.fit import SweepFit, fit_sweep
from widthwise.sweeps.journal import Event, Journal
from widthwise.sweeps.ledger import FORMAT, AskedRun, Ledger, loss_or_none
from widthwise.sweeps.planned import Axes, Cost, Rates, planned_cells, same_place
from widthwise.sweeps.prediction import SweepPrediction
from widthwise.sweeps.run import SweepRun
from widthwise.sweeps.stopping import may_stop
from widthwise.sweeps.upload import SweepService, row_of, settings_of

LEASE_SECONDS = 3600.0  # chosen; every report renews it


class Sweep:
    """A sweep: ask for its next runs, and tell their losses.

    learning_rates: the rates that may be tried, a function from a cell's axes to them, or the lowest and the highest
        one, with `ratio` between neighbours.
    target: the place where the best learning rate is asked for. It may be beyond the cells, or one of them.
    cells, axes: the places that may be run: a list of them, or the values of each axis in all combinations.
    cost: of a run, as a function of its axes or an expression such as "width**2 * tokens". By default it is in
        proportion to operations: parameters (or else width² times depth) times tokens (or else batch_tokens).
    precision: octaves; it ends when half of the target's 95 % interval is no wider.
    budget: in the unit of the cost; it ends when no further run is affordable.
    seeds: how often a learning rate of a cell may be run.
    prescribed: axes for which the parameterization already scales the learning rates.
    path: a file for every event, from which the sweep continues when it is opened again, by any number of processes on
        one machine. Without it the sweep is in memory alone.
    lease_seconds: how long a run is its worker's without a report. Then it can be asked for again.

    Raises `InvalidInputError` for what can't be.
    """

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
        planned = planned_cells(cells, axes, learning_rates, ratio, cost)
        self._aim = Aim(planned, dict(target), precision, budget, seeds, tuple(prescribed))
        self._lease_seconds, self._clock = lease_seconds, clock
        self._journal, self._ledger = Journal(path), Ledger()
        self._fitted: tuple[int, SweepFit | None] = (-1, None)
        with self._writing() as events:
            stored = self._ledger.axes
            if stored is not None and stored != tuple(sorted(self.target)):
                raise InvalidInputError(
                    f"{path} holds runs with the axes {list(stored)}, the cells have {sorted(self.target)}; give the "
                    "same axes, or another path",
                    field="path",
                )
            if stored is None:
                events.append({"event": "sweep", "format": FORMAT, "axes": sorted(self.target), "key": uuid4().hex})

    @property
    def target(self) -> Axes:
        """The place whose best learning rate is asked."""
        return self._aim.target

    def ask(self, n: int = 1, worker: str = "main") -> list[AskedRun]:
        """Return up to n runs that this worker should do now: those that it has already, then others.

        So a worker that comes back after a crash continues its runs; workers on one path need different names.
        Returns fewer than n if the sweep is done, or if only runs under way elsewhere can bring it further.
        """
        if n < 1:
            raise InvalidInputError(f"n is {n!r}; ask for one run at least", field="n")
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
            new = choose(self._aim, self._ledger, self._fit(), n - len(found))[1] if n > len(found) else []
            for run in new:
                events.append({"event": "asked", **_stored(run), "worker": worker, "until": until})
                found.append(run)
            return found

    def tell(self, run: AskedRun | int, loss: float | None) -> None:
        """Store the loss of a run in nats; None, NaN or infinity if it diverged.

        Telling the same again changes nothing. Raises `InvalidInputError` for another loss than was told before, and
        for a run that was not asked for.
        """
        with self._writing() as events:
            number, value = self._number(run), loss_or_none(loss)
            if number not in self._ledger.losses:
                events.append({"event": "told", "run": number, "loss": value})
            elif self._ledger.losses[number] != value:
                raise InvalidInputError(
                    f"run {number} has the loss {self._ledger.losses[number]}, and now {value}; a run has one loss",
                    field="loss",
                )

    def drop(self, run: AskedRun | int) -> None:
        """Abandon a run that failed for another reason than its learning rate: it says nothing and is not repeated."""
        with self._writing() as events:
            number = self._number(run)
            if number not in self._ledger.losses and number not in self._ledger.dropped:
                events.append({"event": "dropped", "run": number})

    def add(self, axes: Axes, learning_rate: float, loss: float | None, seed: int = 0) -> None:
        """Take in a run that was not asked for, such as one of before."""
        with self._writing() as events:
            value, names = loss_or_none(loss), set(self.target)
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
            return choose(self._aim, self._ledger, self._fit(), 1)[0]

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
        return predicted_at(self.fit(), axes or self.target)

    @property
    def runs(self) -> tuple[SweepRun, ...]:
        """The runs that ended."""
        with self._writing():
            return tuple(self._ledger.finished().values())

    def upload(self, client: SweepService, name: str) -> str:
        """Send the runs that ended to the service and return the sweep's id there.

        The first upload makes the sweep; later ones add the runs that it lacks. Repeating one is safe.
        """
        with self._writing():
            ledger, runs = self._ledger, self._ledger.finished(without=self._ledger.uploaded)
            key, sweep_id = ledger.key, ledger.sweep_id
        if sweep_id is None:
            settings = settings_of(self.target, self._aim.prescribed)
            sweep_id = str(client.create_sweep(name, idempotency_key=key, **settings)["id"])
        if runs:
            client.add_runs(sweep_id, [row_of(run) for run in runs.values()])
        with self._writing() as events:
            events.append({"event": "uploaded", "sweep": sweep_id, "runs": list(runs)})
        return sweep_id

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

    def _fit(self) -> SweepFit | None:
        """Return the fit of all runs that ended; None while none has a loss."""
        count = len(self._ledger.losses)
        if self._fitted[0] != count:
            runs = tuple(self._ledger.finished().values())
            fit = None if all(run.diverged for run in runs) else fit_sweep(runs, prescribed=self._aim.prescribed)
            self._fitted = count, fit
        return self._fitted[1]

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
