"""One plain ASGI layer around everything: who may call, the cap on a body, the request id, the count and the log line.

Each layer more costs every request 10 µs (measured), so what every request needs is done in this one.
"""

import os
import re
from collections.abc import Mapping
from time import perf_counter
from typing import Protocol

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from service.errors import BodyTooLargeError, ForeignOriginError
from service.metrics import CUT
from service.origin import OwnPagesOnly
from service.problems import problem_response

#: What is echoed goes into logs: no spaces, no control characters.
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

#: How long the rest of a refused body is read and thrown away, so that its sender gets to read the answer (chosen).
DRAIN_SECONDS = 5.0


class Watcher(Protocol):
    """Something that is told of every request."""

    def began(self, request_id: str) -> None:
        """A request has come."""
        ...

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """It was answered with this status, or not (`metrics.CUT`), after so long."""
        ...


class Bounds:
    """Refuse a foreign page with 403 and a body over `max_bytes` with 413; give every answer an X-Request-Id.

    A body is refused by its Content-Length before a byte of it is read, or where none is given as soon as the bytes
    that came exceed the cap. The id is the client's own if it is sane, else a fresh one; it is also in scope["state"]
    and in every line that is logged meanwhile. Every request passes here, so the common case (a Content-Length within
    the cap) wraps `send` alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        *,
        watcher: Watcher,
        own_pages_only: OwnPagesOnly | None = None,
        direct: Mapping[tuple[str, str], ASGIApp] | None = None,
    ) -> None:
        """own_pages_only: refuses the pages of other sites. direct: routes by method and path that need no router."""
        self.app = app
        self.max_bytes = max_bytes
        self._watcher = watcher
        self._own_pages_only = own_pages_only
        self._direct = direct or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        request_id = length = b""
        expects = False
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"x-request-id" and _SANE_ID.fullmatch(value):
                request_id = value
            elif name == b"expect":
                expects = True
        request_id = request_id or os.urandom(8).hex().encode()
        shown = scope.setdefault("state", {})["request_id"] = request_id.decode()
        self._watcher.began(shown)
        tokens = bind_contextvars(request_id=shown)
        status = 0

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                nonlocal status
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        declared = length.isdigit()
        try:
            # int() of a long run of digits is slow; more than 19 digits is over any cap
            if declared and (len(length) > 19 or int(length) > self.max_bytes):
                found = f"The body's Content-Length is {length[:20].decode()} bytes"
                # A client that asked first (Expect: 100-continue) has sent nothing, and won't.
                await self._refuse(scope, receive, send_with_id, found, drain=not expects)
            elif self._own_pages_only is not None and (foreign := self._own_pages_only.fault(scope)) is not None:
                await problem_response(ForeignOriginError(foreign), scope["path"])(scope, receive, send_with_id)
            elif declared:  # the server delivers no more than that
                await self._direct.get((scope["method"], scope["path"]), self.app)(scope, receive, send_with_id)
            else:
                await self._counting(scope, receive, send_with_id)
        except Exception:
            status = 500  # the application's outermost layer will answer so
            raise
        finally:
            self._watcher.ended(scope, status or CUT, perf_counter() - began)
            reset_contextvars(**tokens)

    async def _counting(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of a body whose length is not declared."""
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, _counted(receive, self.max_bytes), noted)
        except _TooLargeError:
            if started:
                raise
            found = f"More than {self.max_bytes} bytes of body came"
            await self._refuse(scope, receive, send, found, drain=True)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, found: str, *, drain: bool) -> None:
        """Answer, read on for a moment what the client is still sending, and close the connection.

        A close with unread bytes resets the connection, and most clients then lose the answer.
        """
        detail = f"{found}; this server reads at most {self.max_bytes}."
        response = problem_response(BodyTooLargeError(detail, headers={"Connection": "close"}), scope["path"])
        headers = list(response.raw_headers)
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        if drain:
            with anyio.move_on_after(DRAIN_SECONDS):
                more = True
                while more:
                    message = await receive()
                    more = message["type"] == "http.request" and message.get("more_body", False)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _counted(receive: Receive, max_bytes: int) -> Receive:
    """Give a `receive` that raises _TooLargeError once more than `max_bytes` of body came."""
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise _TooLargeError
        return message

    return counted


class _TooLargeError(BaseException):
    """Ends the reading of a body from inside `receive`; no `except Exception` on the way may swallow it."""
