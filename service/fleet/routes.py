"""GET /v1/workers: every worker, what it runs, and which have stopped reporting."""

from typing import Any

from fastapi import APIRouter, Response

from service.fleet.schemas import WorkerList
from service.http.dependencies import ReadStore
from service.http.openapi import error_responses
from service.http.problems import json_response
from service.store import StoredWorker

router = APIRouter(tags=["workers"])

_NO_CACHE = {"Cache-Control": "no-cache"}


@router.get(
    "/v1/workers",
    operation_id="listWorkers",
    summary="List the workers",
    responses={200: {"model": WorkerList}, **error_responses(422, 503)},
)
def list_workers(store: ReadStore) -> Response:
    """Return every worker with its device, versions and current shard, the most recently seen first.

    A worker that has stopped reporting is `stale`, not failed: it may come back, and it keeps its shard until the
    lease ends.
    """
    return json_response({"items": [worker_body(worker) for worker in store.workers.all()]}, headers=_NO_CACHE)


def worker_body(worker: StoredWorker) -> dict[str, Any]:
    """Return the JSON form of a worker (`schemas.WorkerBody`)."""
    return {
        "id": worker.id,
        "state": worker.state,
        "host": worker.host,
        "device": worker.device,
        "versions": worker.versions,
        "last_seen": worker.last_seen,
        "seconds_since_seen": round(worker.seconds_since_seen, 3),
        "started_at": worker.started_at,
        "stopped_at": worker.stopped_at,
        "shard_id": worker.shard_id,
        "calibration_id": worker.calibration_id,
        "totals": worker.totals,
    }
