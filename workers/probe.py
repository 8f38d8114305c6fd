"""The probe: while a worker is idle, asks a child for the device and versions that its shards will run on."""

import time
from collections.abc import Sequence
from typing import Any

import structlog

from workers.process import ChildProcess, Ended
from workers.protocol import Described, ProtocolError
from workers.supervisor import CHILD_COMMAND

log = structlog.get_logger(__name__)

PROBE_COMMAND = (*CHILD_COMMAND, "--describe")
PROBE_SECONDS = 120.0  # for JAX and the accelerator's driver to start (chosen), which takes seconds


class Probe:
    """One child that describes the device; callers must use it from one thread at a time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: ChildProcess | None = None
        self._give_up = 0.0
        self.failed = not command  #: it is not asked again

    @property
    def running(self) -> bool:
        """Whether a child has yet to answer."""
        return self._child is not None

    def look(self) -> dict[str, Any] | None:
        """Start the child if there is none; return its answer once it has arrived."""
        try:
            if self._child is None:
                self._child = ChildProcess(self._command)
                self._give_up = time.monotonic() + PROBE_SECONDS
            answer = self._child.next_event(0.0)
            if answer is None and time.monotonic() < self._give_up:
                return None
        except (OSError, ProtocolError, Ended):
            answer = None
        words = "" if self._child is None else self._child.last_words()
        self.end()
        if not isinstance(answer, Described):
            self.failed = True  # the first shard will report the reason
            log.warning("device_unknown", last_words=words)
            return None
        return dict(answer.environment)

    def end(self) -> None:
        """End the child at once, if there is one; the next call starts another."""
        if self._child is not None:
            self._child.kill()
            self._child = None
