"""Connections to clients: each is fed one request after another, and ended if its answers are not read.

By itself uvicorn takes every request out of what a connection has sent and keeps them all until their turn, and what it
has written of an answer waits in the process and in the kernel for as long as the client likes. `Connections.protocol`
stands between uvicorn's protocol and the transport, and uses only what asyncio promises about them.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from starlette.types import Message, Receive, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEAD_END = b"\r\n\r\n"
PIECES = 64  # fed in one turn of the event loop (chosen): 0.1 ms, so that nobody waits for a body of blank lines

#: Of what is on its way in the kernel, in each direction (chosen): one answer after another fills a fast network, and a
#: client that does not read holds this much, where by itself the kernel would keep 4 MiB and more.
SOCKET_BYTES = 1 << 17

#: How many connections may wait for their clients to read (chosen): a quarter of those that the proxy opens.
MOST_UNREAD = 100
SWEEPS = 8  # within the time that a client has (chosen), so that it is exceeded by an eighth at most
SWEEP_SECONDS = 1.0  # between two of them at most (chosen)


class Connections:
    """The open connections of one process; each method is one step of the event loop."""

    def __init__(
        self, *, unread_seconds: float, most_unread: int = MOST_UNREAD, served: Any = AutoHTTPProtocol
    ) -> None:
        """unread_seconds: within which a client has to read something. most_unread: how many may be waited for.

        served: uvicorn's protocol.
        """
        self.unread_seconds = unread_seconds
        self.most_unread = most_unread
        self.served = served
        self.cut = 0  #: connections that were ended because their answers were not read
        self._open: set[Connection] = set()
        self._sweep_seconds = min(SWEEP_SECONDS, unread_seconds / SWEEPS)
        self._sweeping = False

    def protocol(self, **options: Any) -> "Connection":
        """Return a new connection; uvicorn's option `http` takes this, and it calls it as it does its own protocol."""
        return Connection(self, **options)

    def opened(self, connection: "Connection") -> None:
        """Watch a connection."""
        self._open.add(connection)
        if not self._sweeping:
            self._sweeping = True
            self._sweep_later()

    def closed(self, connection: "Connection") -> None:
        """Forget a connection."""
        self._open.discard(connection)

    def _sweep_later(self) -> None:
        asyncio.get_running_loop().call_later(self._sweep_seconds, self._sweep)

    def _sweep(self) -> None:
        """End those that had their time, and beyond `most_unread` those that have waited longest."""
        now = asyncio.get_running_loop().time()
        waiting = sorted((one for one in self._open if one.waits(now)), key=lambda one: one.progress_at)
        for place, one in enumerate(waiting):
            if now - one.progress_at >= self.unread_seconds or len(waiting) - place > self.most_unread:
                self.cut += 1
                one.abort()
        self._sweeping = bool(self._open)
        if self._sweeping:
            self._sweep_later()


class Connection(asyncio.Protocol):
    """One connection, between its transport and uvicorn's protocol.

    What a client sends behind its next request stays here, and the transport reads no more, until the answer to the one
    before is complete. uvicorn also stops reading at a second request; but it reads on at each answer and for each
    body, however many requests wait, and takes in all that arrives at once.
    """

    def __init__(self, connections: Connections, *, app_state: dict[str, Any], **options: Any) -> None:
        """app_state: what uvicorn copies into every request's scope["state"]; there requests find their connection."""
        self._connections = connections
        self._served: Any = connections.served(app_state={**app_state, "connection": self}, **options)
        self._transport: Any = None
        self._held = bytearray()  #: received and not yet fed
        self._paused = False  #: uvicorn asked for a pause
        self._reads = True  #: the transport reads
        self._whole: Scope | None = None  #: the request in progress, if its body has been read to its end
        self._unread = 0
        self.pipelines = False  #: whether it has ever sent more than uvicorn wanted
        self.progress_at = 0.0  #: when its client was last seen to read

    def connection_made(self, transport: Any) -> None:
        """Let uvicorn pause and resume here instead of at the transport."""
        self._transport = transport
        peer = transport.get_extra_info("socket")
        for direction in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            peer.setsockopt(socket.SOL_SOCKET, direction, SOCKET_BYTES)
        self._connections.opened(self)
        self._served.connection_made(_Fed(transport, self._pause, self._resume))

    def connection_lost(self, error: Exception | None) -> None:
        """Drop what was held, and pass it on."""
        self._connections.closed(self)
        self._held.clear()
        self._served.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Pass on what can end one request at most; hold the rest back."""
        if self._held or data.count(HEAD_END) > 1:
            self._held += data
            self._feed()
        else:
            self._served.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        ends: bool | None = self._served.eof_received()
        return ends

    def pause_writing(self) -> None:
        """Pass it on: the next part of an answer has to wait."""
        self._served.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._served.resume_writing()

    def receiver(self, scope: Scope, receive: Receive) -> Receive:
        """Return what reads a request's body and notes its end: reading on is then for the requests behind it."""

        async def noted() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                self._whole = scope
            return message

        return noted

    def answered(self, scope: Scope) -> None:
        """Note that the answer to a request is complete."""
        if self._whole is scope:
            self._whole = None
            self._feed_later()

    def waits(self, now: float) -> bool:
        """Whether something has been waiting, unread, since the last call."""
        unread: int = self._transport.get_write_buffer_size()
        if unread != self._unread:
            self._unread, self.progress_at = unread, now
            return False
        return unread > 0

    def abort(self) -> None:
        """End it at once, without what is still to be written."""
        self._transport.abort()

    def _pause(self) -> None:
        self._paused = self.pipelines = True
        self._read(wanted=False)

    def _resume(self) -> None:
        self._paused = False
        self._feed_later()  # once uvicorn has taken note of what made it resume

    def _feed_later(self) -> None:
        asyncio.get_running_loop().call_soon(self._feed)

    def _feed(self) -> None:
        """Feed uvicorn, request by request, as long as it wants more; then read on."""
        if self._transport.is_closing():
            self._held.clear()
        for _ in range(PIECES):
            if not self._held or self._paused or self._whole is not None:
                break
            end = self._held.find(HEAD_END) + len(HEAD_END)
            piece = bytes(self._held[:end] if end >= len(HEAD_END) else self._held)
            del self._held[: len(piece)]
            self._served.data_received(piece)
        else:
            self._feed_later()
        self._read(wanted=not (self._held or self._paused or self._whole is not None))

    def _read(self, *, wanted: bool) -> None:
        if wanted is not self._reads and not self._transport.is_closing():
            self._reads = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()


class _Fed:
    """A transport as uvicorn sees it: pausing and resuming go elsewhere."""

    def __init__(self, transport: Any, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._transport = transport
        self.pause_reading, self.resume_reading = pause, resume
        self.write = transport.write  # the one that every request needs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
