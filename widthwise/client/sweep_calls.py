"""What a client asks about sweeps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from widthwise.client.calls import FIT_SECONDS
from widthwise.client.catalogue import DrawnFigure
from widthwise.client.reading import figure, nothing, one, pages
from widthwise.client.steps import Listing, Request, Steps
from widthwise.client.sweeps import AppendedRuns, FittedSweep, KeptRun, KeptSweep, SweepPredictions

Row = Mapping[str, Any]

PATH = "/v1/sweeps"
ROWS_PER_REQUEST = 5_000  # the service's most


def create_sweep(
    name: str, rows: Sequence[Row] = (), *, idempotency_key: str | None = None, **settings: Any
) -> Steps[KeptSweep]:
    """Upload a sweep and return it. Repeating the same key and content returns the first one.

    Without a key the client makes one, so that its retries make no second sweep.

    rows: training runs, as `widthwise.sweeps.runs_from_rows` reads them; none yet by default.
    settings: `columns`, `groups`, `without`, `prescribed`, `notes`, `parameterization`, `optimizer`, `alignment`,
    `readout_omega` and `form`; None counts as not given.
    """
    given = {field: value for field, value in settings.items() if value is not None}
    body = {"name": name, **given, "runs": _sendable(rows[:ROWS_PER_REQUEST])}
    headers = {"Idempotency-Key": uuid4().hex if idempotency_key is None else idempotency_key}
    made = yield from Request("POST", PATH, one(KeptSweep), body=body, headers=headers)
    if len(rows) > ROWS_PER_REQUEST:
        made = (yield from add_runs(made.id, rows[ROWS_PER_REQUEST:])).sweep
    return made


def add_runs(sweep_id: str, rows: Sequence[Row]) -> Steps[AppendedRuns]:
    """Add the runs that a sweep lacks.

    Runs that it has change nothing, so repeating the call is safe. ServiceConflictError (409) if it has one with
    another loss: then nothing of the request is stored.
    """
    added = 0
    for start in range(0, max(len(rows), 1), ROWS_PER_REQUEST):
        body = {"runs": _sendable(rows[start : start + ROWS_PER_REQUEST])}
        answer = yield from Request("POST", f"{_address(sweep_id)}/runs", one(AppendedRuns), body=body)
        added += answer.added
    return AppendedRuns.read({**answer.raw, "added": added})


def sweeps() -> Listing[KeptSweep]:
    """Return every sweep without its runs, newest first, page by page."""
    return pages(PATH, {}, KeptSweep)


def sweep(sweep_id: str) -> Request[KeptSweep]:
    """Return one sweep: how many runs it has, and which part of each axis they cover."""
    return Request("GET", _address(sweep_id), one(KeptSweep))


def label_sweep(sweep_id: str, labels: Mapping[str, str | None]) -> Request[KeptSweep]:
    """Set the `name` or the `notes` of a sweep; None removes the notes, and what is left out stays."""
    return Request("PATCH", _address(sweep_id), one(KeptSweep), body=labels)


def sweep_runs(sweep_id: str) -> Listing[KeptRun]:
    """Return every run of a sweep, oldest first, page by page."""
    return pages(f"{_address(sweep_id)}/runs", {}, KeptRun)


def fit_sweep(sweep_id: str) -> Request[FittedSweep]:
    """Return the fit of a sweep: optima, law, scatter, saturation batch and warnings."""
    path = f"{_address(sweep_id)}/fit"
    return Request("GET", path, one(FittedSweep), patience_seconds=FIT_SECONDS)


def predict_sweep(
    sweep_id: str,
    places: Sequence[Mapping[str, float | str]] = (),
    *,
    holdout: tuple[str, str] | None = None,
) -> Request[SweepPredictions]:
    """Return the best rate at each place, and the score of a holdout.

    places: cells, each with a value for every axis. holdout: ("tokens", "max") predicts the cells with the most
    tokens from all others.
    """
    body: dict[str, Any] = {"places": [dict(place) for place in places]}
    if holdout is not None:
        body["holdout"] = {"axis": holdout[0], "end": holdout[1]}
    path, read = f"{_address(sweep_id)}/predictions", one(SweepPredictions)
    return Request("POST", path, read, body=body, patience_seconds=FIT_SECONDS)


def plot_sweep(sweep_id: str, *, suffix: str = "svg") -> Request[DrawnFigure]:
    """Return the plot of a sweep: its cells, and the best rate over each axis. suffix: svg, pdf, png or csv."""
    path = f"{_address(sweep_id)}/plot.{quote(suffix, safe='')}"
    return Request("GET", path, figure, patience_seconds=FIT_SECONDS)


def delete_sweep(sweep_id: str) -> Request[None]:
    """Delete a sweep and its runs."""
    return Request("DELETE", _address(sweep_id), nothing, repeatable=False)


def _address(sweep_id: str) -> str:
    return f"{PATH}/{quote(sweep_id, safe='')}"


def _sendable(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return rows as JSON has them: NaN and infinity, which it lacks, are blank."""
    return [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in rows
    ]
