"""The routes of a calibration's figures: each as SVG, as PDF and PNG for print, and its numbers as CSV."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from service.calibrations.pictures import Pictures
from service.http.dependencies import ReadStore
from service.http.figures import PRINTED, figure_response, figure_responses
from service.http.identifiers import CalibrationId
from service.http.lanes import Heavy
from widthwise.figures.figure import Figure
from widthwise.figures.sweep import learning_rate_plot
from widthwise.figures.widths import width_plot

router = APIRouter(prefix="/v1/calibrations", tags=["calibrations"])

_ERRORS = (404, 422, 429, 503)
_PRINTED = ("pdf", "png", "csv")


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
    return figure_response(content, suffix, f"{found.id}-{kind}")


@router.get(
    "/{calibration_id}/plot.svg",
    operation_id="getCalibrationPlot",
    summary="Plot learning rate against loss",
    response_class=Response,
    responses=figure_responses("An SVG plot: one curve per width, with its optimum.", "svg", errors=_ERRORS),
)
async def get_plot(asked: Asked) -> Response:
    """Plot the trials stored so far."""
    return await _drawn(asked, "plot", "svg")


@router.get(
    "/{calibration_id}/widths.svg",
    operation_id="getCalibrationWidthPlot",
    summary="Plot the best learning rate over width",
    response_class=Response,
    responses=figure_responses(
        "An SVG plot: the optimum at each width, the candidate laws, and the prediction's interval.",
        "svg",
        errors=_ERRORS,
    ),
)
async def get_width_plot(asked: Asked) -> Response:
    """Plot the trials stored so far."""
    return await _drawn(asked, "widths", "svg")


Printed = Annotated[Literal["pdf", "png", "csv"], Path(description=PRINTED)]


@router.get(
    "/{calibration_id}/plot.{suffix}",
    operation_id="downloadCalibrationPlot",
    summary="Download the plot of learning rate against loss",
    response_class=Response,
    responses=figure_responses(
        "The figure of `plot.svg` for print, or its numbers with a row for each mark.", *_PRINTED, errors=_ERRORS
    ),
)
async def download_plot(asked: Asked, suffix: Printed) -> Response:
    """Return the same figure as `plot.svg` for print, or its numbers."""
    return await _drawn(asked, "plot", suffix)


@router.get(
    "/{calibration_id}/widths.{suffix}",
    operation_id="downloadCalibrationWidthPlot",
    summary="Download the plot of the best learning rate over width",
    response_class=Response,
    responses=figure_responses(
        "The figure of `widths.svg` for print, or its numbers with a row for each mark.", *_PRINTED, errors=_ERRORS
    ),
)
async def download_width_plot(asked: Asked, suffix: Printed) -> Response:
    """Return the same figure as `widths.svg` for print, or its numbers."""
    return await _drawn(asked, "widths", suffix)
