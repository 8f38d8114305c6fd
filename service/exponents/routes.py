"""GET /v1/exponents: what calibrations measured."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from service.exponents.schemas import ExponentPage, ExponentQuery
from service.http.dependencies import ReadStore
from service.http.openapi import error_responses
from service.http.problems import json_response
from service.store import ExponentFilter, ExponentRow

router = APIRouter(tags=["exponents"])


def exponent_body(row: ExponentRow) -> dict[str, Any]:
    """Return the JSON form of a stored exponent (`schemas.ExponentBody`)."""
    return {
        "id": row.id,
        "created_at": row.created_at,
        "quantity": row.quantity,
        "role": row.role,
        "value": row.value,
        "standard_error": row.standard_error,
        "interval": row.interval,
        "degrees_of_freedom": row.degrees_of_freedom,
        "theory": row.theory,
        "widths": list(row.widths),
        "source": row.source,
        "calibration_id": row.calibration_id,
        "calibration_name": row.calibration_name,
        "parameterization": row.parameterization,
        "optimizer": row.optimizer,
        "alignment": row.alignment,
        "architecture": row.architecture,
        "dataset": row.dataset,
        "provenance": row.provenance,
    }


@router.get(
    "/v1/exponents",
    operation_id="listExponents",
    summary="List measured exponents",
    responses={200: {"model": ExponentPage}, **error_responses(422, 503)},
)
def list_exponents(store: ReadStore, query: Annotated[ExponentQuery, Query()]) -> Response:
    """Return stored estimates with their intervals and provenance, newest first, in pages."""
    where = ExponentFilter(**query.model_dump(exclude={"cursor", "limit"}))
    page = store.exponents.page(where, cursor=query.cursor, limit=query.limit)
    items = [exponent_body(row) for row in page.items]
    return json_response({"items": items, "next_cursor": page.next_cursor}, headers={"Cache-Control": "no-cache"})
