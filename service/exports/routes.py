"""GET /v1/exports: the forms that a plan can be written in."""

from functools import cache

from fastapi import APIRouter, Response

from service.exports.schemas import ExportList
from service.http.dependencies import Reader
from service.http.openapi import error_responses
from service.http.problems import json_response
from widthwise.exports.exporting import listed

router = APIRouter(tags=["transfers"])


@cache
def _body() -> bytes:
    return bytes(json_response({"items": listed()}).body)


@router.get(
    "/v1/exports",
    operation_id="listExports",
    summary="List the forms that a plan can be written in",
    responses={200: {"model": ExportList}, **error_responses(422)},
)
async def list_exports(reader: Reader) -> Response:  # noqa: ARG001  it checks the key
    """Return every form with its trainer, what it carries, and what the trainer's scheduler does to the values."""
    return Response(_body(), media_type="application/json")
