"""What a client of the service asks about sweeps; `widthwise.client.Client` has these methods.

with Client() as client:
    sweep = client.create_sweep("overnight", [{"learning_rate": 0.002, "loss": 3.37, "seed": 0, "width": 256}])
    client.add_runs(sweep["id"], rows)
    client.predict_sweep(sweep["id"], [{"width": 4096}])["predictions"][0]["learning_rate"]
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

Row = Mapping[str, Any]
JsonObject = dict[str, Any]

SWEEPS = "/v1/sweeps"
ROWS_PER_REQUEST = 5_000  # the service's most
FIT_SECONDS = 300.0  # for an answer that may need a fit (chosen): the largest takes half a minute, and fits take turns


class SweepClient(ABC):
    """The methods about sweeps, over what sends a request and reads its answer; not used alone."""

    @abstractmethod
    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        patience_seconds: float | None = None,
    ) -> Any:
        """Return the service's answer; ServiceError if it refuses."""

    @abstractmethod
    def _object(self, response: Any, *members: str) -> JsonObject:
        """Read an answer that must be a JSON object with these members."""

    @abstractmethod
    def _pages(self, path: str, query: Mapping[str, str | None]) -> Iterator[JsonObject]:
        """Return every item of a listing, page by page."""

    def create_sweep(
        self, name: str, rows: Sequence[Row] = (), *, idempotency_key: str | None = None, **settings: Any
    ) -> JsonObject:
        """Upload a sweep and return it. Repeating the same key and content returns the first one.

        rows: training runs, as `widthwise.sweeps.runs_from_rows` reads them; none yet by default.
        settings: `columns`, `groups`, `without`, `prescribed`, `notes`, `parameterization`, `optimizer`, `alignment`,
        `readout_omega` and `form`; None counts as not given.
        """
        given = {field: value for field, value in settings.items() if value is not None}
        body = {"name": name, **given, "runs": _sendable(rows[:ROWS_PER_REQUEST])}
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        sweep = self._object(self._ask("POST", SWEEPS, body=body, headers=headers), "id", "revision")
        if len(rows) > ROWS_PER_REQUEST:
            sweep = cast(JsonObject, self.add_runs(sweep["id"], rows[ROWS_PER_REQUEST:])["sweep"])
        return sweep

    def add_runs(self, sweep_id: str, rows: Sequence[Row]) -> JsonObject:
        """Add the runs that a sweep lacks; return {"added", "sweep"}.

        Runs that it has change nothing, so repeating the call is safe. ServiceError (409) if it has one with another
        loss: then nothing of the request is stored.
        """
        added, answer = 0, dict[str, Any]()
        for start in range(0, max(len(rows), 1), ROWS_PER_REQUEST):
            body = {"runs": _sendable(rows[start : start + ROWS_PER_REQUEST])}
            answer = self._object(self._ask("POST", f"{_address(sweep_id)}/runs", body=body), "added", "sweep")
            added += answer["added"]
        return {**answer, "added": added}

    def sweeps(self) -> Iterator[JsonObject]:
        """Return every sweep without its runs, newest first, page by page."""
        yield from self._pages(SWEEPS, {})

    def sweep(self, sweep_id: str) -> JsonObject:
        """Return one sweep: how many runs it has, and which part of each axis they cover."""
        return self._object(self._ask("GET", _address(sweep_id)), "id", "revision")

    def sweep_runs(self, sweep_id: str) -> Iterator[JsonObject]:
        """Return every run of a sweep, oldest first, page by page."""
        yield from self._pages(f"{_address(sweep_id)}/runs", {})

    def fit_sweep(self, sweep_id: str) -> JsonObject:
        """Return the fit of a sweep: optima, law, scatter, saturation batch and warnings."""
        answer = self._ask("GET", f"{_address(sweep_id)}/fit", patience_seconds=FIT_SECONDS)
        return self._object(answer, "optima", "law", "warnings")

    def predict_sweep(
        self,
        sweep_id: str,
        places: Sequence[Mapping[str, float | str]] = (),
        *,
        holdout: tuple[str, str] | None = None,
    ) -> JsonObject:
        """Return {"predictions", "held_out", "warnings"}: the best rate at each place, and the score of a holdout.

        places: cells, each with a value for every axis. holdout: ("tokens", "max") predicts the cells with the most
        tokens from all others.
        """
        body: JsonObject = {"places": [dict(place) for place in places]}
        if holdout is not None:
            body["holdout"] = {"axis": holdout[0], "end": holdout[1]}
        answer = self._ask("POST", f"{_address(sweep_id)}/predictions", body=body, patience_seconds=FIT_SECONDS)
        return self._object(answer, "predictions", "held_out")

    def delete_sweep(self, sweep_id: str) -> None:
        """Delete a sweep and its runs."""
        self._ask("DELETE", _address(sweep_id))


def _address(sweep_id: str) -> str:
    return f"{SWEEPS}/{quote(sweep_id, safe='')}"


def _sendable(rows: Sequence[Row]) -> list[JsonObject]:
    """Return rows as JSON has them: NaN and infinity, which it lacks, are blank."""
    return [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in rows
    ]
