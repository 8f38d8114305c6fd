"""Every error leaves the service as an RFC 9457 problem document: how one is written, and who catches what."""

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails, to_jsonable_python
from starlette.exceptions import HTTPException

from service import errors
from service.http.request_labels import route_of
from service.store import errors as store_errors
from widthwise import errors as library

PROBLEM_TYPE = "application/problem+json"
MAX_LISTED = 100  # faults listed in one answer (chosen): enough to fix a file with, small enough to read
QUOTA_SECONDS = 60  # after which an owner over a quota may try again (chosen): shards end, or they delete something
_MAX_SHOWN_VALUE = 100  # characters of a refused value that are sent back (chosen)

_log = structlog.get_logger(__name__)


def problem_response(error: errors.ApiError, instance: str) -> Response:
    """Write `error` as application/problem+json; `instance` is the path that was asked."""
    body: dict[str, Any] = {
        "type": f"/problems/{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
    }
    if error.errors:
        body["errors"] = list(error.errors[:MAX_LISTED])
    body.update(error.extra)
    # "replace": a path or a detail may quote a lone surrogate, which has no UTF-8.
    content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    return Response(content, error.status, headers=error.headers, media_type=PROBLEM_TYPE)


def faults(details: Iterable[ErrorDetails | Mapping[str, Any]], document: Any = None) -> list[dict[str, Any]]:
    """Pydantic's error list as [{pointer or field, message, value}], one entry for each place and message.

    `document` is the parsed body, by which the names of union branches in a location are told from real members.
    """
    listed: list[dict[str, Any]] = []
    seen: set[tuple[str, str]] = set()
    for detail in details:
        location = tuple(detail["loc"])
        fault: dict[str, Any] = {}
        if location and location[0] in ("query", "header", "path", "cookie"):
            fault["field"] = ".".join(str(part) for part in location[:2])
        else:
            fault["pointer"] = _pointer(location, document, missing=detail["type"] == "missing")
        fault["message"] = _message(detail)
        key = (fault.get("pointer") or fault.get("field") or "", fault["message"])
        if key in seen:
            continue
        seen.add(key)
        if detail["type"] not in ("missing", "extra_forbidden") and _is_small(detail.get("input")):
            fault["value"] = detail["input"]
        listed.append(fault)
    return listed


def _pointer(location: Sequence[Any], document: Any, *, missing: bool) -> str:
    """RFC 6901 pointer of a location, without the parts that only name a branch of a union."""
    parts: list[str] = []
    here = document
    for index, part in enumerate(location):
        inside = (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if inside:
            here = here[part]
            parts.append(str(part))
        elif missing and index == len(location) - 1:
            parts.append(str(part))
    return "#" + "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _message(detail: Mapping[str, Any]) -> str:
    kind, message = detail["type"], str(detail["msg"])
    if kind == "extra_forbidden":
        return f"There is no field {str(detail['loc'][-1])[:60]!r} here; remove it or fix the spelling"
    if kind == "missing":
        return "This field is required"
    if kind == "union_tag_not_found" and (tag := re.search(r"'(\w+)'", message)):
        return f"The field {tag[1]!r} is required"
    if kind == "union_tag_invalid" and (
        tag := re.search(r"tag '(.*)' found using '(\w+)'.*tags: (.+)$", message, re.DOTALL)
    ):
        return f"{tag[2]} is {tag[1][:60]!r}; it must be one of {tag[3]}"
    return re.sub(r"^Input should", "It must", message.removeprefix("Value error, "))


def _is_small(value: Any) -> bool:
    """Whether a refused value can be quoted: a finite scalar of few characters that has a UTF-8 form."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < 1 << 63
    if isinstance(value, str):
        return len(value) <= _MAX_SHOWN_VALUE and not any("\ud800" <= c <= "\udfff" for c in value)
    return value is None


def invalid_request(listed: Sequence[Mapping[str, Any]]) -> errors.InvalidRequestError:
    """Sum a list of faults up in one error: the first is named in the detail."""
    if not listed:
        return errors.InvalidRequestError("The request is not valid.")
    first = listed[0]
    place = first.get("field") or first.get("pointer")
    place = "the body" if place in ("#", None) else place
    shown = f" (got {first['value']!r})" if "value" in first else ""
    more = f"; and {len(listed) - 1} more" if len(listed) > 1 else ""
    return errors.InvalidRequestError(f"{place}: {first['message']}{shown}{more}.", errors=listed)


def from_library(error: library.WidthwiseError) -> errors.ApiError:  # noqa: PLR0911  one line for each class
    """Return the answer that belongs to an error of the library or the store."""
    match error:
        case library.UnplacedTensorsError():
            listed = [asdict(group) for group in error.groups[:MAX_LISTED]]
            return errors.RefusedTensorsError(str(error), errors=[_from_field(error)], tensors=listed)
        case library.InvalidInputError():
            return errors.RefusedInputError(str(error), errors=[_from_field(error)])
        case library.EstimateError():
            return errors.ConflictError(str(error))
        case store_errors.NotFoundError():
            return errors.NoSuchResourceError(str(error))
        case store_errors.StateConflictError():
            return errors.ConflictError(str(error))
        case store_errors.IdempotencyConflictError():
            return errors.KeyReusedError(str(error), errors=(), headers=None, **{f"{error.noun}_id": error.identifier})
        case store_errors.ContradictionError():
            fault = {"pointer": f"#/runs/{error.index}", "message": f"is stored with loss {error.stored}"}
            return errors.ConflictError(str(error), errors=[{**fault, "value": error.sent}])
        case store_errors.QuotaExceededError():
            fault = {"pointer": "#", "message": str(error)}
            numbers = {"asked": error.asked, "limit": error.limit, "in_use": error.in_use}
            headers = {"Retry-After": str(QUOTA_SECONDS)}
            return errors.OverQuotaError(str(error), errors=[fault | numbers], headers=headers)
        case store_errors.StoreUnavailableError() | store_errors.SchemaError():
            # The message may name a path or an address of the database: it belongs in the log.
            return errors.NotReadyError("The database can't answer now; try again.", headers={"Retry-After": "5"})
        case _:
            return errors.UnexpectedError("The service made a mistake; the log has it under this request's id.")


def _from_field(error: library.InvalidInputError) -> dict[str, Any]:
    return {"field": error.field or "", "message": str(error)}


def _from_http(request: Request, exception: HTTPException) -> errors.ApiError:
    """Starlette's own refusals: no route, no method; FastAPI's: a body that can't be parsed."""
    headers = dict(exception.headers or {})
    path = request.url.path[:200]
    if exception.status_code == HTTPStatus.NOT_FOUND:
        return errors.NoSuchResourceError(f"There is nothing at {path}; /docs lists what there is.")
    if exception.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed: Callable[[str], str | None] = request.app.state.allowed_methods
        headers = {"Allow": allowed(request.url.path) or headers.get("Allow", "GET")}
        detail = f"{request.method[:20]} is not a method of {path}; it has {headers['Allow']}."
        return errors.MethodNotAllowedError(detail, headers=headers)
    if exception.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return errors.MalformedRequestError(str(exception.detail), headers=headers)
    return errors.UnexpectedError("The service could not answer.", headers=headers)


def add_handlers(app: FastAPI) -> None:
    """Register one handler for each source of errors; all of them end in `problem_response`."""

    async def on_api_error(request: Request, exception: Exception) -> Response:
        assert isinstance(exception, errors.ApiError)  # noqa: S101  registered for this class
        return problem_response(exception, request.url.path)

    async def on_library_error(request: Request, exception: Exception) -> Response:
        assert isinstance(exception, library.WidthwiseError)  # noqa: S101
        answer = from_library(exception)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            request_id = str(getattr(request.state, "request_id", ""))
            _log.error("request_failed", route=route_of(request.scope), request_id=request_id, exc_info=exception)
        return problem_response(answer, request.url.path)

    async def on_validation_error(request: Request, exception: Exception) -> Response:
        assert isinstance(exception, RequestValidationError)  # noqa: S101
        details = exception.errors()
        of_path = [detail for detail in details if detail["loc"] and detail["loc"][0] == "path"]
        if of_path:
            # An id that no id can look like names nothing: 404, as for one that is well-formed and unknown.
            told = "No resource can have this identifier; use one from a listing."
            if of_path[0]["type"] == "literal_error":
                told = f"There is no such {of_path[0]['loc'][-1]}; it is one of {of_path[0]['ctx']['expected']}."
            return problem_response(errors.NoSuchResourceError(told), request.url.path)
        return problem_response(invalid_request(faults(details, exception.body)), request.url.path)

    async def on_http_exception(request: Request, exception: Exception) -> Response:
        assert isinstance(exception, HTTPException)  # noqa: S101
        return problem_response(_from_http(request, exception), request.url.path)

    async def on_exception(request: Request, exception: Exception) -> Response:
        # This handler runs outside `service.http.middleware`, which gives every other answer its id.
        request_id = str(getattr(request.state, "request_id", ""))
        _log.error(
            "request_crashed",
            method=request.method,
            route=route_of(request.scope),  # not the path, which may hold what was pasted into it
            request_id=request_id,
            exc_info=exception,
        )
        detail = "The service made a mistake; its log has the details under this request's id."
        error = errors.UnexpectedError(detail, headers={"X-Request-Id": request_id})
        return problem_response(error, request.url.path)

    async def on_nothing_more(request: Request, exception: Exception) -> Response:  # noqa: ARG001
        return Response(status_code=HTTPStatus.NO_CONTENT)

    handlers: list[tuple[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = [
        (errors.ApiError, on_api_error),
        (library.WidthwiseError, on_library_error),
        (RequestValidationError, on_validation_error),
        (HTTPException, on_http_exception),
        (errors.NothingMoreError, on_nothing_more),
        (Exception, on_exception),
    ]
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Serialise once, in Rust, without FastAPI's second validation; never NaN or Infinity, which are not JSON."""
    return Response(orjson.dumps(content, to_jsonable_python), status, headers=headers, media_type="application/json")
