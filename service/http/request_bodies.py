"""Reading a JSON body: bytes to a validated model in one pass in Rust, each fault a clear 4xx."""

import sys
from collections.abc import Callable, Coroutine
from itertools import takewhile
from json import loads
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.routing import request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
)
from service.http.outlines import MAX_OUTLINE, outline
from service.http.problems import faults, invalid_request

T = TypeVar("T")

#: Pydantic's parser takes NaN and Infinity, which are not JSON; every number field here refuses them (422).
_JSON_INVALID = "json_invalid"

#: Listing a fault takes microseconds, and a body of megabytes can hold a million; no one reads more than a few.
MANY_FAULTS = 1_000

MAX_BYTES = 1 << 16  # of a body that holds no long list (chosen): the largest specification takes some thousands
ANY_SIZE = sys.maxsize  # for a body that holds a long list: the service's cap on all of them is the only one

#: Bodies over MAX_OUTLINE are validated off the event loop, one at a time. Pydantic holds the interpreter's lock while
#: it reads one, so others wait for that long all the same; a second one at once would only double the memory.
_ONE_AT_A_TIME = CapacityLimiter(1)


async def read_json(request: Request, adapter: TypeAdapter[T], max_bytes: int = MAX_BYTES) -> T:
    """Return the request's body as `adapter`'s type.

    max_bytes: of this kind of body; the service's cap on all of them holds before (`service.http.middleware`).
    Raises UnsupportedMediaTypeError (415), BodyTooLargeError (413), MalformedRequestError (400) or InvalidRequestError
    (422), and ClientDisconnect where the client left or took too long (already answered by `connection_limits`).
    """
    raw = length = b""
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            raw = raw or value
        elif name == b"content-length":
            length = value
    declared = raw.decode("latin-1")
    media_type = declared.partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        got = f"{declared[:100]!r}" if declared else "no Content-Type"
        raise UnsupportedMediaTypeError(
            f"The request has {got}; send the header 'Content-Type: application/json'.",
            headers={"Accept-Post": "application/json"},
        )
    if length.isdigit() and int(length) > max_bytes:  # at most 19 digits: others were refused before
        raise _too_large(max_bytes)
    body = await _whole_body(request.receive, max_bytes)
    if not body.strip():
        raise MalformedRequestError("The body is empty; send a JSON object (/docs shows an example).")
    if len(body) <= MAX_OUTLINE:
        return _validated(adapter, body)
    return await to_thread.run_sync(_validated_large, adapter, body, limiter=_ONE_AT_A_TIME)


async def _whole_body(receive: Receive, max_bytes: int) -> bytes:
    """Return the body, which mostly comes as one message: Starlette's own way costs as much as its validation."""
    parts: list[bytes] = []
    received, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        received += len(part)
        if received > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(max_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"The body is too large; this address reads at most {max_bytes} bytes: send less.")


def _validated(adapter: TypeAdapter[T], body: bytes, *, is_outline: bool = False) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise _refusal(error, body, is_outline=is_outline) from None


def _validated_large(adapter: TypeAdapter[T], body: bytes) -> T:
    """Validate what little is outside the long list first: see `service.http.outlines`."""
    _validated(adapter, outline(body), is_outline=True)
    return _validated(adapter, body)


class DirectRoute(APIRoute):
    """A route whose function takes the request alone: FastAPI's injection, a third of such a request, is left out.

    The OpenAPI document is derived from the same declaration as for any other route.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = request_response(self.endpoint)  # Starlette's own, without FastAPI's two exit stacks

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def direct_routes(app: FastAPI) -> dict[tuple[str, str], ASGIApp]:
    """Return the direct routes by method and path, each as an application that needs neither router nor layers.

    These cost such a request a fifth of its time (measured). Errors are answered by the application's own handlers.
    """
    found: dict[tuple[str, str], ASGIApp] = {}
    for route in app.router.routes:
        if isinstance(route, DirectRoute) and not route.param_convertors:
            found |= {(method, route.path): _alone(app, route) for method in route.methods or ()}
    return found


def _alone(app: FastAPI, route: DirectRoute) -> ASGIApp:
    endpoint = route.get_route_handler()

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response = await endpoint(request)
        except Exception as error:
            handler = _handler(app, error)
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)

    return answer


def _handler(app: FastAPI, error: Exception) -> Any:
    """The handler of the nearest class of an error; the last resort, for Exception, is the application's own."""
    kinds = (kind for kind in type(error).__mro__ if kind is not Exception)
    return next((app.exception_handlers[kind] for kind in kinds if kind in app.exception_handlers), None)


def _refusal(error: ValidationError, body: bytes, *, is_outline: bool) -> Exception:
    if error.error_count() > MANY_FAULTS:
        return InvalidRequestError(
            f"The body has {error.error_count()} faults, too many to list; see the schema at /docs."
        )
    details = error.errors(include_url=False, include_context=False)
    if details[0]["type"] == _JSON_INVALID:
        why = details[0]["msg"].removeprefix("Invalid JSON: ")
        if is_outline:
            why = f"{why.partition(' at line ')[0]}, outside its list of tensors or trials"
        return MalformedRequestError(f"The body is not JSON: {why}.")
    if is_outline:  # which later items it has says nothing of their places in the body
        for detail in details:
            detail["loc"] = tuple(takewhile(lambda part: isinstance(part, str) or part == 0, detail["loc"]))
    document: Any = None
    try:
        document = loads(body)
    except (ValueError, RecursionError):
        document = None  # pydantic read it, so only pointers get coarser
    return invalid_request(faults(details, document))
