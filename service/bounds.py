"""One plain ASGI layer around everything: the cap on a request's body, and the request id."""

import os
import re

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLargeError
from service.problems import problem_response

#: What is echoed goes into logs: no spaces, no control characters.
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

#: How long the rest of a refused body is read and thrown away, so that its sender gets to read the answer (chosen).
DRAIN_SECONDS = 5.0


class Bounds:
    """Refuse a body over `max_bytes` with 413, and give every answer an X-Request-Id.

    A body is refused by its Content-Length before a byte of it is read, or where none is given as soon as the bytes
    that came exceed the cap. The id is the client's own if it is sane, else a fresh one; it is also in scope["state"].
    Every request passes here, so the common case (a Content-Length within the cap) wraps `send` alone.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
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
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        started = False

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                nonlocal started
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        if length.isdigit():
            # int() of a long run of digits is slow; more than 19 digits is over any cap
            if len(length) > 19 or int(length) > self.max_bytes:
                found = f"The body's Content-Length is {length[:20].decode()} bytes"
                # A client that asked first (Expect: 100-continue) has sent nothing, and won't.
                await self._refuse(scope, receive, send_with_id, found, drain=not expects)
                return
            await self.app(scope, receive, send_with_id)  # the server delivers no more than was declared
            return
        try:
            await self.app(scope, _counted(receive, self.max_bytes), send_with_id)
        except _TooLargeError:
            if started:
                raise
            found = f"More than {self.max_bytes} bytes of body came"
            await self._refuse(scope, receive, send_with_id, found, drain=True)

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
