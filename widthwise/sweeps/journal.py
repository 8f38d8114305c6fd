"""A journal: events as JSON lines in a file that several processes append to and that survives their crashes.

Every line is flushed to the disk before `append` returns. A process writes under a lock of the file, after it has read
what others wrote. A last line without its end was cut short by a crash: readers pass over it, and the next writer
removes it.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from widthwise.errors import InvalidInputError

Event = Mapping[str, Any]


class Journal:
    """The events of one file, in the order in which they were written; without a path they are in memory alone."""

    def __init__(self, path: Path | str | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._read = 0  # bytes
        self._lines = 0
        self._thread = threading.RLock()
        self._file: IO[bytes] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy in another process needs: all but the lock. Ray copies its searchers."""
        return {**self.__dict__, "_thread": None, "_file": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _thread=threading.RLock())

    @contextmanager
    def locked(self) -> Iterator[list[Event]]:
        """Keep every other process and thread out, and yield the events written since the last look."""
        with self._thread:
            if self._path is None:
                yield []
                return
            new = not self._path.exists()
            with self._path.open("a+b") as file:
                _lock(file)  # closing the file releases it, and so does the end of the process
                if new:
                    _flush_folder(self._path.parent)
                try:
                    self._file = file
                    yield self._news(file)
                finally:
                    self._file = None

    def append(self, events: Sequence[Event]) -> None:
        """Write events behind all others; only inside `locked`."""
        if self._path is None or not events:
            return
        if self._file is None:
            raise RuntimeError("append needs the lock: use it inside `with journal.locked():`")
        text = "".join(json.dumps(event, allow_nan=False, separators=(",", ":")) + "\n" for event in events)
        self._file.truncate(self._read)  # what a crash left of a line
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._read += len(text.encode())
        self._lines += len(events)

    def _news(self, file: IO[bytes]) -> list[Event]:
        file.seek(self._read)
        whole, end, _ = file.read().rpartition(b"\n")
        found = []
        for line in (whole + end).splitlines(keepends=True):
            found.append(self._event(line))
            self._read += len(line)
            self._lines += 1
        return found

    def _event(self, line: bytes) -> Event:
        try:
            event = json.loads(line)
            if isinstance(event, dict):
                return event
        except ValueError:
            pass
        raise InvalidInputError(
            f"{self._path}, line {self._lines + 1}: {line[:80]!r} is not a JSON object; it is not a sweep's file, or "
            "something else wrote into it",
            field="path",
        )


def _lock(file: IO[bytes]) -> None:
    """Wait for the exclusive lock of an open file."""
    try:
        import fcntl
    except ImportError:  # Windows
        raise InvalidInputError("a sweep's file needs POSIX file locks; leave path out", field="path") from None
    fcntl.flock(file, fcntl.LOCK_EX)


def _flush_folder(folder: Path) -> None:
    """Make the entry of a new file last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
