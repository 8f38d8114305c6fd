"""Where the command writes: results to stdout, everything else to stderr."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from textwrap import fill
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from widthwise.cli.tables import Table, fits, laid_out

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
    return Table(columns, left)


def show(title: str, *tables: Table) -> None:
    """Print a table on stdout under its title: of several forms, the first that fits, otherwise the last."""
    out = stdout()
    table = next((each for each in tables if fits(each, out.width)), tables[-1])
    laid = laid_out(table, out.width)
    _lines(out, [title], style="bold")
    _lines(out, ["", *laid.head], style="bold")
    _lines(out, [*laid.rows, ""])


def _lines(out: Console, lines: Iterable[str], style: str = "") -> None:
    """Print lines as they are, however long: the terminal wraps what is wider, and nothing is cut."""
    for line in lines:
        out.print(line, style=style, markup=False, soft_wrap=True)


def paragraph(text: str, *, indent: str = "", hanging: str = "    ") -> None:
    """Print a text on stdout, wrapped between words, with further lines indented."""
    out = stdout()
    wrapped = fill(
        text,
        out.width,
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    _lines(out, [wrapped])


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


def asks(*, yes: bool) -> bool:
    """Return whether a command asks before it deletes: on a terminal, unless --yes was given."""
    return not yes and sys.stdin.isatty()


def confirm(question: str) -> None:
    """Ask before something is deleted; exit code 1 unless the answer is yes."""
    if not typer.confirm(question, err=True):
        fail("nothing was deleted")
        raise typer.Exit(1)
