"""Large transfers, answered by a child process: they would hold the interpreter's lock while others wait for it."""

import asyncio
import os
import subprocess
import sys
import weakref
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import structlog
from fastapi import Response
from starlette.types import Receive, Scope, Send

from service.errors import ApiError, BusyError
from service.exports.schemas import ExportChoice
from service.http.answers import PART
from service.http.lanes import Lane
from service.settings import without_settings
from service.transfers.measured import FromMeasurements
from service.transfers.packed import PLAN, Asked, Crashed, Drawing, Packed
from service.transfers.schemas import TransferBody
from widthwise.figures.figure import Figure

#: Bodies over this size are large (chosen): some 1,600 tensors, which take as long as others may have to wait.
LARGE_BYTES = 1 << 17
PATIENCE_SECONDS = 60.0  # for a turn (chosen): the largest takes some seconds, and an owner has one at a time
ANSWER_SECONDS = 120.0  # for an answer (chosen): far more than the largest takes, on a machine that has much to do
IDLE_SECONDS = 300.0  # after which the child ends (chosen): it holds 100 MB, and takes a second to start
RETRY_SECONDS = 5  # after the child's end (chosen)
SLICE = 1 << 12  # of packed bytes unpacked at once: each gives a part or a few

_log = structlog.get_logger(__name__)


class LargeTransfers:
    """The child process of one service; it is started when it is first needed, and again if it ends."""

    def __init__(self, *, max_body_bytes: int, idle_seconds: float = IDLE_SECONDS) -> None:
        """max_body_bytes: bounds the child's memory. idle_seconds: after which the child ends."""
        self.lane = Lane(in_all=1, of_one=1, patience_seconds=PATIENCE_SECONDS)
        self._max_body_bytes = max_body_bytes
        self._idle_seconds = idle_seconds
        self._child: _Child | None = None
        self._ending: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the child; None while there is none, also after one was killed."""
        return self._child.pid if self._child is not None and self._child.lives else None

    async def answer(
        self,
        owner: str,
        body: bytes,
        measured_of: Callable[[TransferBody], FromMeasurements],
        choice: ExportChoice = PLAN,
    ) -> Response:
        """Return the answer to a body, in the form of the choice.

        measured_of: returns what the calibration or sweep measured that a request names; its tensors are left out.
        Raises the errors of a small one, and BusyError (503) if the child ended before its answer.
        """
        packed = await self._found(owner, body, measured_of, choice)
        assert isinstance(packed, Packed)  # noqa: S101  the choice asked
        return PackedResponse(packed)

    async def figure(self, owner: str, body: bytes, measured_of: Callable[[TransferBody], FromMeasurements]) -> Figure:
        """Return the figure of the plan for a body. Parameters and errors are those of `answer`."""
        figure = await self._found(owner, body, measured_of, Drawing())
        assert isinstance(figure, Figure)  # noqa: S101  the choice asked
        return figure

    async def _found(
        self,
        owner: str,
        body: bytes,
        measured_of: Callable[[TransferBody], FromMeasurements],
        choice: ExportChoice | Drawing,
    ) -> Packed | Figure:
        async with self.lane.place(owner):
            if self._ending is not None:
                self._ending.cancel()
            found = await self.lane.in_thread(partial(self._ask, body, measured_of, choice))
            self._ending = asyncio.get_running_loop().call_later(self._idle_seconds, self.close)
        return found

    def close(self) -> None:
        """End the child."""
        if self._ending is not None:
            self._ending.cancel()
        if self._child is not None:
            self._child.end()
            self._child = None

    def _ask(
        self, body: bytes, measured_of: Callable[[TransferBody], FromMeasurements], choice: ExportChoice | Drawing
    ) -> Packed | Figure:
        if self._child is not None and not self._child.lives:
            self._child.end()
            self._child = None
        child = self._child = self._child or _Child(self._max_body_bytes)
        try:
            found = child.ask(body, measured_of, choice)
        except (EOFError, OSError):  # it was killed, ran out of memory or took too long
            self._child = None
            status = child.end()
            _log.warning("large_transfer_lost", status=status)
            raise BusyError(
                f"The process that answers large transfers ended; retry in {RETRY_SECONDS} seconds, with fewer tensors "
                "if it happens again.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            ) from None
        if isinstance(found, ApiError):
            raise found
        if isinstance(found, Crashed):
            raise RuntimeError(found.traceback)
        return found


class _Child:
    """The process and the socket to it."""

    def __init__(self, max_body_bytes: int) -> None:
        self._connection, theirs = Pipe()
        command = [sys.executable, "-m", "service.transfers.large_child", str(theirs.fileno()), str(max_body_bytes)]
        # In a separate session it gets no Ctrl-C: the service ends it.
        self._process = subprocess.Popen(  # noqa: S603  the command is ours; no shell is involved
            command,
            stdin=subprocess.DEVNULL,
            env=without_settings(os.environ),
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
        theirs.close()
        self.end = weakref.finalize(self, _end, self._process, self._connection)  # also if nobody closes the service

    @property
    def lives(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(
        self, body: bytes, measured_of: Callable[[TransferBody], FromMeasurements], choice: ExportChoice | Drawing
    ) -> Packed | Figure | ApiError | Crashed:
        """Return what became of a body. Raises EOFError or OSError if the child ended or takes too long."""
        self._connection.send(choice)
        self._connection.send_bytes(body)
        found = self._receive()
        if isinstance(found, Asked):
            answer_to_child = None
            try:
                answer_to_child = measured_of(found.outline)
            finally:
                self._connection.send(answer_to_child)
            found = self._receive()
        answer: Packed | Figure | ApiError | Crashed = found
        return answer

    def _receive(self) -> Any:
        if not self._connection.poll(ANSWER_SECONDS):
            raise TimeoutError
        return self._connection.recv()


def _end(process: subprocess.Popen[bytes], connection: Connection) -> int:
    connection.close()
    process.kill()
    return process.wait()


class PackedResponse(Response):
    """An answer that is unpacked while it is sent: what is not read yet is held packed."""

    def __init__(self, packed: Packed) -> None:
        super().__init__(media_type=packed.media_type, headers=packed.headers)
        self._packed = packed
        self.headers["Content-Length"] = str(packed.length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI's
        """Send the answer in parts."""
        scope["state"]["answer_bytes"] = len(self._packed.data)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for part in unpacked(self._packed.data):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(0)  # others' turn, also if the client reads as fast as this writes
        await send({"type": "http.response.body", "body": b""})


def unpacked(data: bytes) -> Iterator[bytes]:
    """Return parts of at most PART bytes."""
    unpacking = zlib.decompressobj()
    for start in range(0, len(data), SLICE):
        rest = data[start : start + SLICE]
        while rest:
            part = unpacking.decompress(rest, PART)
            rest = unpacking.unconsumed_tail
            if part:
                yield part
    if tail := unpacking.flush():
        yield tail
