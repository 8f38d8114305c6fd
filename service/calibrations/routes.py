"""The calibration routes: submit, watch, cancel, and upload what was trained elsewhere."""

from collections.abc import AsyncIterable, AsyncIterator
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.auth.caller import Caller
from service.calibrations import logic
from service.calibrations.caps import check_caps
from service.calibrations.comparison import Comparing, ComparisonBody, compare
from service.calibrations.examples import EXTENSION_EXAMPLES, SPEC_EXAMPLES, UPLOAD_EXAMPLES
from service.calibrations.extension import extended
from service.calibrations.schemas import (
    CalibrationBody,
    CalibrationPage,
    Listing,
    MeasurementPage,
    TrialListing,
    TrialPage,
    TrialsUpload,
)
from service.calibrations.shards import ShardList, shard_body
from service.calibrations.specification import Extension, SpecificationBody
from service.errors import NothingMoreError
from service.http.dependencies import CalibrateStore, ReadStore, key_watch
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import ANY_BYTES, read_json
from service.settings import Settings
from service.store import FINAL_CALIBRATION_STATES, CreatedCalibration, StoredCalibration

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])

_SPEC = TypeAdapter(SpecificationBody)
_EXTENSION = TypeAdapter(Extension)
_UPLOAD = TypeAdapter(TrialsUpload)
FEW_TRIALS = 1_000  # of an upload that needs no place in the lane (chosen): stored in some 50 ms
_NO_CACHE = {"Cache-Control": "no-cache"}

IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Identifies this submission: repeated with the same body, it creates nothing and returns the first "
        "response; with another body it is refused (IETF draft-ietf-httpapi-idempotency-key-header-07).",
    ),
]


_ACCEPTED: dict[str, Any] = {
    "model": CalibrationBody,
    "description": "Accepted: workers will run it, and its URL shows the progress.",
    "headers": {
        "Location": {"description": "Address of the calibration.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds to wait before the first poll.", "schema": {"type": "integer"}},
        "Idempotency-Replayed": {
            "description": "`true` if the key named an earlier submission.",
            "schema": {"type": "string"},
        },
    },
}


_RETRIED: dict[str, Any] = {
    **_ACCEPTED,
    "description": "Accepted: its failed shards are queued again.",
    "headers": {name: _ACCEPTED["headers"][name] for name in ("Location", "Retry-After")},
}
_SHOWN: dict[str, Any] = {
    "model": CalibrationBody,
    "headers": {
        "Retry-After": {
            "description": "Seconds to wait before polling again; absent once the calibration has ended.",
            "schema": {"type": "integer"},
        }
    },
}


def _accepted(created: CreatedCalibration) -> Response:
    headers = {"Location": f"/v1/calibrations/{created.calibration.id}", "Retry-After": str(logic.SOONEST_LOOK_SECONDS)}
    if created.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(logic.calibration_body(created.calibration), 202, headers)


@router.post(
    "",
    operation_id="createCalibration",
    summary="Submit a calibration",
    status_code=202,
    responses={202: _ACCEPTED, **error_responses(400, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(SpecificationBody, SPEC_EXAMPLES),
)
async def create_calibration(
    request: Request, store: CalibrateStore, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queue training runs at several widths, which measure how the best learning rate depends on width.

    The response is sent after the job is stored, and includes an estimate of its trials, cost and time.
    """
    spec = (await read_json(request, _SPEC)).to_spec()
    logic.check_spec(spec)
    settings: Settings = request.app.state.settings
    check_caps(spec, settings)
    if settings.workers:  # they read the folder of these settings; of workers elsewhere nothing is known here
        await run_in_threadpool(logic.check_corpus, spec, settings.corpora_dir)
    create = partial(
        store.calibrations.create,
        spec.to_dict(),
        idempotency_key=idempotency_key,
        request_id=request.state.request_id,
    )
    return _accepted(await to_thread.run_sync(create, limiter=request.app.state.submitting))


@router.post(
    "/{calibration_id}/extensions",
    operation_id="extendCalibration",
    summary="Extend a calibration",
    status_code=202,
    responses={202: _ACCEPTED, **error_responses(400, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(Extension, EXTENSION_EXAMPLES),
)
async def extend_calibration(
    request: Request,
    calibration_id: CalibrationId,
    store: CalibrateStore,
    heavy: Heavy,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a calibration with all trials and measurements of one that has succeeded, and run what is missing.

    Add widths (above the smallest), a larger number of seeds, or a finer mesh. The original does not change; 409
    unless it has succeeded.
    """
    more = await read_json(request, _EXTENSION)
    parent = await run_in_threadpool(store.calibrations.get, calibration_id)
    spec = extended(parent.spec, more).to_spec()
    logic.check_spec(spec)
    check_caps(spec, request.app.state.settings)
    request_id = request.state.request_id
    created = await heavy.run(
        lambda: store.calibrations.extend(
            parent.id, spec.to_dict(), idempotency_key=idempotency_key, request_id=request_id
        )
    )
    return _accepted(created)


@router.get(
    "",
    operation_id="listCalibrations",
    summary="List calibrations",
    responses={200: {"model": CalibrationPage}, **error_responses(422, 503)},
)
def list_calibrations(store: ReadStore, listing: Annotated[Listing, Query()]) -> Response:
    """Return calibrations, newest first, in pages."""
    page = store.calibrations.page(state=listing.state, cursor=listing.cursor, limit=listing.limit)
    items = [logic.calibration_body(calibration) for calibration in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=_NO_CACHE)


@router.get(
    "/{calibration_id}",
    operation_id="getCalibration",
    summary="Show a calibration",
    responses={200: _SHOWN, **error_responses(404, 422, 503)},
)
def get_calibration(calibration_id: CalibrationId, store: ReadStore) -> Response:
    """Return the calibration's state and progress and, once it has succeeded, its optima and exponents."""
    calibration = store.calibrations.get(calibration_id)
    wait = logic.retry_after(calibration)
    headers = _NO_CACHE if wait is None else {**_NO_CACHE, "Retry-After": str(wait)}
    return json_response(logic.calibration_body(calibration), headers=headers)


@router.get(
    "/{calibration_id}/shards",
    operation_id="listShards",
    summary="List the shards of a calibration",
    responses={200: {"model": ShardList}, **error_responses(404, 422, 503)},
)
def list_shards(calibration_id: CalibrationId, store: ReadStore) -> Response:
    """Return every unit of work planned so far, with its state, its attempts and its worker.

    If a worker stops reporting, its shard stays `running` while the worker is `stale`; once the lease has ended
    another worker takes the shard over.
    """
    found = store.calibrations.shards(calibration_id)
    workers = {worker.id: worker for worker in store.workers.all()}
    return json_response({"items": [shard_body(shard, workers) for shard in found]}, headers=_NO_CACHE)


@router.get(
    "/{calibration_id}/trials",
    operation_id="listTrials",
    summary="List the trials of a calibration",
    responses={200: {"model": TrialPage}, **error_responses(404, 422, 503)},
)
def list_trials(calibration_id: CalibrationId, store: ReadStore, listing: Annotated[TrialListing, Query()]) -> Response:
    """Return every training run as stored, oldest first, in pages."""
    page = store.trials.page(calibration_id, cursor=listing.cursor, limit=listing.limit)
    items = [logic.trial_body(row) for row in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=_NO_CACHE)


@router.get(
    "/{calibration_id}/measurements",
    operation_id="listMeasurements",
    summary="List the measurements of a calibration",
    responses={200: {"model": MeasurementPage}, **error_responses(404, 422, 503)},
)
def list_measurements(
    calibration_id: CalibrationId, store: ReadStore, listing: Annotated[TrialListing, Query()]
) -> Response:
    """Return every measurement of gradients, alignment and activations as stored, oldest first, in pages."""
    page = store.measurements.page(calibration_id, cursor=listing.cursor, limit=listing.limit)
    items = [logic.measurement_body(row) for row in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=_NO_CACHE)


@router.get(
    "/{calibration_id}/comparison",
    operation_id="compareCalibrations",
    summary="Compare two calibrations",
    responses={200: {"model": ComparisonBody}, **error_responses(404, 422, 429, 503)},
)
async def compare_calibrations(
    calibration_id: CalibrationId, store: ReadStore, asked: Annotated[Comparing, Query()], heavy: Heavy
) -> Response:
    """Return which of specification, code and device differ, and how many of the common trials differ in loss.

    The same specification, code and device give the same losses.
    """

    def compared() -> dict[str, Any]:
        this, other = store.calibrations.get(calibration_id), store.calibrations.get(asked.other)
        return compare(this, other, store.trials.compared(this.id, other.id))

    return json_response(await heavy.run(compared), headers=_NO_CACHE)


@router.post(
    "/{calibration_id}/trials",
    operation_id="uploadTrials",
    summary="Upload trials that were run elsewhere",
    responses={200: {"model": CalibrationBody}, **error_responses(400, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(TrialsUpload, UPLOAD_EXAMPLES),
)
async def upload_trials(
    request: Request, calibration_id: CalibrationId, store: CalibrateStore, heavy: Heavy
) -> Response:
    """Store runs of a calibration with runner `external`: all or none; repeating the request changes nothing.

    409 if it would then have more than 2,048 trials per width: 64 learning rates with 32 seeds each.
    """
    upload = await read_json(request, _UPLOAD, ANY_BYTES)
    trials = [trial.model_dump() for trial in upload.trials]
    upload_all = partial(store.calibrations.upload, calibration_id, trials)
    calibration = await (run_in_threadpool if len(trials) <= FEW_TRIALS else heavy.run)(upload_all)
    return json_response(logic.calibration_body(calibration))


@router.post(
    "/{calibration_id}/finish",
    operation_id="finishCalibration",
    summary="Fit what was uploaded",
    responses={200: {"model": CalibrationBody}, **error_responses(404, 409, 422, 429, 503)},
)
async def finish_calibration(calibration_id: CalibrationId, store: CalibrateStore, heavy: Heavy) -> Response:
    """Fit the exponents of a calibration with runner `external`; repeating the request returns the same answer.

    409 if there are too few trials: the calibration stays running, so upload more and finish again.
    """
    return json_response(logic.calibration_body(await heavy.run(lambda: store.calibrations.finish(calibration_id))))


@router.post(
    "/{calibration_id}/cancel",
    operation_id="cancelCalibration",
    summary="Cancel a calibration",
    responses={200: {"model": CalibrationBody}, **error_responses(404, 422, 503)},
)
def cancel_calibration(calibration_id: CalibrationId, store: CalibrateStore) -> Response:
    """Cancel a calibration: queued shards at once, running ones within seconds; its trials are kept.

    A finished calibration is returned unchanged.
    """
    return json_response(logic.calibration_body(store.calibrations.cancel(calibration_id)))


@router.delete(
    "/{calibration_id}",
    operation_id="deleteCalibration",
    summary="Delete a calibration",
    status_code=204,
    responses={204: {"description": "Deleted."}, **error_responses(404, 409, 422, 429, 503)},
)
async def delete_calibration(calibration_id: CalibrationId, store: CalibrateStore, heavy: Heavy) -> Response:
    """Delete a calibration that has ended, with its trials, measurements, exponents and events.

    A transfer that names it then gets 404. 409 while it is queued or running: cancel it first. 409 also while an
    extension shares its trials: delete that first.
    """
    await heavy.run(lambda: store.calibrations.delete(calibration_id))
    return Response(status_code=204)


@router.post(
    "/{calibration_id}/retry",
    operation_id="retryCalibration",
    summary="Retry a failed calibration",
    status_code=202,
    responses={202: _RETRIED, **error_responses(404, 409, 422, 503)},
)
def retry_calibration(calibration_id: CalibrationId, store: CalibrateStore) -> Response:
    """Queue its failed shards again, with a full set of attempts; all trials and measurements are kept.

    If it was not a shard that failed but the search or the fit, that runs again. 409 unless the calibration has
    failed, so sending the same request twice retries once.
    """
    calibration = store.calibrations.retry(calibration_id)
    headers = {"Location": f"/v1/calibrations/{calibration.id}", "Retry-After": str(logic.SOONEST_LOOK_SECONDS)}
    return json_response(logic.calibration_body(calibration), 202, headers)


def _watched(
    calibration_id: CalibrationId,
    store: ReadStore,
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^[0-9]{1,9}$",
            description="Number of the last event seen: the stream continues after it, without gaps.",
        ),
    ] = None,
) -> tuple[StoredCalibration, int]:
    """Look the calibration up before the stream starts, while an error status can still be sent."""
    calibration = store.calibrations.get(calibration_id)
    after = int(last_event_id or 0)
    if after > calibration.last_event:  # from before the database was restored from a backup
        after = 0
    if calibration.state in FINAL_CALIBRATION_STATES and after >= max(calibration.last_event, 1):
        raise NothingMoreError
    return calibration, after


async def _counted(
    request: Request, watched: Annotated[tuple[StoredCalibration, int], Depends(_watched)]
) -> AsyncIterator[tuple[StoredCalibration, int]]:
    """Count the stream until its response ends in any way; 429 if too many are open."""
    caller: Caller | None = getattr(request.state, "caller", None)
    with request.app.state.streams.one_more(None if caller is None else caller.key_id):
        yield watched


@router.get(
    "/{calibration_id}/events",
    operation_id="streamCalibrationEvents",
    summary="Follow a calibration",
    response_class=EventSourceResponse,
    responses={
        204: {"description": "The calibration has ended and every event was sent: a browser stops reconnecting."},
        **error_responses(404, 422, 429, 503),
    },
)
async def stream_events(
    request: Request, store: ReadStore, watched: Annotated[tuple[StoredCalibration, int], Depends(_counted)]
) -> AsyncIterable[ServerSentEvent]:
    """Return its events as they happen (server-sent events): `calibration` and `shard` transitions, `round`s of shards,
    trials and measurements.

    An event's id is its number; send the last one as `Last-Event-ID` to resume. The stream ends with an event `end`
    when the calibration has ended, after ten minutes, or when its key is no longer valid. If the number is above the
    calibration's last, as it can be after a restore from a backup, all events are sent.
    """
    calibration, after = watched
    state: Any = request.app.state
    async for event in logic.event_stream(
        store,
        calibration,
        after=after,
        stream_seconds=state.stream_seconds,
        poll_seconds=state.poll_seconds,
        key_counts=key_watch(request, store),
    ):
        yield event
