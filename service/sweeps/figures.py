"""The route of a sweep's figure: its cells, the law over each axis, and the numbers of both."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response

from service.http.dependencies import ReadStore
from service.http.figures import PRINTED, figure_response, figure_responses
from service.http.identifiers import SweepId
from service.sweeps import logic
from service.sweeps.fits import fits_for
from widthwise.figures.figure import Figure
from widthwise.figures.sweep_report import sweep_report

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])


@router.get(
    "/{sweep_id}/plot.{suffix}",
    operation_id="drawSweep",
    summary="Draw a sweep and its fit",
    response_class=Response,
    responses=figure_responses(
        "The curves of its cells, and the best rate over each axis with the law's bands.",
        *("svg", "pdf", "png", "csv"),
        errors=(404, 409, 422, 429, 503),
    ),
)
async def draw_sweep(
    request: Request,
    sweep_id: SweepId,
    suffix: Annotated[Literal["svg", "pdf", "png", "csv"], Path(description=f"`svg` to show; {PRINTED}")],
    store: ReadStore,
) -> Response:
    """Draw the fit of the runs stored so far; 409 if they can't be fitted."""
    fits = fits_for(request)
    sweep, fit = await logic.fitted(fits, store, sweep_id)
    key = ("figure", sweep.id, sweep.revision)
    figure: Any = fits.kept.find(*key)
    if figure is None:
        figure = await fits.run(lambda: fits.kept.of(*key, compute=partial(sweep_report, fit)))
    content = await fits.run(partial(Figure.encoded, figure, suffix))
    return figure_response(content, suffix, sweep.id)
