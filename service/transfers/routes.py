"""POST /v1/transfers: from a tuned base to every hyperparameter of the target."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from anyio import from_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import TypeAdapter

from service.auth.caller import Caller
from service.exports.schemas import ExportChoice
from service.http.dependencies import Reader, store_of
from service.http.figures import PRINTED, figure_response, figure_responses
from service.http.lanes import Heavy, sender_of
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import ANY_BYTES, read_body, validated
from service.sweeps.fits import fits_for
from service.transfers.answer import PlanBody
from service.transfers.examples import EXAMPLES
from service.transfers.large import LARGE_BYTES, LargeTransfers
from service.transfers.measured import NOTHING, FromMeasurements, measured, names_measurements
from service.transfers.schemas import TransferBody
from widthwise.exports.registry import EXPORTS
from widthwise.transfers.transfer import plan_of

router = APIRouter(tags=["transfers"])

_REQUEST = TypeAdapter(TransferBody)
FILES: dict[str, Any] = {
    media_type: {"schema": {} if "yaml" in media_type else {"type": "string"}}  # of what a YAML file holds
    for media_type in sorted({each.media_type for each in EXPORTS.values()} - {"application/json"})
}
FILE_HEADERS: dict[str, Any] = {
    "Content-Disposition": {"description": "With `export`: the name of the file.", "schema": {"type": "string"}},
    "Widthwise-Plan": {"description": "With `export`: the digest of the plan.", "schema": {"type": "string"}},
    "Widthwise-Not-Expressed": {
        "description": "With `export`: the quantities that the plan changes and the file does not have.",
        "schema": {"type": "string"},
    },
}


@router.post(
    "/v1/transfers",
    operation_id="createTransfer",
    summary="Transfer tuned hyperparameters to a wider model",
    responses={
        200: {"model": PlanBody, "content": FILES, "headers": FILE_HEADERS},
        **error_responses(400, 404, 409, 413, 415, 422, 429, 503),
    },
    openapi_extra=json_body(TransferBody, EXAMPLES),
)
async def create_transfer(request: Request, caller: Reader, choice: Annotated[ExportChoice, Query()]) -> Response:
    """Return every learning rate, epsilon, init, multiplier and decay of the target, by role and by tensor.

    Each is a value, its multiplier (target / base), its exponent (∝ width^(−exponent)) and the reason. Nothing is
    stored: the same request gives the same answer. Tensors that can't be placed are a 422 that lists each of them
    with what would settle it.

    With `export` the answer is the file that a trainer reads. One that would lose a value that the plan moves by more
    than 1 % is a 422 that lists what, unless `allow_lossy` is true.
    """
    body = await read_body(request, ANY_BYTES)
    if choice.export is not None or len(body) > LARGE_BYTES:  # patterns of many names take seconds to prove
        return await _large(request, caller, body, choice)
    transfer = validated(_REQUEST, body)
    if transfer.model is not None:  # a few bytes can describe a model of any size
        return await _large(request, caller, body, choice)
    found = NOTHING
    if names_measurements(transfer):
        found = await measured(transfer, store_of(request, caller), fits_for(request))
    return json_response(plan_of(transfer.to_request(*found)).to_dict())


@router.post(
    "/v1/transfers/plot.{suffix}",
    operation_id="drawTransfer",
    summary="Draw a transfer over width",
    response_class=Response,
    responses=figure_responses(
        "The quantities that the plan changes, each from the base's width to the target's, with a line for each role.",
        *("svg", "pdf", "png", "csv"),
        errors=(400, 404, 409, 413, 415, 422, 429, 503),
    ),
    openapi_extra=json_body(TransferBody, EXAMPLES),
)
async def draw_transfer(
    request: Request,
    caller: Reader,
    heavy: Heavy,
    suffix: Annotated[Literal["svg", "pdf", "png", "csv"], Path(description=f"`svg` to show; {PRINTED}")],
) -> Response:
    """Draw the plan that `POST /v1/transfers` answers to the same body; 422 if it names no widths."""
    body = await read_body(request, ANY_BYTES)
    large: LargeTransfers = request.app.state.large
    figure = await large.figure(sender_of(request), body, _measured_of(request, caller))
    return figure_response(await heavy.run(partial(figure.encoded, suffix)), suffix, "plan")


async def _large(request: Request, caller: Caller | None, body: bytes, choice: ExportChoice) -> Response:
    large: LargeTransfers = request.app.state.large
    return await large.answer(sender_of(request), body, _measured_of(request, caller), choice)


def _measured_of(request: Request, caller: Caller | None) -> Callable[[TransferBody], FromMeasurements]:
    return lambda transfer: from_thread.run(measured, transfer, store_of(request, caller), fits_for(request))
