"""One plain ASGI layer around everything: origin check, body cap, request id, request count and log line.

Each additional layer costs every request 10 µs (measured), so this one does everything that every request needs.
"""

import os
import re
import sys
from collections import Counter
from time import perf_counter
from typing import Protocol

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from service.errors import ApiError, BodyTooLargeError, BusyError, ForeignOriginError
from service.http.answers import PART, Answers, send_in_parts
from service.http.connections import Connection
from service.http.csrf import OwnPagesOnly
from service.http.problems import problem_response
from service.http.request_labels import CUT

#: The echoed id goes into logs, so it has no spaces and no control characters.
_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

#: How long the rest of a refused body is read and discarded (chosen), so that its sender can read the answer.
DRAIN_SECONDS = 5.0

#: Of each body, this many bytes are not counted (chosen): even one per connection needs little memory.
SMALL_BODY = 1 << 16
#: Bytes of large bodies held at once, in multiples of the cap on one (chosen): validation handles one at a time, so one
#: owner gains little from more, and four of them can stall without holding up a fifth.
LARGE_BODIES_OF_ONE, LARGE_BODIES = 2, 8
SMALL_DIGITS = 4  # of a Content-Length that is not looked at: under 10,000 bytes
BUSY_SECONDS = 5  # after which a client without room should retry (chosen): a large body takes a few


class Watcher(Protocol):
    """Is notified of every request."""

    def began(self, request_id: str) -> None:
        """A request has arrived."""
        ...

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """It was answered with this status, or cut off (`request_labels.CUT`), after this many seconds."""
        ...


class Bounds:
    """Refuses foreign pages with 403 and bodies over `max_bytes` with 413; adds an X-Request-Id to every answer.

    A large answer is sent in parts, as its client reads it; it is refused with 503 if its owner or all of them leave
    too many bytes unread. A body is refused by its Content-Length before any of it is read or, if there is none, as
    soon as the received bytes exceed the cap. It is refused with 503 if other large bodies, of its owner or of all,
    leave no room for it.
    The id is the client's if it is well-formed, else a new one; it is also in scope["state"] and in every line logged
    during the request. A client that disconnects while it sends its body is counted as `request_labels.CUT`, not as an
    error.
    Every request passes here, so the common case (a small Content-Length) wraps only `send`.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        *,
        watcher: Watcher,
        answers: Answers,
        own_pages_only: OwnPagesOnly | None = None,
    ) -> None:
        """own_pages_only: refuses other sites' pages."""
        self.app = app
        self.max_bytes = max_bytes
        self._answers = answers
        self._watcher = watcher
        self._own_pages_only = own_pages_only
        self._held: Counter[str] = Counter()  #: bytes of large bodies that are held, by who sends them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = perf_counter()
        request_id, length, expects = _read_headers(scope)
        state = scope.setdefault("state", {})
        shown = state["request_id"] = request_id.decode()
        self._watcher.began(shown)
        tokens = bind_contextvars(request_id=shown)
        answer = _Answer(scope, send, request_id, self._answers)
        connection: Connection | None = state.get("connection")
        if connection is not None and connection.pipelines:
            receive = connection.receiver(scope, receive)
        try:
            error = await self._answered(scope, receive, answer, length, expects=expects)
            if error is not None:  # out of its handler, whose traceback holds an answer that had no room
                await _refuse(scope, receive, answer.send, error.error, drain=error.drain)
        except ClientDisconnect:
            pass  # nobody is left to answer; `ended` records that
        except Exception:
            answer.status = 500  # the application's outermost layer will answer with it
            raise
        finally:
            answer.release()
            if connection is not None and connection.pipelines:
                connection.answered(scope)
            self._watcher.ended(scope, answer.status or CUT, perf_counter() - began)
            reset_contextvars(**tokens)

    async def _answered(
        self, scope: Scope, receive: Receive, answer: "_Answer", length: bytes, *, expects: bool
    ) -> "_RefusedError | None":
        """Answer a request; return why it has to be refused instead, of which nothing has been sent."""
        # int() of a long run of digits is slow; more than 19 digits is over any cap
        size = (int(length) if len(length) <= 19 else sys.maxsize) if length.isdigit() else None
        if size is not None and size > self.max_bytes:
            # A client that asked first (Expect: 100-continue) has sent nothing and won't.
            found = f"The body's Content-Length is {length[:20].decode()} bytes"
            return _RefusedError(self._too_large(found), drain=not expects)
        if self._own_pages_only is not None and (foreign := self._own_pages_only.fault(scope)) is not None:
            await problem_response(ForeignOriginError(foreign), scope["path"])(scope, receive, answer.send)
            return None
        try:
            if size is not None and size <= SMALL_BODY:  # the server never delivers more than that
                await self.app(scope, receive, answer.send)
            else:
                await self._counting(scope, receive, answer.send)
        except _RefusedError as refused:
            if answer.status:
                raise
            return refused.with_traceback(None)
        return None

    async def _counting(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the bytes of a body that is large or of undeclared length, and release their room with the answer."""
        received = held = 0
        sender = ""

        def release() -> None:
            nonlocal held
            if held:
                self._held[sender] -= held
                held = 0
                if not self._held[sender]:
                    del self._held[sender]

        async def releasing(message: Message) -> None:
            release()  # it was read; its answer may take long to send
            await send(message)

        async def counted() -> Message:
            nonlocal received, held, sender
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self.max_bytes:
                    raise _RefusedError(self._too_large(f"The body has more than {self.max_bytes} bytes"))
                more = received - SMALL_BODY - held
                if more > 0:
                    sender = sender or _sender(scope)
                    self._held[sender] += more
                    held += more
                    self._require_room(sender)
            return message

        try:
            await self.app(scope, counted, releasing)
        finally:
            release()

    def _require_room(self, sender: str) -> None:
        of_one, of_all = self._held[sender], self._held.total()
        if of_one > LARGE_BODIES_OF_ONE * self.max_bytes or of_all > LARGE_BODIES * self.max_bytes:
            whose = "of yours " if of_all <= LARGE_BODIES * self.max_bytes else ""
            detail = f"Too many large requests {whose}are in progress; retry in {BUSY_SECONDS} seconds."
            raise _RefusedError(BusyError(detail, headers={"Retry-After": str(BUSY_SECONDS), "Connection": "close"}))

    def _too_large(self, found: str) -> BodyTooLargeError:
        mebibytes = f" ({self.max_bytes >> 20} MiB)" if self.max_bytes >= 1 << 20 else ""
        detail = f"{found}; request bodies are limited to {self.max_bytes} bytes{mebibytes}: send less."
        return BodyTooLargeError(detail, headers={"Connection": "close"})


async def _refuse(scope: Scope, receive: Receive, send: Send, error: ApiError, *, drain: bool) -> None:
    """Answer, keep reading for a moment what the client is still sending, and close the connection.

    Closing with unread bytes resets the connection, and most clients then lose the answer.
    """
    response = problem_response(error, scope["path"])
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


def _read_headers(scope: Scope) -> tuple[bytes, bytes, bool]:
    """Return the request's id, its Content-Length, and whether its client waits to be told to send the body."""
    request_id = length = b""
    expects = False
    for name, value in scope["headers"]:
        if name == b"content-length":
            length = value
        elif name == b"x-request-id" and _SANE_ID.fullmatch(value):
            request_id = value
        elif name == b"expect":
            expects = True
    return request_id or os.urandom(8).hex().encode(), length, expects


class _Answer:
    """The answer to one request, as it is sent: with the request's id, in parts, and counted if it is large."""

    __slots__ = ("_answers", "_held", "_request_id", "_scope", "_send", "status")

    def __init__(self, scope: Scope, send: Send, request_id: bytes, answers: Answers) -> None:
        self.status = 0  #: once it has begun
        self._scope, self._send, self._request_id, self._answers = scope, send, request_id, answers
        self._held = 0

    async def send(self, message: Message) -> None:
        """Send a message; _RefusedError instead of the first one if there is no room for the answer."""
        if message["type"] == "http.response.start":
            self._take_room(message)
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
        elif len(message.get("body", b"")) > PART:
            await send_in_parts(message, self._send)
            return
        await self._send(message)

    def release(self) -> None:
        """Count it no longer."""
        if self._held:
            self._answers.release(_sender(self._scope), self._held)

    def _take_room(self, start: Message) -> None:
        for name, value in start.get("headers", ()):
            if name == b"content-length" and len(value) > SMALL_DIGITS:
                size = self._scope["state"].get("answer_bytes", int(value))
                if size > PART:
                    try:
                        self._answers.take(_sender(self._scope), size)
                    except BusyError as error:
                        raise _RefusedError(error, drain=False) from None
                    self._held = size
                return


def _sender(scope: Scope) -> str:
    """Return whose request it is: the owner, admitted before a body is read; without keys the address.

    The two can't be confused: an owner's name has no space.
    """
    caller = scope["state"].get("caller")
    client = scope.get("client")
    return caller.owner if caller is not None else f"address {client[0] if client else None}"


class _RefusedError(BaseException):
    """Ends a request from inside `receive` or `send`; no `except Exception` on the way may swallow it."""

    def __init__(self, error: ApiError, *, drain: bool = True) -> None:
        """drain: whether to read what the client is still sending."""
        super().__init__()
        self.error = error
        self.drain = drain
