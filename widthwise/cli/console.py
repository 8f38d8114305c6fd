"""Where the command writes: results to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PIPE_WIDTH = 132  # columns if there is no terminal (chosen): a plan's table fits without wrapping


def stdout() -> Console:
    """Return the console for results: without colour and with a fixed width if it is not a terminal."""
    return _console(stderr=False)


def stderr() -> Console:
    """Return the console for progress, warnings and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """Write one JSON document to stdout; an answer of the client is a mapping, though not a dict."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False, default=dict) + "\n")


def say(text: str) -> None:
    """Write one remark to stderr."""
    stderr().print(escape(text), soft_wrap=True)


def fail(message: str) -> None:
    """Write an error to stderr; the caller chooses the exit code."""
    stderr().print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)


def warn(warnings: Iterable[Mapping[str, Any]]) -> None:
    """Write the warnings of a plan or a result ({"code", "message"}) to stderr."""
    console = stderr()
    for warning in warnings:
        text = f"[yellow]Warning[/] ({escape(warning['code'])}): {escape(warning['message'])}"
        console.print(text, soft_wrap=True)


def new_table(*columns: str, left: int = 1) -> Table:
    """Return an empty table; its first `left` columns are words, the others numbers."""
    from rich.box import SIMPLE_HEAD

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        words = index < left
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=not words)
    return table


def show(title: str, table: Table) -> None:
    """Print a table on stdout under its title."""
    out = stdout()
    out.print(f"[bold]{escape(title)}[/]", soft_wrap=True)
    out.print(table)


def number(value: float | None) -> str:
    """Return a number with at most four significant digits; an empty cell for None."""
    return "" if value is None else f"{value:.4g}"


def signed(value: float) -> str:
    """Return an exponent to three decimals, with a real minus sign and no minus before zero."""
    text = f"{value:.3f}"
    return text.replace("-", "−") if float(text) else "0.000"


def between(interval: Iterable[float] | None) -> str:
    """Return an interval of exponents; a dash if there is none."""
    return "–" if interval is None else " to ".join(signed(end) for end in interval)
