"""What uvicorn leaves unbounded of a connection: the size of a request's head, the time for it, and how many there are.

uvicorn's httptools protocol keeps a head of any size, for any time. Its h11 protocol bounds the size alone, and costs
every request more; so this bounds both, in httptools. The size of a body is bounded by `service.http.middleware` and
`service.http.request_bodies`; its time is bounded here;
a body that came with its head, as nearly all do, needs no timer.
"""

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import ApiError, BodyTimeoutError, BusyError, HeadTooLargeError
from service.http.problems import problem_response

MAX_HEAD_BYTES = 1 << 16  # of address and headers (chosen): what h11 and most proxies allow at the most
HEAD_SECONDS = 20.0  # for a head to come in whole (chosen): a slow line needs less than one
BODY_SECONDS = 60.0  # for a body to come in whole (chosen): 16 MiB over 2.5 Mbit/s
MAX_CONNECTIONS = 800  # at once (chosen): of the 1,024 files that a process usually may open, it needs some itself
MAX_PIPELINED = 64  # requests of one connection that wait for their turn (chosen): clients in use send one at a time
BUSY_SECONDS = 5  # after which a client that found no room should come again (chosen)

_log = structlog.get_logger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on a request's head, its time and the number of connections.

    A head over MAX_HEAD_BYTES is answered with 431, a connection over MAX_CONNECTIONS with 503, and both are closed. A
    connection on which no request is answered, and that uvicorn does not time itself, is closed after HEAD_SECONDS
    without a whole head, however much of one has come. A body that has not come in whole after BODY_SECONDS is answered
    with 408, unless its answer has begun. Those that are open go on while new ones are refused:
    uvicorn's `limit_concurrency` would refuse their requests too, those of probes and proxies included.
    """

    head_seconds = HEAD_SECONDS
    body_seconds = BODY_SECONDS
    max_connections = MAX_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._fresh = 0  #: bytes of the part that the parser is reading
        self._pending = 0  #: bytes since a head began or a piece of a body came: never less than an unfinished head has
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin to wait for a head, if there is room for one connection more."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(_too_many())
        else:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_waiting()
        if self._body_timer is not None:
            self._body_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Have the parser read in parts, so that no part of a head is larger than a head may be."""
        for start in range(0, len(data), MAX_HEAD_BYTES):
            if self.transport.is_closing():
                return
            part = data[start : start + MAX_HEAD_BYTES]
            self._fresh = len(part)
            self._pending += self._fresh
            super().data_received(part)
            # the part in which it began may hold other things too
            if self._pending > 2 * MAX_HEAD_BYTES or len(self.pipeline) > MAX_PIPELINED:
                self._refuse(_too_large())
                return
        answering = self._answering()
        if self._in_head or (not answering and self.timeout_keep_alive_task is None):
            self._wait_for_head()
        elif answering and self.cycle.more_body and self._body_timer is None:
            self._wait_for_body()

    def on_message_begin(self) -> None:
        """Count from here."""
        super().on_message_begin()
        self._in_head, self._pending = True, self._fresh

    def on_headers_complete(self) -> None:
        """Hand the request on, or have it refused where its head is too large."""
        self._stop_waiting()
        self._in_head = False
        if self._pending > MAX_HEAD_BYTES and self._head_bytes() > MAX_HEAD_BYTES:
            _log.info("connection_refused", status=HeadTooLargeError.status)
            self.app = problem_response(_too_large(), "/")
            self.url = b"/"  # httptools can't read one over 65,535 bytes
        self._pending = self._fresh
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count anew: what follows a piece of a body is another one, or a trailer."""
        self._pending = self._fresh
        super().on_body(body)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers)

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.flow.read_paused:  # requests before it are being answered, so it can't come
            self._wait_for_head()
        else:
            self.transport.close()

    def _wait_for_body(self) -> None:
        self._body_timer = self.loop.call_later(self.body_seconds, self._give_body_up, self.cycle)

    def _give_body_up(self, cycle: RequestResponseCycle) -> None:
        """Refuse the body of this request if it is still not there; nearly all have come long before."""
        self._body_timer = None
        if not self._answering() or not self.cycle.more_body:
            return
        if cycle is not self.cycle or self.flow.read_paused:  # that of a later one, or it is we who keep it waiting
            self._wait_for_body()
        elif not cycle.response_started:
            self._refuse(_too_slow(self.body_seconds), instead=not self.pipeline)

    def _refuse(self, error: ApiError, *, instead: bool = False) -> None:
        """Answer where no other answer is under way, or instead of the one that has not begun, and close."""
        _log.info("connection_refused", status=error.status)
        if instead or not self._answering():
            response = problem_response(error, "/")
            head = b"".join(b"%b: %b\r\n" % pair for pair in response.raw_headers)
            self.transport.write(STATUS_LINE[error.status] + head + b"\r\n" + bytes(response.body))
        self.transport.close()


def _too_many() -> BusyError:
    headers = {"Retry-After": str(BUSY_SECONDS), "Connection": "close"}
    return BusyError(f"There are too many connections; come again in {BUSY_SECONDS} seconds.", headers=headers)


def _too_slow(seconds: float) -> BodyTimeoutError:
    detail = f"The body had not come in whole after {seconds:g} seconds; send it again."
    return BodyTimeoutError(detail, headers={"Connection": "close"})


def _too_large() -> HeadTooLargeError:
    detail = f"Address and headers take more than {MAX_HEAD_BYTES} bytes; send less."
    return HeadTooLargeError(detail, headers={"Connection": "close"})
