"""Reading a JSON body: bytes to a validated model in one pass in Rust, each fault a clear 4xx."""

import re
import sys
from itertools import chain
from json import loads
from typing import Any, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.errors import (
    BodyTimeoutError,
    BodyTooLargeError,
    InvalidRequestError,
    MalformedRequestError,
    UnsupportedMediaTypeError,
)
from service.http.problems import faults, invalid_request

T = TypeVar("T")

#: Pydantic's parser takes NaN and Infinity, which are not JSON; every number field here refuses them (422).
_JSON_INVALID = "json_invalid"

#: Listing a fault takes microseconds, and a body of megabytes can hold a million; no one reads more than a few.
MANY_FAULTS = 1_000

SMALL_BYTES = 1 << 18  # of a body without a long list (chosen): the largest specification takes some thousands
ANY_BYTES = sys.maxsize  # for a list of tensors, trials or runs: WIDTHWISE_MAX_BODY_BYTES is the only limit
BODY_SECONDS = 60.0  # for a body to arrive in whole (chosen): 8 MiB over 1.2 Mbit/s

#: Of what a body over this size holds outside its long list (chosen): a whole specification takes some thousands.
#: Bodies over it are validated off the event loop, one at a time. Pydantic holds the interpreter's lock while it reads
#: one, so others wait for that long all the same; a second one at once would only double the memory.
MAX_OUTLINE_BYTES = 1 << 16
_ONE_AT_A_TIME = CapacityLimiter(1)

#: By member of a body: its members that may hold any object, such as a config.json or the shapes of a model. Pydantic
#: has no faults to list in one.
_FREE = {"model": ("base", "target")}

#: Objects and lists in a body over that size: 100,000 tensors of four lists each, and what is outside of them. Even an
#: empty one, of 3 bytes, takes 64 in Python and 90 in Pydantic's parser: 8 MiB of nested ones took 570 MiB (measured).
MAX_CONTAINERS = 600_000
#: Entries of an item of a list, or of a list in it: no field takes more. Pydantic lists every wrong one of an item, and
#: keeps 760 bytes for each (measured).
MAX_ENTRIES = 100_000
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


async def read_json(request: Request, adapter: TypeAdapter[T], max_bytes: int = SMALL_BYTES) -> T:
    """Return the request's body as `adapter`'s type.

    max_bytes: of this kind of body; the service's cap on all of them holds before (`service.http.middleware`).
    Raises what `read_body` and `validated` raise.
    """
    body = await read_body(request, max_bytes)
    if len(body) <= MAX_OUTLINE_BYTES:
        return _validated(adapter, body)
    return await to_thread.run_sync(_validated_large, adapter, body, limiter=_ONE_AT_A_TIME)


def validated(adapter: TypeAdapter[T], body: bytes) -> T:
    """Return a body as `adapter`'s type.

    Raises MalformedRequestError (400), BodyTooLargeError (413) or InvalidRequestError (422).
    """
    return _validated(adapter, body) if len(body) <= MAX_OUTLINE_BYTES else _validated_large(adapter, body)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the bytes of a request's body, which says that it is JSON.

    Raises UnsupportedMediaTypeError (415), BodyTooLargeError (413), BodyTimeoutError (408) or MalformedRequestError
    (400, without a body), and ClientDisconnect if the client left.
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
    return body


async def _whole_body(receive: Receive, max_bytes: int) -> bytes:
    """Return the body. Starlette's own way costs as much as the validation, and has no time limit."""
    parts: list[bytes] = []
    received, more = 0, True
    try:
        with fail_after(BODY_SECONDS):
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
    except TimeoutError:
        raise BodyTimeoutError(
            f"The request body was not fully received within {BODY_SECONDS:g} seconds; send it again.",
            headers={"Connection": "close"},
        ) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(max_bytes: int) -> BodyTooLargeError:
    limit = f"{max_bytes >> 20} MiB" if max_bytes >= 1 << 20 else f"{max_bytes >> 10} KiB"
    return BodyTooLargeError(
        f"The body is too large; request bodies here are limited to {max_bytes} bytes ({limit}): send less."
    )


def _validated(adapter: TypeAdapter[T], body: bytes) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        raise _refusal(error, body) from None


def _validated_large(adapter: TypeAdapter[T], body: bytes) -> T:
    """Validate the body with its lists cut to their first item and its models emptied, and then whole.

    Pydantic keeps the whole object with each member that is missing or unknown: 8 MiB took 13 seconds and 1.2 GB
    (measured), which this bounds to one parse. Beyond the first item the models stop at the first fault of a list.
    A body that no request can need is refused unread, so that a wrong one takes no more memory than the largest right
    one.
    """
    _check_containers(body)
    try:
        document = from_json(body)
    except ValueError:
        return _validated(adapter, body)  # not JSON, and that is all there is to say
    if isinstance(document, dict):
        _check_entries(document)
        document = {name: _cut(name, value) for name, value in document.items()}
    outline = to_json(document, inf_nan_mode="constants")
    if len(outline) > MAX_OUTLINE_BYTES:
        raise BodyTooLargeError(
            f"More than {MAX_OUTLINE_BYTES} bytes are outside the body's models and its list of tensors, trials or "
            "runs: send less."
        )
    _validated(adapter, outline)
    return _validated(adapter, body)


def _cut(name: str, value: Any) -> Any:
    """Return a member of a body without what may be long."""
    if isinstance(value, list):
        return value[:1]
    if name in _FREE and isinstance(value, dict):
        return {key: {} if key in _FREE[name] and isinstance(one, dict) else one for key, one in value.items()}
    return value


def _check_containers(body: bytes) -> None:
    """Refuse what has more objects and lists than any request needs; brackets in names are none of them."""
    found = _brackets(body)
    if found > MAX_CONTAINERS:
        found -= sum(_brackets(string[0]) for string in _STRINGS.finditer(body))
    if found > MAX_CONTAINERS:
        raise InvalidRequestError(
            f"The body has {found} objects and lists, and no request needs more than {MAX_CONTAINERS}: send less."
        )


def _brackets(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


def _check_entries(document: dict[str, Any]) -> None:
    """Refuse what has more entries than any item of a list takes."""
    for name, items in document.items():
        if isinstance(items, list):
            objects = [item for item in items if isinstance(item, dict)]
            lists = (value for value in chain.from_iterable(map(dict.values, objects)) if isinstance(value, list))
            found = max(map(len, chain(objects, lists)), default=0)
            if found > MAX_ENTRIES:
                raise InvalidRequestError(
                    f"#/{name}: An item has {found} entries, and none takes more than {MAX_ENTRIES}: send less."
                )


def _refusal(error: ValidationError, body: bytes) -> Exception:
    if error.error_count() > MANY_FAULTS:
        return InvalidRequestError(
            f"The body has {error.error_count()} faults, too many to list; see the schema at /docs."
        )
    details = error.errors(include_url=False, include_context=False)
    if details[0]["type"] == _JSON_INVALID:
        return MalformedRequestError(f"The body is not JSON: {details[0]['msg'].removeprefix('Invalid JSON: ')}.")
    document = None
    try:
        document = loads(body)
    except (ValueError, RecursionError):
        document = None  # pydantic read it, so only pointers get coarser
    return invalid_request(faults(details, document))
