"""POST /v1/transfers: from a tuned base to every hyperparameter of the target."""

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.http.dependencies import Reader, store_of
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import ANY_BYTES, read_json
from service.transfers.examples import EXAMPLES
from service.transfers.from_sweep import swept_exponents
from service.transfers.logic import calibrated_exponents
from service.transfers.schemas import CalibrationExponents, PlanBody, SweepExponents, TransferBody
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.exponents import Exponents
from widthwise.transfers.transfer import plan_of

router = APIRouter(tags=["transfers"])

_REQUEST = TypeAdapter(TransferBody)
_MANY_TENSORS = 5_000  # beyond this an answer takes tens of milliseconds: off the event loop, so that others get theirs
_ONE_AT_A_TIME = CapacityLimiter(1)  # such plans only hold each other up: they compute, under one interpreter lock


@router.post(
    "/v1/transfers",
    operation_id="createTransfer",
    summary="Transfer tuned hyperparameters to a wider model",
    responses={200: {"model": PlanBody}, **error_responses(400, 404, 409, 413, 415, 422, 503)},
    openapi_extra=json_body(TransferBody, EXAMPLES),
)
async def create_transfer(request: Request, caller: Reader) -> Response:
    """Return every learning rate, epsilon, init, multiplier and decay of the target, by role and by tensor.

    Each is a value, its multiplier (target / base), its exponent (∝ width^(−exponent)) and the reason. Nothing is
    stored: the same request gives the same answer. Tensors that can't be placed are a 422 that lists each of them
    with what would settle it.
    """
    body = await read_json(request, _REQUEST, ANY_BYTES)
    exponents, rules = None, dict[str, NamedRule]()
    if isinstance(body.exponents, CalibrationExponents):
        exponents = await run_in_threadpool(calibrated_exponents, body, store_of(request, caller))
    elif isinstance(body.exponents, SweepExponents):
        exponents, rules = await swept_exponents(body, store_of(request, caller), request.app.state.fits)
    if body.tensors is not None and len(body.tensors) > _MANY_TENSORS:
        return await to_thread.run_sync(_answer, body, exponents, rules, limiter=_ONE_AT_A_TIME)
    return _answer(body, exponents, rules)


def _answer(body: TransferBody, exponents: Exponents | None, rules: dict[str, NamedRule]) -> Response:
    return json_response(plan_of(body.to_request(exponents, rules)).to_dict())
