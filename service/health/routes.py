"""GET /livez and /readyz: for whatever restarts the process, and for whatever sends it traffic."""

from fastapi import APIRouter, Request, Response

from service.dependencies import StoreDependency
from service.health.broker import BrokerProbe
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
def get_readiness(request: Request, store: StoreDependency) -> Response:
    """Reads the database and its schema revision; 503 while either is not as this version needs it.

    The broker is asked too, for a second at most, and only told of: without it everything still works, more slowly.
    """
    store.check_ready()
    probe: BrokerProbe = request.app.state.broker_probe
    return json_response(Ready(broker=probe.state()), headers=_NO_STORE)
