"""The sweep routes: upload runs from anywhere, name them, fit them, predict what was not run."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.errors import RefusedInputError
from service.http.dependencies import CalibrateStore, IdempotencyKey, ReadStore
from service.http.identifiers import SweepId
from service.http.lanes import Heavy
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import ANY_BYTES, read_json
from service.store import SweepLimits
from service.sweeps import logic
from service.sweeps.examples import LABELS_EXAMPLES, PREDICTIONS_EXAMPLES, RUNS_EXAMPLES, UPLOAD_EXAMPLES
from service.sweeps.fits import fits_for
from service.sweeps.labels import SweepLabelsBody
from service.sweeps.schemas import (
    AppendedBody,
    FitBody,
    PredictedBody,
    PredictionsBody,
    RunListing,
    RunPage,
    RunsUpload,
    SweepBody,
    SweepListing,
    SweepPage,
    SweepUpload,
)

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])

_UPLOAD = TypeAdapter(SweepUpload)
_LABELS = TypeAdapter(SweepLabelsBody)
_RUNS = TypeAdapter(RunsUpload)
_PREDICTIONS = TypeAdapter(PredictionsBody)
_NO_CACHE = {"Cache-Control": "no-cache"}

_CREATED: dict[str, Any] = {
    "model": SweepBody,
    "description": "Created, with its runs.",
    "headers": {
        "Location": {"description": "Address of the sweep.", "schema": {"type": "string"}},
        "Idempotency-Replayed": {
            "description": "`true` if the key named an earlier upload.",
            "schema": {"type": "string"},
        },
    },
}


def _limits(request: Request) -> SweepLimits:
    return logic.limits_of(request.app.state.settings)


Limits = Annotated[SweepLimits, Depends(_limits)]
FEW_RUNS = 1_000  # of an upload that needs no place in the lane (chosen): stored in some 100 ms


@router.post(
    "",
    operation_id="createSweep",
    summary="Upload a sweep",
    status_code=201,
    responses={201: _CREATED, **error_responses(400, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(SweepUpload, UPLOAD_EXAMPLES),
)
async def create_sweep(
    request: Request, store: CalibrateStore, limits: Limits, heavy: Heavy, idempotency_key: IdempotencyKey = None
) -> Response:
    """Store training runs that were made anywhere, with their learning rate, their loss and any axes.

    Nothing is trained. The answer is the sweep with its address; its fit is one request away.
    """
    body = await read_json(request, _UPLOAD, ANY_BYTES)
    create = partial(logic.create, store, body, limits, idempotency_key)
    sweep, replayed = await (run_in_threadpool if len(body.runs) <= FEW_RUNS else heavy.run)(create)
    headers = {"Location": f"/v1/sweeps/{sweep.id}"} | ({"Idempotency-Replayed": "true"} if replayed else {})
    return json_response(logic.sweep_body(sweep), 201, headers)


@router.get(
    "",
    operation_id="listSweeps",
    summary="List sweeps",
    responses={200: {"model": SweepPage}, **error_responses(422, 503)},
)
def list_sweeps(store: ReadStore, listing: Annotated[SweepListing, Query()]) -> Response:
    """Return sweeps without their runs, newest first, in pages."""
    page = store.sweeps.page(cursor=listing.cursor, limit=listing.limit)
    items = [logic.sweep_body(sweep) for sweep in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=_NO_CACHE)


@router.get(
    "/{sweep_id}",
    operation_id="getSweep",
    summary="Show a sweep",
    responses={200: {"model": SweepBody}, **error_responses(404, 422, 503)},
)
def get_sweep(sweep_id: SweepId, store: ReadStore) -> Response:
    """Return how many runs it has, and which part of each axis they cover."""
    return json_response(logic.sweep_body(store.sweeps.get(sweep_id)), headers=_NO_CACHE)


@router.patch(
    "/{sweep_id}",
    operation_id="labelSweep",
    summary="Rename a sweep, or note something",
    responses={200: {"model": SweepBody}, **error_responses(400, 404, 413, 415, 422, 503)},
    openapi_extra=json_body(SweepLabelsBody, LABELS_EXAMPLES),
)
async def label_sweep(request: Request, sweep_id: SweepId, store: CalibrateStore) -> Response:
    """Set the name or the notes of a sweep; null removes the notes, and what is left out stays.

    Its runs and its revision stay as they are, and so does its fit.
    """
    labels = (await read_json(request, _LABELS)).model_dump(exclude_unset=True)
    return json_response(logic.sweep_body(await run_in_threadpool(store.sweeps.label, sweep_id, labels)))


@router.delete(
    "/{sweep_id}",
    operation_id="deleteSweep",
    summary="Delete a sweep",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Deleted, with its runs."}, **error_responses(404, 422, 503)},
)
def delete_sweep(sweep_id: SweepId, store: CalibrateStore) -> Response:
    """Delete a sweep and its runs; plans that were made from it stay as they are."""
    store.sweeps.delete(sweep_id)
    return Response(status_code=204)


@router.post(
    "/{sweep_id}/runs",
    operation_id="addRuns",
    summary="Add runs to a sweep",
    responses={200: {"model": AppendedBody}, **error_responses(400, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(RunsUpload, RUNS_EXAMPLES),
)
async def add_runs(
    request: Request, sweep_id: SweepId, store: CalibrateStore, limits: Limits, heavy: Heavy
) -> Response:
    """Store the runs that the sweep lacks, all or none; repeating the request changes nothing.

    A run is known by its axes, its learning rate and its seed. 409 if the sweep has one of them with another loss.
    """
    body = await read_json(request, _RUNS, ANY_BYTES)
    append = partial(logic.append, store, sweep_id, body.runs, limits)
    return json_response(await (run_in_threadpool if len(body.runs) <= FEW_RUNS else heavy.run)(append))


@router.get(
    "/{sweep_id}/runs",
    operation_id="listRuns",
    summary="List the runs of a sweep",
    responses={200: {"model": RunPage}, **error_responses(404, 422, 503)},
)
def list_runs(sweep_id: SweepId, store: ReadStore, listing: Annotated[RunListing, Query()]) -> Response:
    """Return every run as it was read, oldest first, in pages."""
    page = store.sweeps.runs(sweep_id, cursor=listing.cursor, limit=listing.limit)
    items = [logic.run_body(run) for run in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers=_NO_CACHE)


@router.get(
    "/{sweep_id}/fit",
    operation_id="fitSweep",
    summary="Fit a sweep",
    responses={200: {"model": FitBody}, **error_responses(404, 409, 422, 429, 503)},
)
async def fit_sweep(request: Request, sweep_id: SweepId, store: ReadStore) -> Response:
    """Return every cell's optimum and one law over all axes, with intervals, the scatter of cells and warnings.

    The first request after new runs takes seconds; the answer is then kept. 409 if there are no runs, or if they all
    diverged.
    """
    sweep, fit = await logic.fitted(fits_for(request), store, sweep_id)
    body = await run_in_threadpool(fit.to_dict)
    return json_response({"sweep": logic.revision_body(sweep), **body}, headers=_NO_CACHE)


@router.post(
    "/{sweep_id}/predictions",
    operation_id="predictSweep",
    summary="Predict the best learning rate of cells that were not run",
    responses={200: {"model": PredictedBody}, **error_responses(400, 404, 409, 413, 415, 422, 429, 503)},
    openapi_extra=json_body(PredictionsBody, PREDICTIONS_EXAMPLES),
)
async def predict_sweep(request: Request, sweep_id: SweepId, store: ReadStore) -> Response:
    """Return the rate at each place with its intervals and its expected regret, and the score of a holdout.

    Nothing is stored. A place has a value for every axis of the sweep.
    """
    body = await read_json(request, _PREDICTIONS)
    if not body.places and body.holdout is None:
        raise RefusedInputError("The body asks for nothing: give places, or a holdout.")
    fits = fits_for(request)
    sweep, fit = await logic.fitted(fits, store, sweep_id)
    answer = {
        "sweep": logic.revision_body(sweep),
        "predictions": await logic.predictions(fit, body.places),
        "held_out": None if body.holdout is None else await logic.held_out(fits, store, sweep, body.holdout),
        "warnings": [warning._asdict() for warning in fit.warnings],
    }
    return json_response(answer)
