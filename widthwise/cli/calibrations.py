"""A calibration on the screen: its progress while it runs, and what it measured."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from widthwise.cli import console
from widthwise.client import FINAL_STATES, Calibration, Client

LINE_SECONDS = 5.0  # chosen: between two lines of progress where there is no terminal to redraw
BAR_CHARACTERS = 30
#: A trial's seconds ∝ width^1.25 on a CPU: 0.23 s at width 32 and 1.22 s at 128 (measured, MLP, one core).
SECONDS_EXPONENT = 1.25


class View(Protocol):
    """Something that shows how far a calibration is."""

    def update(self, done: int, total: int, seconds_left: float | None, state: str) -> None:
        """Show a new state."""
        ...


def follow(client: Client, calibration_id: str, out: Console) -> Calibration:
    """Show the progress of a calibration on `out` until it has ended; give its last state."""
    left: TimeLeft | None = None
    with _view(out) as view:
        for calibration in client.watch(calibration_id):
            progress = calibration["progress"]
            done, total = progress["trials_done"], progress["trials_total"]
            left = left or TimeLeft(calibration["spec"], done)
            view.update(done, total, left.after(done), calibration["state"])
            if calibration["state"] in FINAL_STATES:
                break
    return calibration


class TimeLeft:
    """How long the rest takes, from how long the beginning took; wide trials come first and take longer."""

    def __init__(self, spec: Mapping[str, Any], done: int, *, now: float | None = None) -> None:
        self._started = time.monotonic() if now is None else now
        per_width = int(spec["seeds"]) * len(spec.get("learning_rates") or ())
        widths = sorted(spec["widths"], reverse=True)
        self._costs: list[float] = [float(width) ** SECONDS_EXPONENT for width in widths for _ in range(per_width)]
        self._before = sum(self._costs[:done])

    def after(self, done: int, *, now: float | None = None) -> float | None:
        """Give the seconds left once `done` trials are stored; None while nothing can be said."""
        elapsed = (time.monotonic() if now is None else now) - self._started
        spent, total = sum(self._costs[:done]) - self._before, sum(self._costs)
        if spent <= 0 or total <= 0:
            return None
        return elapsed * (total - self._before - spent) / spent


@contextmanager
def _view(out: Console) -> Iterator[View]:
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
        text = _counted(done, total, seconds_left, state)
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
        filled = BAR_CHARACTERS * done // max(total, done, 1)
        bar = "#" * filled + "." * (BAR_CHARACTERS - filled)
        self._out.print(f"{state:9} {escape(f'[{bar}]')} {_counted(done, total, seconds_left, state)}", soft_wrap=True)


def _counted(done: int, total: int, seconds_left: float | None, state: str) -> str:
    text = f"{done}/{total} trials" if total else f"{done} trials"
    if state == "running" and seconds_left is not None and done < total:
        text += f", about {_duration(seconds_left)} left"
    return text


def _duration(seconds: float) -> str:
    """Give a rough time for a person: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def show_result(calibration: Calibration) -> None:
    """Print the optima by width and the measured exponents beside theory; warnings go to stderr."""
    result = calibration["result"]
    if result is None:
        return
    out = console.stdout()
    table = console.new_table("width", "learning rate", "95 % interval", "loss", "trials", "diverged")
    for optimum in result["optima"]:
        bound = {"upper_bound": "≤ ", "lower_bound": "≥ "}.get(optimum["kind"], "")
        interval = optimum.get("interval")
        table.add_row(
            str(optimum["width"]),
            bound + f"{optimum['learning_rate']:.3g}",
            "–" if interval is None else f"{interval[0]:.3g} to {interval[1]:.3g}",
            f"{optimum['loss']:.4f}",
            str(optimum["completed"] + optimum["diverged"]),
            str(optimum["diverged"]),
        )
    console.show("Best base learning rate by width", table)
    drift = result["drift"]
    if drift is None:
        out.print(
            "No drift and no exponents: they need an optimum inside the grid at two widths or more.", soft_wrap=True
        )
    else:
        out.print(
            f"Drift: the best base learning rate goes as width^(−d) with d = {console.signed(drift['value'])}, "
            f"95 % interval {console.between(drift['interval'])}; 0 where the theory's multipliers transfer.\n",
            soft_wrap=True,
        )
        show_exponents(result["exponents"], "Measured exponents")
    console.warn(result["warnings"])


def show_exponents(exponents: Iterable[Mapping[str, Any]], title: str) -> None:
    """Print measured exponents of one calibration beside theory's."""
    table = console.new_table("quantity", "role", "exponent", "95 % interval", "theory", "widths", left=2)
    for exponent in exponents:
        theory = exponent["theory"]
        table.add_row(
            exponent["quantity"].replace("_", " "),
            exponent["role"],
            console.signed(exponent["value"]),
            console.between(exponent["interval"]),
            "–" if theory is None else console.signed(theory),
            ",".join(map(str, exponent["widths"])),
        )
    console.show(f"{title} (quantity ∝ width^(−exponent))", table)
