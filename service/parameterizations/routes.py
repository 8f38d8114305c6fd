"""GET /v1/parameterizations: every theoretical exponent, computed once and cacheable."""

import hashlib
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from service.http.dependencies import Reader
from service.http.fields import FormField, ReadoutOmega
from service.http.openapi import error_responses
from service.parameterizations.schemas import Parameterizations
from widthwise.rules.in_force import REFERENCE
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import AlignmentName, Form, Optimizer, Parameterization

router = APIRouter(tags=["parameterizations"])

_CACHE = "public, max-age=3600"  # chosen: the theory changes only with a release, and then the ETag changes too


class Choice(BaseModel):
    """Which of the published variants to return."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    form: FormField = Form.TABLE_9
    readout_omega: ReadoutOmega = Field(0.5)


@lru_cache(maxsize=64)  # three forms × the two readout omegas in use; others are computed in ~1 ms
def _answer(form: Form, readout_omega: float) -> tuple[bytes, str]:
    """Return the body and its ETag."""
    items: list[dict[str, Any]] = []
    for parameterization in Parameterization:
        shape = form if parameterization is Parameterization.MUP else Form.TABLE_9
        for optimizer in Optimizer:
            for alignment in AlignmentName:
                theory = theoretical_exponents(
                    parameterization, optimizer, alignment.value, readout_omega=readout_omega, form=shape
                )
                items.append(
                    {
                        "parameterization": parameterization,
                        "optimizer": optimizer,
                        "alignment": alignment,
                        "form": shape,
                        "readout_omega": readout_omega,
                        "exponents": {
                            role: {name: float(getattr(e, name)) for name in ("a", "b", "c", "g")}
                            for role, e in theory.items()
                        },
                    }
                )
    body = to_json({"items": items, "source": REFERENCE})
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


@router.get(
    "/v1/parameterizations",
    operation_id="listParameterizations",
    summary="List every theoretical exponent",
    responses={
        200: {
            "model": Parameterizations,
            "headers": {
                "ETag": {"description": "Changes when the numbers do.", "schema": {"type": "string"}},
                "Cache-Control": {"schema": {"type": "string"}},
            },
        },
        304: {"description": "The numbers have not changed since the ETag in If-None-Match."},
        **error_responses(422),
    },
)
async def list_parameterizations(
    reader: Reader,
    choice: Annotated[Choice, Query()],
    if_none_match: Annotated[str | None, Header(description="An ETag from an earlier response.")] = None,
) -> Response:
    """Return a, b, c and g of every role, for every parameterization, optimizer and alignment (full and none).

    A quantity is proportional to width^(−exponent). `form` chooses which of muP's published forms its rows are in,
    `readout_omega` sets the readout's ω.
    """
    del reader  # the theory belongs to everyone; only the service requires a key
    body, etag = _answer(choice.form, choice.readout_omega)
    headers = {"ETag": etag, "Cache-Control": _CACHE}
    if if_none_match is not None:
        known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        if etag in known or "*" in known:
            return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
