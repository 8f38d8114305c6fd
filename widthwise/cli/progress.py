"""Shows the progress of a calibration in the terminal until it has ended."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from widthwise.client import FINAL_STATES, Calibration, Client
from widthwise.client.progress import line_of, with_time_left

LINE_SECONDS = 5.0  # chosen: between two lines of progress if there is no terminal to redraw


class ProgressView(Protocol):
    """Shows the progress of a calibration."""

    def update(self, done: int, total: int, seconds_left: float | None, state: str) -> None:
        """Show a new state."""
        ...


def follow(client: Client, calibration_id: str, out: Console) -> Calibration:
    """Show the progress of a calibration on `out` until it has ended; return its last state."""
    with _view(out) as view:
        for calibration in client.watch(calibration_id):
            progress = calibration["progress"]
            done, total = progress["trials_done"], progress["trials_total"]
            view.update(done, total, progress.get("seconds_left"), calibration["state"])
            if calibration["state"] in FINAL_STATES:
                break
    return calibration


@contextmanager
def _view(out: Console) -> Iterator[ProgressView]:
    if not out.is_terminal:
        yield _Lines(out)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.fields[state]}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns, console=out) as progress:
        yield _Bar(progress)


class _Bar:
    """A bar that redraws itself."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task = progress.add_task("", state="queued", text="", total=None)

    def update(self, done: int, total: int, seconds_left: float | None, state: str) -> None:
        text = with_time_left(done, total, seconds_left, state)
        self._progress.update(self._task, completed=done, total=total or None, state=state, text=text)


class _Lines:
    """A line now and then, for a pipe or a log."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._last: tuple[int, str] | None = None
        self._printed = -LINE_SECONDS

    def update(self, done: int, total: int, seconds_left: float | None, state: str) -> None:
        now = time.monotonic()
        final = state in FINAL_STATES
        if self._last == (done, state) or (now - self._printed < LINE_SECONDS and not final):
            return
        self._last, self._printed = (done, state), now
        self._out.print(escape(line_of(done, total, seconds_left, state)), soft_wrap=True)
