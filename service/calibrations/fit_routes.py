"""The route of a calibration's fit so far: the numbers behind its pictures, while it runs and after."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from service.calibrations.documents import NO_CACHE
from service.calibrations.figures import DrawnPictures
from service.calibrations.fit_schemas import CalibrationFitBody, FitAsked
from service.http.dependencies import ReadStore
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from service.http.openapi import error_responses
from service.http.problems import json_response
from service.store import CalibrationState, Store, StoredCalibration
from widthwise.estimate.so_far import fit_so_far

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])


@router.get(
    "/{calibration_id}/fit",
    operation_id="getCalibrationFit",
    summary="Fit the trials so far",
    responses={200: {"model": CalibrationFitBody}, **error_responses(404, 422, 429, 503)},
)
async def get_fit(
    calibration_id: CalibrationId,
    store: ReadStore,
    asked: Annotated[FitAsked, Query()],
    pictures: DrawnPictures,
    heavy: Heavy,
) -> Response:
    """Return the optimum of each width, the laws over width, the chosen one and why, and predictions.

    It is fitted from the trials stored so far, so it can be asked of a calibration in any state; of one that has
    succeeded it says what `result` says. The answer changes only with the calibration's events.
    """
    found = await run_in_threadpool(store.calibrations.get, calibration_id)
    kind = f"fit at {asked.factors}"
    body = pictures.kept(kind, found)
    if body is None:
        body = await heavy.run(lambda: pictures.of(kind, found, lambda: _fit_body(store, found, asked)))
    return json_response(body, headers=NO_CACHE)


def _fit_body(store: Store, found: StoredCalibration, asked: FitAsked) -> dict[str, Any]:
    """Return the JSON form of the fit (`fit_schemas.CalibrationFitBody`)."""
    trials = store.trials.all(found.id)
    plain = sum(trial.is_plain for trial in trials)
    fit = fit_so_far(found.spec, trials)
    fitted = fit.to_dict(complete=found.state is CalibrationState.SUCCEEDED, multiples=asked.factors)
    return {"id": found.id, "state": found.state, "trials": plain, "other_trials": len(trials) - plain, **fitted}
