"""A line that shows how far a calibration is, on a terminal or in a notebook; nothing elsewhere."""

import sys
from typing import TextIO

from widthwise.client.calibrations import Calibration

BAR_CHARACTERS = 30


class ProgressLine:
    """Redraws one line; `close` ends it, and may be called at any time."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty() or in_notebook()
        self._length = 0

    def show(self, calibration: Calibration) -> None:
        """Show a state."""
        if self._shown:
            done, total = calibration.progress.trials_done, calibration.progress.trials_total
            text = line_of(done, total, calibration.progress.seconds_left, calibration.state)
            self._stream.write("\r" + text.ljust(self._length))
            self._stream.flush()
            self._length = len(text)

    def close(self) -> None:
        """End the line."""
        if self._length:
            self._stream.write("\n")
            self._stream.flush()
            self._length = 0


def line_of(done: int, total: int, seconds_left: float | None, state: str) -> str:
    """Return a calibration's progress as one line, with a bar."""
    filled = BAR_CHARACTERS * done // max(total, done, 1)
    bar = "#" * filled + "." * (BAR_CHARACTERS - filled)
    return f"{state:9} [{bar}] {with_time_left(done, total, seconds_left, state)}"


def counted(done: int, total: int) -> str:
    """Return how many trials are done, of how many; an external runner does not say of how many."""
    return f"{done}/{total} trials" if total else f"{done} trials"


def with_time_left(done: int, total: int, seconds_left: float | None, state: str) -> str:
    """Return how many trials are done, and how long the rest takes if that is known."""
    text = counted(done, total)
    if state == "running" and seconds_left is not None and done < total:
        text += f", about {duration(seconds_left)} left"
    return text


def duration(seconds: float) -> str:
    """Return a rough duration as text: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel: IPython is loaded there, with a shell that talks over ZMQ."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
