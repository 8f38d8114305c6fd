"""The routes of a calibration's figures: each as SVG, as PDF and PNG for print, and its numbers as CSV."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from service.calibrations.pictures import Pictures
from service.http.dependencies import ReadStore
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from service.http.openapi import error_responses
from widthwise.figures.figure import MEDIA_TYPES, Figure
from widthwise.figures.sweep import learning_rate_plot
from widthwise.figures.widths import width_plot

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])

_BINARY = {name: {"contentMediaType": name, "format": "binary"} for name in ("application/pdf", "image/png")}


def _picture(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that draws."""
    content = {name: {"schema": {"type": "string", **_BINARY.get(name, {})}} for name in media_types}
    return {200: {"description": description, "content": content}, **error_responses(404, 422, 429, 503)}


def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


DrawnPictures = Annotated[Pictures, Depends(_pictures)]


@dataclass(frozen=True)
class _Asked:
    """What every route that draws needs."""

    calibration_id: CalibrationId
    store: ReadStore
    pictures: DrawnPictures
    heavy: Heavy


Asked = Annotated[_Asked, Depends()]


async def _drawn(asked: _Asked, kind: str, suffix: str) -> Response:
    """Draw a figure of the trials stored so far, or take it from the cache, and answer it in a format."""
    found = await run_in_threadpool(asked.store.calibrations.get, asked.calibration_id)

    def draw() -> Figure:
        trials = asked.store.trials.all(found.id)
        if kind == "plot":
            return learning_rate_plot(found.spec, trials, found.result)
        return width_plot(found.spec, trials)

    kept = asked.pictures.kept(kind, found)
    if kept is not None and suffix in ("svg", "csv"):
        content = kept.encoded(suffix)
    else:
        content = await asked.heavy.run(lambda: asked.pictures.of(kind, found, draw).encoded(suffix))
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    if suffix != "svg":
        headers["Content-Disposition"] = f'attachment; filename="{found.id}-{kind}.{suffix}"'
    return Response(content, headers=headers, media_type=MEDIA_TYPES[suffix])


@router.get(
    "/{calibration_id}/plot.svg",
    operation_id="getCalibrationPlot",
    summary="Plot learning rate against loss",
    response_class=Response,
    responses=_picture("An SVG plot: one curve per width, with its optimum.", "image/svg+xml"),
)
async def get_plot(asked: Asked) -> Response:
    """Plot the trials stored so far."""
    return await _drawn(asked, "plot", "svg")


@router.get(
    "/{calibration_id}/widths.svg",
    operation_id="getCalibrationWidthPlot",
    summary="Plot the best learning rate over width",
    response_class=Response,
    responses=_picture(
        "An SVG plot: the optimum at each width, the candidate laws, and the prediction's interval.", "image/svg+xml"
    ),
)
async def get_width_plot(asked: Asked) -> Response:
    """Plot the trials stored so far."""
    return await _drawn(asked, "widths", "svg")


Printed = Annotated[
    Literal["pdf", "png", "csv"],
    Path(description="`pdf` or `png`, for which the service needs its extra `figures`; `csv`: the numbers."),
]
_PRINTED = ("application/pdf", "image/png", "text/csv")


@router.get(
    "/{calibration_id}/plot.{suffix}",
    operation_id="downloadCalibrationPlot",
    summary="Download the plot of learning rate against loss",
    response_class=Response,
    responses=_picture("The figure of `plot.svg` for print, or its numbers with a row for each mark.", *_PRINTED),
)
async def download_plot(asked: Asked, suffix: Printed) -> Response:
    """Return the same figure as `plot.svg` for print, or its numbers."""
    return await _drawn(asked, "plot", suffix)


@router.get(
    "/{calibration_id}/widths.{suffix}",
    operation_id="downloadCalibrationWidthPlot",
    summary="Download the plot of the best learning rate over width",
    response_class=Response,
    responses=_picture("The figure of `widths.svg` for print, or its numbers with a row for each mark.", *_PRINTED),
)
async def download_width_plot(asked: Asked, suffix: Printed) -> Response:
    """Return the same figure as `widths.svg` for print, or its numbers."""
    return await _drawn(asked, "widths", suffix)
