"""A child process as its supervisor sees it: jobs in, events out, its last lines of stderr, and a reliable end."""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from service.settings import without_settings
from workers.conversation import ON_JOB, ON_PREPARATION, Phase, after
from workers.protocol import Event, Job, ProtocolError, read_event

LINE_MAXIMUM = 1 << 20  # bytes of one event (chosen); a trial takes 200
QUEUE_MAXIMUM = 1000  # events read ahead (chosen); beyond that the child waits on its pipe
LAST_WORDS = 20  # lines of stderr kept for the reason of a failure (chosen)
LAST_WORD_MAXIMUM = 500  # characters of one such line (chosen)
KEPT = ("WIDTHWISE_DATA_DIR",)  # a child needs only its job; this shows people which worker it belongs to
EXIT_SECONDS = 2.0  # for a finished child to exit by itself: Python and JAX take 0.3 s


class Ended(Exception):  # noqa: N818  # an event, not an error
    """The child has closed its output: there will be no more events."""


class ChildProcess:
    """One child in a separate session, so that its whole group can be killed."""

    def __init__(self, command: Sequence[str]) -> None:
        self.born = time.monotonic()
        self.jobs = 0  #: how many it was sent
        self.phase = Phase.IDLE  #: by the events that were read
        self.environment = child_environment()
        self._first_resident = 0
        # the command is ours, from the entry point; no shell is involved
        self._process = subprocess.Popen(  # noqa: S603
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            start_new_session=True,
        )
        self._events: queue.Queue[Event | ProtocolError | Ended] = queue.Queue(QUEUE_MAXIMUM)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # to its stdin; None ends the thread
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=target, daemon=True, name=f"child-{name}")
            for name, target in (("jobs", self._write), ("events", self._read), ("stderr", self._listen))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Its process id, and its group's."""
        return self._process.pid

    @property
    def lived_on(self) -> bool:
        """Whether it had a job before the one that it has now."""
        return self.jobs > 1

    @property
    def unstarted(self) -> bool:
        """Whether it lived on and has not started its job, so that the job is not why if it ends now."""
        return self.lived_on and self.phase in (Phase.ASKED, Phase.AWAITED)

    def send(self, job: Job) -> None:
        """Send a job to a child that is idle, or that still compiles for it."""
        phase = (ON_PREPARATION if job.only_compile else ON_JOB).get(self.phase)
        if phase is None:
            raise AssertionError(f"the child {self.pid} is {self.phase.value} and takes no job")
        self.phase, self.jobs = phase, self.jobs + 1
        self._words.clear()  # what it said about its last job explains nothing about this one
        self._lines.put(json.dumps(job.to_dict(), allow_nan=False).encode() + b"\n")

    def next_event(self, timeout: float) -> Event | None:
        """Return the next event, or None after `timeout` seconds without one.

        Also None for an event about what it compiles before its job. Raises Ended once after the last event,
        ProtocolError for a line that is not one or may not come now.
        """
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, Exception):
            raise event
        before, self.phase = self.phase, after(self.phase, event)
        return None if before is Phase.AWAITED else event

    @property
    def lives(self) -> bool:
        """Whether its process still runs."""
        return self._process.poll() is None

    def growth_bytes(self) -> int:
        """Return the resident memory that it gained since the first call; 0 if this system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return 0
        resident = pages * os.sysconf("SC_PAGE_SIZE")
        self._first_resident = self._first_resident or resident
        return resident - self._first_resident

    def kill(self) -> int:
        """End the child and its group at once; return its exit status (negative: the signal)."""
        self.send_kill()
        return self._reap()

    def send_kill(self) -> None:
        """Send SIGKILL to the child and its group without waiting; for threads other than its supervisor's."""
        if self._process.returncode is None:  # not reaped yet, so the group's number can't have been reused
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Wait a moment for a finished child to exit by itself; return its exit status."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)
        return self.kill()

    def last_words(self) -> str:
        """Return the last lines of its stderr."""
        return "\n".join(self._words)

    def _reap(self) -> int:
        status = self._process.wait()
        self._closed.set()
        self._lines.put(None)
        for thread in self._threads:
            thread.join(timeout=1.0)  # they end with the pipes, and the pipes end with the group
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return status

    def _write(self) -> None:
        # on a thread, since a child that does not read could block its supervisor. stdin stays open:
        # its end tells the child that we are gone.
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101  # Popen was given PIPE
        with suppress(OSError, ValueError):  # closed while we write
            while (line := self._lines.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _read(self) -> None:
        for line in _lines(self._process.stdout):
            self._put(_parse(line))
        self._put(Ended())

    def _put(self, event: Event | ProtocolError | Ended) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._events.put(event, timeout=0.2)
                return

    def _listen(self) -> None:
        for line in _lines(self._process.stderr):
            text = line.decode("utf-8", "replace").rstrip()
            if text:
                self._words.append(text[:LAST_WORD_MAXIMUM])


def child_environment() -> dict[str, str]:
    """Return the environment variables that a child started now would have."""
    return without_settings(os.environ) | {name: os.environ[name] for name in KEPT if name in os.environ}


def _lines(pipe: IO[bytes] | None) -> Iterator[bytes]:
    """Return lines of at most LINE_MAXIMUM bytes until the pipe ends."""
    assert pipe is not None  # noqa: S101  # Popen was given PIPE
    with suppress(OSError, ValueError):  # closed while we read
        while line := pipe.readline(LINE_MAXIMUM):
            yield line


def _parse(line: bytes) -> Event | ProtocolError:
    try:
        return read_event(json.loads(line))
    except ValueError:
        return ProtocolError(f"the child wrote {line[:200]!r}, which is not JSON")
    except ProtocolError as error:
        return error
