"""POST /v1/advice: what to choose for a scale-up, and what each choice rests on."""

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from service.advice.schemas import AdviceBody, AdviceRequest
from service.exponents.routes import exponent_body
from service.http.dependencies import ReadStore
from service.http.openapi import error_responses, json_body
from service.http.problems import json_response
from service.http.request_bodies import read_json
from service.store import LIMIT_MAXIMUM, ExponentFilter
from widthwise.advice import advise

router = APIRouter(tags=["advice"])

_REQUEST = TypeAdapter(AdviceRequest)
EXAMPLES = {
    "contract": {
        "summary": "AdamW in the standard parameterization, a model four times as wide on more tokens",
        "value": {
            "optimizer": "adamw",
            "parameterization": "standard",
            "base": {"width": 1024, "tokens": 10_000_000_000},
            "target": {"width": 4096, "head_dim": 128, "tokens": 100_000_000_000, "parameters": 7_000_000_000},
            "may_change": ["parameterization"],
        },
    }
}


@router.post(
    "/v1/advice",
    operation_id="createAdvice",
    summary="Rank choices for a scale-up by their evidence",
    responses={200: {"model": AdviceBody}, **error_responses(400, 413, 415, 422, 503)},
    openapi_extra=json_body(AdviceRequest, EXAMPLES),
)
async def create_advice(request: Request, store: ReadStore) -> Response:
    """Return parameterizations, alignments and rules in the order of their evidence, each with what it rests on.

    The newest stored exponents of the optimizer stand next to the lines of their setting. Nothing is stored.
    """
    case = (await read_json(request, _REQUEST)).to_case()
    where = ExponentFilter(quantity="learning_rate", optimizer=case.optimizer.value)
    page = await run_in_threadpool(store.exponents.page, where, limit=LIMIT_MAXIMUM)
    return json_response(advise(case, [exponent_body(row) for row in page.items]))
