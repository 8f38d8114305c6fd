"""The routes of what a calibration runs: its shards, trials and measurements, and trials from elsewhere."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.calibrations import logic
from service.calibrations.comparison import Comparing, ComparisonBody, compare
from service.calibrations.documents import NO_CACHE
from service.calibrations.examples import UPLOAD_EXAMPLES
from service.calibrations.schemas import CalibrationBody, MeasurementPage, TrialListing, TrialPage, TrialsUpload
from service.calibrations.shards import ShardList, shard_body
from service.http.dependencies import CalibrateStore, ReadStore
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import ANY_BYTES, read_json

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])

_UPLOAD = TypeAdapter(TrialsUpload)
FEW_TRIALS = 1_000  # of an upload that needs no place in the lane (chosen): stored in some 50 ms


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
    return json_response({"items": [shard_body(shard, workers) for shard in found]}, headers=NO_CACHE)


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
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=NO_CACHE)


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
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=NO_CACHE)


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

    return json_response(await heavy.run(compared), headers=NO_CACHE)


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
