"""What the sweep routes share: rows to runs, a sweep as JSON, and fits off the event loop, in turns.

`widthwise.sweeps` is imported where it is used: it loads scipy, which nothing else here needs.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool

from service.errors import ConflictError, NoSuchResourceError
from service.settings import Settings
from service.store import GivenRun, Store, StoredRun, StoredSweep, SweepDraft, SweepLimits
from service.sweeps import schemas
from service.sweeps.fits import Fits, FitsForSender
from widthwise.errors import EstimateError, InvalidInputError

if TYPE_CHECKING:
    from widthwise.sweeps import SweepFit, SweepPrediction, SweepRun
    from widthwise.sweeps.holdout import HeldOutCell

MAX_CELLS = 1_000  # of a sweep (chosen): a fit of so many takes half a minute
MIN_RATE, MAX_RATE = 1e-12, 1e6  # chosen: beyond any that trains; the fit's grid spans them all
LARGEST_SEED = 2**53  # beyond it several integers share one float, which a row's number may be
RESERVED = ("self", "axis")  # names of parameters of `SweepFit.predict` and `exponent`
SETTING = ("parameterization", "optimizer", "alignment", "readout_omega", "form")

_PREDICTIONS = CapacityLimiter(1)  # one takes some 20 ms (measured), and does not wait for somebody's fit


def limits_of(settings: Settings) -> SweepLimits:
    """Return how much a sweep and an owner may store."""
    return SweepLimits(settings.max_sweep_runs, MAX_CELLS, settings.owner_sweep_runs, settings.owner_sweeps)


def create(store: Store, body: schemas.SweepUpload, limits: SweepLimits, key: str | None) -> tuple[StoredSweep, bool]:
    """Store a sweep; return it, and whether the key named an existing one."""
    asked = body.model_dump(mode="json")
    reading = {name: asked[name] for name in ("columns", "groups", "without", "prescribed", *SETTING)}
    runs = read_runs(reading, body.runs)
    done = store.sweeps.create(SweepDraft(body.name, body.notes, reading), runs, limits, idempotency_key=key)
    return done.sweep, done.replayed


def append(store: Store, sweep_id: str, rows: Sequence[Mapping[str, Any]], limits: SweepLimits) -> dict[str, Any]:
    """Store the runs that a sweep lacks; return the answer (`schemas.AppendedBody`)."""
    reading = store.sweeps.get(sweep_id).reading
    done = store.sweeps.append(sweep_id, read_runs(reading, rows), limits)
    return {"added": done.added, "sweep": sweep_body(done.sweep)}


def read_runs(reading: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[GivenRun]:
    """Return the runs of a table's rows; InvalidInputError names the row and the column."""
    from widthwise.sweeps import runs_from_rows
    from widthwise.sweeps.upload import check_unused

    columns, groups = reading["columns"], reading["groups"]
    for name in (*columns, *groups):
        if name in RESERVED:
            raise InvalidInputError(
                f"an axis can't be called {name!r}; map its column to another name", field="columns"
            )
    if not rows:
        return []
    _check_seeds(rows, columns.get("seed", "seed"))
    runs = runs_from_rows(rows, columns=columns, groups=groups, without=reading["without"])
    unknown = [name for name in reading["prescribed"] if name not in runs[0].axes]
    if unknown:
        raise InvalidInputError(
            f"prescribed names {unknown[0]!r}; give axes of the runs: {', '.join(runs[0].axes) or 'they have none'}",
            field="prescribed",
        )
    for number, run in enumerate(runs, start=1):
        check_unused(run.unused, f"row {number}: ")
    return [_given(number, run) for number, run in enumerate(runs, start=1)]


def _check_seeds(rows: Sequence[Mapping[str, Any]], column: str) -> None:
    for number, row in enumerate(rows, start=1):
        text = str(row.get(column) or "").strip()
        try:
            good = not text or (float(text) % 1 == 0 and abs(float(text)) <= LARGEST_SEED)
        except ValueError:
            good = True  # the reader says what is wrong with text
        if not good:
            raise InvalidInputError(f"row {number}: seed is {text}; give an integer within ±2^53", field="seed")


def _given(number: int, run: "SweepRun") -> GivenRun:
    """Return a run as the store takes it, after checking the ranges that the service allows."""
    numbers = {name: value for name, value in run.axes.items() if not isinstance(value, str)}
    loss = None if run.diverged else run.loss
    checked = [("learning_rate", run.learning_rate, MIN_RATE, MAX_RATE)]
    checked += [(name, value, schemas.SMALLEST, schemas.LARGEST) for name, value in numbers.items()]
    checked += [] if loss is None else [("loss", loss, schemas.SMALLEST, schemas.LARGEST)]
    for name, value, low, high in checked:
        if not low <= value <= high:
            raise InvalidInputError(f"row {number}: {name} is {value!r}; give {low:g} to {high:g}", field=name)
    axes = {name: value if isinstance(value, str) else float(value) for name, value in run.axes.items()}
    return GivenRun(float(run.learning_rate), None if loss is None else float(loss), axes, run.seed, run.unused)


def sweep_body(sweep: StoredSweep) -> dict[str, Any]:
    """Return the JSON form of a sweep (`schemas.SweepBody`)."""
    address = f"/v1/sweeps/{sweep.id}"
    return {
        "id": sweep.id,
        "created_at": sweep.created_at,
        "name": sweep.name,
        "notes": sweep.notes,
        "revision": sweep.revision,
        "runs": sweep.runs,
        "diverged": sweep.diverged,
        "cells": sweep.cells,
        "axes": dict(sweep.axes),
        "reading": dict(sweep.reading),
        "links": {
            "self": address,
            "runs": f"{address}/runs",
            "fit": f"{address}/fit",
            "predictions": f"{address}/predictions",
        },
    }


def run_body(run: StoredRun) -> dict[str, Any]:
    """Return the JSON form of a run (`schemas.RunBody`)."""
    return {
        "id": run.id,
        "created_at": run.created_at,
        "revision": run.revision,
        "learning_rate": run.learning_rate,
        "loss": run.loss,
        "seed": run.seed,
        "axes": run.axes,
        "unused": run.unused,
    }


def revision_body(sweep: StoredSweep) -> dict[str, Any]:
    """Return which runs an answer is from (`schemas.SweepRevision`)."""
    return {"id": sweep.id, "name": sweep.name, "revision": sweep.revision, "runs": sweep.runs}


async def fitted(fits: FitsForSender, store: Store, sweep_id: str) -> "tuple[StoredSweep, SweepFit]":
    """Return a sweep and the fit of its runs; ConflictError (409) if they can't be fitted.

    A fit that is kept is returned at once; for others, senders take turns (429 if theirs does not come).
    """
    sweep = await run_in_threadpool(store.sweeps.get, sweep_id)
    kept: Any = fits.kept.find(sweep.id, sweep.revision)
    if kept is not None:
        return sweep, kept
    return sweep, await fits.run(partial(_fit, fits.kept, store, sweep))


async def held_out(fits: FitsForSender, store: Store, sweep: StoredSweep, asked: schemas.HoldOutBody) -> dict[str, Any]:
    """Return how well the cells at one end of an axis are predicted from all others (`schemas.ScoreBody`)."""
    cells = await fits.run(partial(_hold_out, fits.kept, store, sweep, asked))
    distances = sorted(abs(cell.octaves) for cell in cells)
    middle = len(distances) // 2
    return {
        "axis": asked.axis,
        "end": asked.end,
        "cells": [_held_out_body(cell) for cell in cells],
        "covered": sum(cell.covered for cell in cells),
        "median_octaves": (distances[middle] + distances[-1 - middle]) / 2,
    }


async def predictions(fit: "SweepFit", places: Sequence[Mapping[str, float | str]]) -> list[dict[str, Any]]:
    """Return the prediction at each place; InvalidInputError names the place."""
    return await to_thread.run_sync(_predictions, fit, places, limiter=_PREDICTIONS)


def _predictions(fit: "SweepFit", places: Sequence[Mapping[str, float | str]]) -> list[dict[str, Any]]:
    found = []
    for number, place in enumerate(places):
        try:
            found.append(_finite(fit.predict(**{n: v if isinstance(v, str) else float(v) for n, v in place.items()})))
        except InvalidInputError as error:
            raise InvalidInputError(f"places[{number}]: {error}", field=f"places[{number}]") from None
    return [each.to_dict() for each in found]


def _finite(prediction: "SweepPrediction") -> "SweepPrediction":
    values = (prediction.learning_rate, *prediction.interval, *prediction.law_interval, prediction.expected_regret)
    if not all(map(math.isfinite, values)):
        raise InvalidInputError("the place is so far from the runs that nothing can be said of it; give a nearer one")
    return prediction


def _fit(fits: Fits, store: Store, sweep: StoredSweep) -> "SweepFit":
    from widthwise.sweeps import fit_sweep

    return fits.of(
        *(sweep.id, sweep.revision),
        compute=lambda: _or_conflict(sweep, lambda: fit_sweep(_runs(store, sweep), prescribed=_prescribed(sweep))),
    )


def _hold_out(fits: Fits, store: Store, sweep: StoredSweep, asked: schemas.HoldOutBody) -> "tuple[HeldOutCell, ...]":
    from widthwise.sweeps.holdout import hold_out

    return fits.of(
        *(sweep.id, sweep.revision, asked.axis, asked.end),
        compute=lambda: hold_out(_runs(store, sweep), asked.axis, asked.end, prescribed=_prescribed(sweep)),
    )


def _or_conflict(sweep: StoredSweep, fit: Any) -> "SweepFit":
    try:
        found: SweepFit = fit()
    except (InvalidInputError, EstimateError) as error:
        raise ConflictError(f"Sweep {sweep.id!r} can't be fitted: {error}.") from None
    return found


def _runs(store: Store, sweep: StoredSweep) -> "list[SweepRun]":
    from widthwise.sweeps import SweepRun

    if not sweep.runs:
        raise ConflictError(f"Sweep {sweep.id!r} has no runs yet; add some with POST /v1/sweeps/{sweep.id}/runs.")
    stored = store.sweeps.runs_at(sweep)
    if not stored:
        raise NoSuchResourceError(f"Sweep {sweep.id!r} was deleted.")
    return [SweepRun(run.learning_rate, run.loss, run.axes, run.seed, run.unused) for run in stored]


def _prescribed(sweep: StoredSweep) -> Collection[str]:
    found: list[str] = sweep.reading["prescribed"]
    return found


def _held_out_body(cell: "HeldOutCell") -> dict[str, Any]:
    return {
        "axes": dict(cell.optimum.axes),
        "optimum": cell.optimum.learning_rate,
        "optimum_interval": list(cell.optimum.interval),
        "predicted": cell.prediction.learning_rate,
        "interval": list(cell.prediction.interval),
        "octaves": cell.octaves,
        "regret": cell.regret,
        "covered": cell.covered,
    }
