"""What a client asks about calibrations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from widthwise.calibration.spec import CalibrationSpec
from widthwise.client.calibrations import (
    Calibration,
    CalibrationComparison,
    CalibrationFit,
    CalibrationReport,
    CalibrationShard,
    EstimatedCalibration,
    EstimatedExtension,
    KeptMeasurement,
    KeptTrial,
)
from widthwise.client.catalogue import DrawnFigure
from widthwise.client.progress import ProgressLine
from widthwise.client.reading import figure, many, nothing, one, pages
from widthwise.client.retries import retry_after_seconds
from widthwise.client.steps import Clock, Item, Listing, Pause, Reply, Request, Steps
from widthwise.errors import CalibrationEndedError, ServiceError, StillRunningError

PATH = "/v1/calibrations"
POLL_SECONDS = 1.0  # chosen: trials take about a second; a Retry-After header takes precedence
MAX_POLL_SECONDS = 60.0  # chosen: whatever Retry-After says, a watcher polls once a minute
OUTAGE_SECONDS = 30.0  # chosen: a watcher survives a restart of the service
TOO_MANY, NOT_READY = 429, (None, 502, 503, 504)


def submit_calibration(
    spec: Mapping[str, Any] | CalibrationSpec,
    *,
    name: str | None = None,
    note: str | None = None,
    idempotency_key: str | None = None,
) -> Request[Calibration]:
    """Queue a calibration. Repeating the same key and specification returns the first one and queues nothing.

    name, note: for people; `label_calibration` changes them later.

    Without a key the client makes one, so that its retries queue nothing twice.
    """
    labels = {word: value for word, value in (("name", name), ("note", note)) if value is not None}
    return Request("POST", PATH, _CALIBRATION, body={**_body(spec), **labels}, headers=_key(idempotency_key))


def estimate_calibration(spec: Mapping[str, Any] | CalibrationSpec) -> Request[EstimatedCalibration]:
    """Return what a calibration would take, and store nothing; whatever `submit_calibration` refuses is refused too."""
    return Request("POST", f"{PATH}/estimates", one(EstimatedCalibration), body=_body(spec))


def extend_calibration(
    calibration_id: str, more: Mapping[str, Any], *, idempotency_key: str | None = None
) -> Request[Calibration]:
    """Queue a new calibration that starts with all trials of a succeeded one and runs what `more` adds.

    more: `widths` to add, `seeds` in total, a finer `mesh`; at least one of them.
    """
    path, headers = f"{_address(calibration_id)}/extensions", _key(idempotency_key)
    return Request("POST", path, _CALIBRATION, body=more, headers=headers)


def estimate_extension(calibration_id: str, more: Mapping[str, Any]) -> Request[EstimatedExtension]:
    """Return what an extension would run, and store nothing; whatever `extend_calibration` refuses is refused too."""
    return Request("POST", f"{_address(calibration_id)}/extensions/estimates", one(EstimatedExtension), body=more)


def calibration(calibration_id: str) -> Request[Calibration]:
    """Return one calibration."""
    return Request("GET", _address(calibration_id), _CALIBRATION)


def calibrations(
    *, state: str | None = None, name: str | None = None, extends: str | None = None
) -> Listing[Calibration]:
    """Return every calibration, newest first, page by page; with exactly this name, if one is given.

    extends: only the extensions of the calibration with this id.
    """
    return pages(PATH, {"state": state, "name": name, "extends": extends}, Calibration)


def label_calibration(calibration_id: str, labels: Mapping[str, str | None]) -> Request[Calibration]:
    """Set the `name` or the `note` of a calibration; None removes it, and what is left out stays."""
    return Request("PATCH", _address(calibration_id), _CALIBRATION, body=labels)


def cancel(calibration_id: str) -> Request[Calibration]:
    """Cancel a calibration: queued shards at once, running ones within seconds."""
    return Request("POST", f"{_address(calibration_id)}/cancel", _CALIBRATION)


def delete(calibration_id: str) -> Request[None]:
    """Delete a calibration that has ended, with its trials and exponents; ServiceConflictError (409) otherwise.

    It is also a 409 while an extension shares its trials.
    """
    return Request("DELETE", _address(calibration_id), nothing, repeatable=False)


def retry(calibration_id: str) -> Request[Calibration]:
    """Run the failed shards of a failed calibration again, keeping every trial; ServiceConflictError otherwise."""
    path = f"{_address(calibration_id)}/retry"
    return Request("POST", path, _CALIBRATION, repeatable=False)


def upload_trials(calibration_id: str, trials: Sequence[Mapping[str, Any]]) -> Request[Calibration]:
    """Store runs of a calibration with runner `external`, all or none; the same again changes nothing.

    trials: each with `width`, `learning_rate`, `seed` and `loss` (None if it diverged).
    """
    path, body = f"{_address(calibration_id)}/trials", {"trials": [dict(each) for each in trials]}
    return Request("POST", path, _CALIBRATION, body=body)


def finish(calibration_id: str) -> Request[Calibration]:
    """Fit what was uploaded to a calibration with runner `external`; ServiceConflictError with too few trials."""
    return Request("POST", f"{_address(calibration_id)}/finish", _CALIBRATION)


def compare(calibration_id: str, other_id: str) -> Request[CalibrationComparison]:
    """Return which of specification, code and device differ between two calibrations, and how the losses do."""
    path, query = f"{_address(calibration_id)}/comparison", {"other": other_id}
    return Request("GET", path, one(CalibrationComparison), query=query)


def measurements(calibration_id: str) -> Listing[KeptMeasurement]:
    """Return every measurement of gradients, alignment and activations, oldest first, page by page."""
    return pages(f"{_address(calibration_id)}/measurements", {}, KeptMeasurement)


def trials(calibration_id: str) -> Listing[KeptTrial]:
    """Return every trial of a calibration, oldest first, page by page."""
    return pages(f"{_address(calibration_id)}/trials", {}, KeptTrial)


def shards(calibration_id: str) -> Request[list[CalibrationShard]]:
    """Return the units of work of a calibration, each with its state and its worker."""
    return Request("GET", f"{_address(calibration_id)}/shards", many(CalibrationShard))


def plot(calibration_id: str, *, suffix: str = "svg") -> Request[DrawnFigure]:
    """Return the plot of loss over learning rate, by width. suffix: svg, pdf, png or csv."""
    return Request("GET", f"{_address(calibration_id)}/plot.{quote(suffix, safe='')}", figure)


def width_plot(calibration_id: str, *, suffix: str = "svg") -> Request[DrawnFigure]:
    """Return the plot of the best learning rate over width. suffix: svg, pdf, png or csv."""
    return Request("GET", f"{_address(calibration_id)}/widths.{quote(suffix, safe='')}", figure)


def calibration_fit(calibration_id: str, *, multiples: Sequence[int] | None = None) -> Request[CalibrationFit]:
    """Return the fit of the trials so far: optima, the chosen law and why, predictions; in any state.

    multiples: of the largest width, where to predict; 2, 4 and 16 by default.
    """
    query = {} if multiples is None else {"multiples": ",".join(map(str, multiples))}
    return Request("GET", f"{_address(calibration_id)}/fit", one(CalibrationFit), query=query)


def report(calibration_id: str) -> Steps[CalibrationReport]:
    """Return a calibration with its figures, which a notebook shows."""
    found = yield from calibration(calibration_id)
    sweep = yield from plot(calibration_id)
    widths = (yield from width_plot(calibration_id)) if found.state == "succeeded" else None
    return CalibrationReport(found, sweep, widths)


def watch(calibration_id: str, *, outage_seconds: float = OUTAGE_SECONDS) -> Listing[Calibration]:
    """Yield the calibration repeatedly until it has ended; the last one is final.

    In between it waits as long as the service asks (Retry-After, also with a 429), else a second. It survives
    `outage_seconds` during which the service is not reachable or not ready.
    """
    look = Request("GET", _address(calibration_id), _with_pause, retried=False)
    unreachable_since: float | None = None
    while True:
        pause = POLL_SECONDS
        try:
            found, pause = yield from look
        except ServiceError as error:
            if error.status == TOO_MANY:
                pause = error.retry_after_seconds or POLL_SECONDS
            elif error.status in NOT_READY:
                now = yield from _clock()
                unreachable_since = now if unreachable_since is None else unreachable_since
                if now - unreachable_since >= outage_seconds:
                    raise
            else:
                raise
        else:
            unreachable_since = None
            yield Item(found)
            if found.ended:
                return
        yield Pause(pause)


def wait(
    calibration_id: str,
    *,
    timeout_seconds: float | None = None,
    progress: bool = True,
    on_progress: Callable[[Calibration], None] | None = None,
) -> Steps[Calibration]:
    """Wait until a calibration has succeeded and return it.

    progress: show a line that tells how far it is, on a terminal or in a notebook. Interrupting it leaves the
    calibration running. Raises CalibrationEndedError with the reason if it failed or was cancelled, and
    StillRunningError after `timeout_seconds`; then too it keeps running.
    """
    started = yield from _clock()
    line = ProgressLine() if progress else None
    watched = watch(calibration_id)
    given: Any = None
    failure: ServiceError | None = None
    try:
        while True:
            step = watched.send(given) if failure is None else watched.throw(failure)
            given, failure = None, None
            left = None if timeout_seconds is None else started + timeout_seconds - (yield from _clock())
            if isinstance(step, Item):
                found: Calibration = step.value
                if line is not None:
                    line.show(found)
                if on_progress is not None:
                    on_progress(found)
                if found.ended:
                    return _succeeded(found)
            elif isinstance(step, Pause):
                if left is not None and left <= 0:
                    raise StillRunningError(
                        f"calibration {calibration_id} is still running after {timeout_seconds:g} s; wait again"
                    )
                yield step if left is None else Pause(min(step.seconds, left))
            else:
                try:
                    given = yield step
                except ServiceError as error:
                    failure = error
    finally:
        if line is not None:
            line.close()


def _succeeded(found: Calibration) -> Calibration:
    if found.state != "succeeded":
        raise CalibrationEndedError(
            f"calibration {found.id} {'was ' if found.state == 'cancelled' else ''}{found.state}: "
            f"{found.reason or 'on request'}",
            found,
        )
    return found


def _clock() -> Steps[float]:
    seconds: float = yield Clock()
    return seconds


def _with_pause(reply: Reply) -> tuple[Calibration, float]:
    from datetime import UTC, datetime

    asked = retry_after_seconds(reply.headers.get("retry-after"), datetime.now(UTC))
    return _CALIBRATION(reply), POLL_SECONDS if asked is None else min(asked, MAX_POLL_SECONDS)


def _body(spec: Mapping[str, Any] | CalibrationSpec) -> Mapping[str, Any]:
    if not isinstance(spec, CalibrationSpec):
        return spec
    # The service takes no empty list for what a specification does not use.
    return {name: value for name, value in spec.to_dict().items() if value not in (None, [], ())}


def _address(calibration_id: str) -> str:
    return f"{PATH}/{quote(calibration_id, safe='')}"


def _key(given: str | None) -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex if given is None else given}


_CALIBRATION = one(Calibration)
