"""The calibration routes: submit, estimate, extend, list, show, name, cancel, retry and delete."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.calibrations import logic
from service.calibrations.caps import check_caps
from service.calibrations.documents import ACCEPTED, NO_CACHE, RETRIED, SHOWN, accepted, will_run
from service.calibrations.examples import EXTENSION_EXAMPLES, LABELS_EXAMPLES, SPEC_EXAMPLES
from service.calibrations.extension import extended
from service.calibrations.labels import ExtensionRequest, LabelsBody, SubmissionBody
from service.calibrations.schemas import (
    CalibrationBody,
    CalibrationPage,
    EstimateBody,
    ExtensionEstimateBody,
    Listing,
)
from service.http.dependencies import CalibrateStore, IdempotencyKey, ReadStore
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import read_json
from service.settings import Settings
from service.store import Store
from widthwise.calibration.spec import CalibrationSpec

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])

_SUBMISSION = TypeAdapter(SubmissionBody)
_EXTENSION = TypeAdapter(ExtensionRequest)
_LABELS = TypeAdapter(LabelsBody)


@router.post(
    "",
    operation_id="createCalibration",
    summary="Submit a calibration",
    status_code=202,
    responses={202: ACCEPTED, **error_responses(400, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(SubmissionBody, SPEC_EXAMPLES),
)
async def create_calibration(
    request: Request, store: CalibrateStore, idempotency_key: IdempotencyKey = None
) -> Response:
    """Queue training runs at several widths, which measure how the best learning rate depends on width.

    The response is sent after the job is stored, and includes an estimate of its trials, cost and time.
    """
    submitted, spec = await _asked(request)
    create = partial(
        store.calibrations.create,
        spec.to_dict(),
        name=submitted.name,
        note=submitted.note,
        idempotency_key=idempotency_key,
        request_id=request.state.request_id,
    )
    return accepted(await to_thread.run_sync(create, limiter=request.app.state.submitting))


@router.post(
    "/estimates",
    operation_id="estimateCalibration",
    summary="Estimate a calibration",
    responses={200: {"model": EstimateBody}, **error_responses(400, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(SubmissionBody, SPEC_EXAMPLES),
)
async def estimate_calibration(request: Request, store: ReadStore, heavy: Heavy) -> Response:
    """Return what a submission of the same body would take: trials, operations, and time if the rate is known.

    Nothing is stored and nothing runs. What a submission would refuse, its caps and quotas included, is refused here
    in the same words; the answer's `spec` has every default filled in.
    """
    _, spec = await _asked(request)
    expected = await heavy.run(partial(store.calibrations.expect, spec.to_dict()))
    return json_response(logic.estimate_body(spec, expected), headers=NO_CACHE)


async def _asked(request: Request) -> tuple[SubmissionBody, CalibrationSpec]:
    """Read a submission and refuse what could not run, before anything is planned."""
    submitted = await read_json(request, _SUBMISSION)
    spec = submitted.to_spec()
    logic.check_spec(spec)
    settings: Settings = request.app.state.settings
    check_caps(spec, settings)
    if settings.workers:  # they read the folder of these settings; of workers elsewhere nothing is known here
        await run_in_threadpool(logic.check_corpus, spec, settings.corpora_dir)
    return submitted, spec


@router.post(
    "/{calibration_id}/extensions",
    operation_id="extendCalibration",
    summary="Extend a calibration",
    status_code=202,
    responses={202: ACCEPTED, **error_responses(400, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(ExtensionRequest, EXTENSION_EXAMPLES),
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
    more, spec = await _extended(request, calibration_id, store)
    extend = partial(
        store.calibrations.extend,
        calibration_id,
        spec.to_dict(),
        name=more.name,
        note=more.note,
        idempotency_key=idempotency_key,
        request_id=request.state.request_id,
    )
    return accepted(await heavy.run(extend))


@router.post(
    "/{calibration_id}/extensions/estimates",
    operation_id="estimateExtension",
    summary="Estimate an extension",
    responses={200: {"model": ExtensionEstimateBody}, **error_responses(400, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(ExtensionRequest, EXTENSION_EXAMPLES),
)
async def estimate_extension(
    request: Request, calibration_id: CalibrationId, store: ReadStore, heavy: Heavy
) -> Response:
    """Return what an extension of the same body would run: trials, operations, and time if the rate is known.

    Nothing is stored and nothing runs. What an extension would be refused for is refused here in the same words.
    """
    _, spec = await _extended(request, calibration_id, store)
    expected, shared = await heavy.run(partial(store.calibrations.expect_extension, calibration_id, spec.to_dict()))
    return json_response(logic.extension_estimate_body(spec, expected, shared), headers=NO_CACHE)


async def _extended(request: Request, calibration_id: str, store: Store) -> tuple[ExtensionRequest, CalibrationSpec]:
    """Read what a calibration is to have more of; refuse what could not run, before anything is planned."""
    more = await read_json(request, _EXTENSION)
    parent = await run_in_threadpool(store.calibrations.get, calibration_id)
    spec = extended(parent.spec, more).to_spec()
    logic.check_spec(spec)
    check_caps(spec, request.app.state.settings)
    return more, spec


@router.get(
    "",
    operation_id="listCalibrations",
    summary="List calibrations",
    responses={200: {"model": CalibrationPage}, **error_responses(422, 503)},
)
def list_calibrations(store: ReadStore, listing: Annotated[Listing, Query()]) -> Response:
    """Return calibrations, newest first, in pages."""
    page = store.calibrations.page(**dict(listing))
    items = [logic.calibration_body(calibration) for calibration in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=NO_CACHE)


@router.get(
    "/{calibration_id}",
    operation_id="getCalibration",
    summary="Show a calibration",
    responses={200: SHOWN, **error_responses(404, 422, 503)},
)
def get_calibration(calibration_id: CalibrationId, store: ReadStore) -> Response:
    """Return the calibration's state and progress and, once it has succeeded, its optima and exponents."""
    calibration = store.calibrations.get(calibration_id)
    wait = logic.retry_after(calibration)
    headers = NO_CACHE if wait is None else {**NO_CACHE, "Retry-After": str(wait)}
    return json_response(logic.calibration_body(calibration), headers=headers)


@router.patch(
    "/{calibration_id}",
    operation_id="labelCalibration",
    summary="Name a calibration, or note something",
    responses={200: {"model": CalibrationBody}, **error_responses(400, 404, 413, 415, 422, 503)},
    openapi_extra=json_body(LabelsBody, LABELS_EXAMPLES),
)
async def label_calibration(request: Request, calibration_id: CalibrationId, store: CalibrateStore) -> Response:
    """Set the name or the note of a calibration in any state; null removes one, and what is left out stays.

    What it measured stays as it is: neither is part of its specification.
    """
    labels = (await read_json(request, _LABELS)).model_dump(exclude_unset=True)
    found = await run_in_threadpool(store.calibrations.label, calibration_id, labels)
    return json_response(logic.calibration_body(found))


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
    responses={202: RETRIED, **error_responses(404, 409, 422, 503)},
)
def retry_calibration(calibration_id: CalibrationId, store: CalibrateStore) -> Response:
    """Queue its failed shards again, with a full set of attempts; all trials and measurements are kept.

    If it was not a shard that failed but the search or the fit, that runs again. 409 unless the calibration has
    failed, so sending the same request twice retries once.
    """
    return will_run(store.calibrations.retry(calibration_id), {})
