"""The routes that draw a calibration."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from service.calibrations.documents import NO_CACHE
from service.calibrations.pictures import Pictures
from service.http.dependencies import ReadStore
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from service.http.openapi import error_responses
from widthwise.figures.sweep import learning_rate_plot
from widthwise.figures.widths import width_plot

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])


def _picture(description: str) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that draws."""
    picture = {"description": description, "content": {"image/svg+xml": {"schema": {"type": "string"}}}}
    return {200: picture, **error_responses(404, 422, 429, 503)}


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


DrawnPictures = Annotated[Pictures, Depends(_pictures)]


def _svg(picture: str) -> Response:
    headers = {**NO_CACHE, "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(picture, headers=headers, media_type="image/svg+xml")


@router.get(
    "/{calibration_id}/plot.svg",
    operation_id="getCalibrationPlot",
    summary="Plot learning rate against loss",
    response_class=Response,
    responses=_picture("An SVG plot: one curve per width, with its optimum."),
)
async def get_plot(calibration_id: CalibrationId, store: ReadStore, pictures: DrawnPictures, heavy: Heavy) -> Response:
    """Plot the trials stored so far."""
    found = await run_in_threadpool(store.calibrations.get, calibration_id)

    def drawn() -> str:
        return learning_rate_plot(found.spec, store.trials.all(found.id), found.result)

    kept = pictures.kept("plot", found)
    return _svg(await heavy.run(lambda: pictures.of("plot", found, drawn)) if kept is None else kept)


@router.get(
    "/{calibration_id}/widths.svg",
    operation_id="getCalibrationWidthPlot",
    summary="Plot the best learning rate over width",
    response_class=Response,
    responses=_picture("An SVG plot: the optimum at each width, the candidate laws, and the prediction's interval."),
)
async def get_width_plot(
    calibration_id: CalibrationId, store: ReadStore, pictures: DrawnPictures, heavy: Heavy
) -> Response:
    """Plot the trials stored so far."""
    found = await run_in_threadpool(store.calibrations.get, calibration_id)

    def drawn() -> str:
        return width_plot(found.spec, store.trials.all(found.id))

    kept = pictures.kept("widths", found)
    return _svg(await heavy.run(lambda: pictures.of("widths", found, drawn)) if kept is None else kept)
