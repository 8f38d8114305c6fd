"""Reading a JSON body: bytes to a validated model in one pass in Rust, each fault a clear 4xx."""

from collections.abc import Callable, Coroutine
from json import loads
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect
from starlette.routing import request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import InvalidRequestError, MalformedRequestError, UnsupportedMediaTypeError
from service.problems import faults, invalid_request

T = TypeVar("T")

#: Pydantic's parser takes NaN and Infinity, which are not JSON; every number field here refuses them (422).
_JSON_INVALID = "json_invalid"

#: Listing a fault takes microseconds, and a body of megabytes can hold a million; no one reads more than a few.
MANY_FAULTS = 1_000


async def read_json(request: Request, adapter: TypeAdapter[T]) -> T:
    """Give the request's body as `adapter`'s type.

    Raises UnsupportedMediaTypeError (415), MalformedRequestError (400) or InvalidRequestError (422); a body over the
    cap has been refused before (`service.bounds`).
    """
    raw = next((value for name, value in request.scope["headers"] if name == b"content-type"), b"")
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
    body = await _whole_body(request.receive)
    if not body.strip():
        raise MalformedRequestError("The body is empty; send a JSON object (/docs shows an example).")
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise _refusal(error, body) from None


async def _whole_body(receive: Receive) -> bytes:
    """Give the body, which mostly comes as one message: Starlette's own way costs as much as its validation."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    parts = [body]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
    return b"".join(parts)


class DirectRoute(APIRoute):
    """A route whose function takes the request alone: FastAPI's injection, a third of such a request, is left out.

    The OpenAPI document is derived from the same declaration as for any other route.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app = request_response(self.endpoint)  # Starlette's own, without FastAPI's two exit stacks

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the function itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def direct_routes(app: FastAPI) -> dict[tuple[str, str], ASGIApp]:
    """Give the direct routes by method and path, each as an application that needs neither router nor layers.

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


def _refusal(error: ValidationError, body: bytes) -> Exception:
    if error.error_count() > MANY_FAULTS:
        return InvalidRequestError(
            f"The body has {error.error_count()} faults, too many to list; see the schema at /docs."
        )
    details = error.errors(include_url=False, include_context=False)
    if details[0]["type"] == _JSON_INVALID:
        why = details[0]["msg"].removeprefix("Invalid JSON: ")
        return MalformedRequestError(f"The body is not JSON: {why}.")
    document: Any = None
    try:
        document = loads(body)
    except (ValueError, RecursionError):
        document = None  # pydantic read it, so only pointers get coarser
    return invalid_request(faults(details, document))
