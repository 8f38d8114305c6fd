"""GET /livez and /readyz: for whatever restarts the process, and for whatever sends it traffic."""

from fastapi import APIRouter, Response

from service.dependencies import StoreDependency
from service.health.schemas import Live, Ready
from service.openapi import problems
from service.problems import json_response
from widthwise.version import VERSION

router = APIRouter(tags=["health"])

_NO_STORE = {"Cache-Control": "no-store"}


@router.get(
    "/livez",
    operation_id="getLiveness",
    summary="Say that the process lives",
    responses={200: {"model": Live}, **problems()},
)
async def get_liveness() -> Response:
    """Depends on nothing: a failure means that the process should be restarted."""
    return json_response(Live(version=VERSION), headers=_NO_STORE)


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Say whether requests can be answered",
    responses={200: {"model": Ready}, **problems(503)},
)
def get_readiness(store: StoreDependency) -> Response:
    """Reads the database and its schema revision; 503 while either is not as this version needs it."""
    store.check_ready()
    return json_response(Ready(), headers=_NO_STORE)
