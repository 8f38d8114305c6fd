"""What the OpenAPI document says of a calibration's answers, and the answer to a submission."""

from typing import Any

from fastapi import Response

from service.calibrations import logic
from service.calibrations.schemas import CalibrationBody
from service.http.problems import json_response
from service.store import CreatedCalibration, StoredCalibration

NO_CACHE = {"Cache-Control": "no-cache"}

ACCEPTED: dict[str, Any] = {
    "model": CalibrationBody,
    "description": "Accepted: workers will run it, and its URL shows the progress.",
    "headers": {
        "Location": {"description": "Address of the calibration.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds to wait before the first poll.", "schema": {"type": "integer"}},
        "Idempotency-Replayed": {
            "description": "`true` if the key named an earlier submission.",
            "schema": {"type": "string"},
        },
    },
}


RETRIED: dict[str, Any] = {
    **ACCEPTED,
    "description": "Accepted: its failed shards are queued again.",
    "headers": {name: ACCEPTED["headers"][name] for name in ("Location", "Retry-After")},
}
SHOWN: dict[str, Any] = {
    "model": CalibrationBody,
    "headers": {
        "Retry-After": {
            "description": "Seconds to wait before polling again; absent once the calibration has ended.",
            "schema": {"type": "integer"},
        }
    },
}


def accepted(created: CreatedCalibration) -> Response:
    """Return the answer to a submission: 202, with the calibration's address."""
    return will_run(created.calibration, {"Idempotency-Replayed": "true"} if created.replayed else {})


def will_run(calibration: StoredCalibration, more: dict[str, str]) -> Response:
    """Return 202 with a calibration's address and when to look at it, and further headers."""
    headers = {"Location": f"/v1/calibrations/{calibration.id}", "Retry-After": str(logic.SOONEST_LOOK_SECONDS)}
    return json_response(logic.calibration_body(calibration), 202, headers | more)
