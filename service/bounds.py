"""Two plain ASGI layers around everything: the cap on a request's body, and the request id."""

import re
import secrets

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLargeError
from service.problems import problem_response

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # what is echoed goes into logs: no spaces, no control characters


#: How long the rest of a refused body is read and thrown away, so that its sender gets to read the answer (chosen).
DRAIN_SECONDS = 5.0


class RequestId:
    """Give every answer an X-Request-Id: the client's own if it is sane, else a fresh one; also in scope["state"]."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _SANE_ID.fullmatch(value):
                request_id = value
        request_id = request_id or secrets.token_hex(8).encode()
        scope.setdefault("state", {})["request_id"] = request_id.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id)]}
            await send(message)

        await self.app(scope, receive, send_with_id)


class BodyLimit:
    """Refuse a body over `max_bytes` with 413: by its Content-Length, or as soon as the bytes that came exceed it."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            # int() of a long run of digits is slow and capped; more than 19 digits is over any cap
            if name == b"content-length" and value.isdigit() and (len(value) > 19 or int(value) > self.max_bytes):
                found = f"The body's Content-Length is {value[:20].decode()} bytes"
                # A client that asked first (Expect: 100-continue) has sent nothing, and won't.
                drain = not any(header == b"expect" for header, _ in scope["headers"])
                await self._refuse(scope, receive, send, found, drain=drain)
                return
        received = 0
        started = False

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.max_bytes:
                    raise _TooLargeError
            return message

        async def noted_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, counted_receive, noted_send)
        except _TooLargeError:
            if started:
                raise
            await self._refuse(scope, receive, send, f"More than {self.max_bytes} bytes of body came")

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, found: str, *, drain: bool = True) -> None:
        """Answer, read on for a moment what the client is still sending, and close the connection.

        A close with unread bytes resets the connection, and most clients then lose the answer.
        """
        error = BodyTooLargeError(
            f"{found}; this server reads at most {self.max_bytes}.", headers={"Connection": "close"}
        )
        response = problem_response(error, scope["path"])
        start: Message = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
        await send(start)
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        if drain:
            with anyio.move_on_after(DRAIN_SECONDS):
                more = True
                while more:
                    message = await receive()
                    more = message["type"] == "http.request" and message.get("more_body", False)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _TooLargeError(BaseException):
    """Ends the reading of a body from inside `receive`; no `except Exception` on the way may swallow it."""
