"""GET /livez, /readyz and /metrics: for supervisors, load balancers and Prometheus."""

from fastapi import APIRouter, Request, Response

from service.health.broker import BrokerProbe
from service.health.schemas import Live, Ready
from service.health.scraper import Scraper
from service.http.dependencies import StoreDependency
from service.http.openapi import error_responses
from service.http.problems import json_response
from service.observability.metrics import CONTENT_TYPE, Metrics
from widthwise.version import VERSION

router = APIRouter(tags=["health"])

_NO_STORE = {"Cache-Control": "no-store"}


@router.get(
    "/livez",
    operation_id="getLiveness",
    summary="Check that the process is alive",
    responses={200: {"model": Live}, **error_responses()},
)
async def get_liveness() -> Response:
    """Depends on nothing: a failure means that the process should be restarted."""
    return json_response(Live(version=VERSION), headers=_NO_STORE)


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Check whether requests can be answered",
    responses={200: {"model": Ready}, **error_responses(503)},
)
def get_readiness(request: Request, store: StoreDependency) -> Response:
    """Check the database and its schema revision; 503 while it does not answer or its schema is not current.

    The broker's state is reported too, after at most a second; without it everything still works, only more slowly.
    """
    store.check_ready()
    probe: BrokerProbe = request.app.state.broker_probe
    return json_response(Ready(broker=probe.state()), headers=_NO_STORE)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Show the metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Metrics in Prometheus's text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **error_responses(422),
    },
)
async def get_metrics(request: Request, _: Scraper) -> Response:
    """Return this process's requests, and shards, calibrations and workers from the database.

    The database is read at most every few seconds. While it does not answer, `widthwise_database_up` is 0, and a key
    that was valid within the last hour is still accepted here.
    """
    metrics: Metrics = request.app.state.metrics
    text = await metrics.expose(request.app.state.store)
    return Response(text, headers={**_NO_STORE, "Content-Type": CONTENT_TYPE})
