"""Options that say how a sweep's rows are read, and the words that `widthwise fit` and `widthwise sweeps` take."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

import typer

from widthwise.cli import options

READING = "What the columns mean"
FIELDS = ("learning_rate", "loss", "seed", "status")


def file() -> Any:
    """FILE of a sweep."""
    help_text = "Runs as CSV, JSON lines or a JSON list, or Optuna's SQLite storage."
    return typer.Argument(metavar="FILE", help=help_text)


def study() -> Any:
    """--study."""
    help_text = "The study, if a storage has several."
    return typer.Option("--study", metavar="NAME", help=help_text, rich_help_panel=READING)


def column() -> Any:
    """--column."""
    help_text = "The column of learning_rate, loss, seed or status, if it has another name."
    return typer.Option("--column", metavar="FIELD=COLUMN", help=help_text, rich_help_panel=READING)


def axis() -> Any:
    """--axis."""
    help_text = "An axis of numbers; width, depth, parameters, tokens, batch_tokens and rank are read anyway."
    return typer.Option("--axis", metavar="NAME[=COLUMN]", help=help_text, rich_help_panel=READING)


def group() -> Any:
    """--group."""
    help_text = "An axis of words, such as optimizer."
    return typer.Option("--group", metavar="NAME[=COLUMN]", help=help_text, rich_help_panel=READING)


def without() -> Any:
    """--without."""
    help_text = "Leave an axis out, such as depth."
    return typer.Option("--without", metavar="AXIS", help=help_text, rich_help_panel=READING)


def prescribed() -> Any:
    """--prescribed."""
    help_text = "An axis that the parameterization already scales the rates over, such as width under muP."
    return typer.Option("--prescribed", metavar="AXIS", help=help_text, rich_help_panel=READING)


def holdout(panel: str = options.OUTPUT) -> Any:
    """--holdout."""
    help_text = "Predict the cells at this end of an axis from all others, and say how well."
    return typer.Option("--holdout", metavar="AXIS=max|min", help=help_text, rich_help_panel=panel)


def pair(text: str, option: str) -> tuple[str, str]:
    """Parse `tokens=D` or `tokens`, whose column is called the same."""
    name, _, column = text.partition("=")
    if not name:
        raise typer.BadParameter(f"{text!r}: give NAME=COLUMN", param_hint=f"'{option}'")
    return name, column or name


def fields(texts: Sequence[str] | None) -> dict[str, str]:
    """Parse every --column."""
    found = dict(pair(text, "--column") for text in texts or ())
    for name in found:
        if name not in FIELDS:
            raise typer.BadParameter(
                f"{name!r}: give learning_rate, loss, seed or status; --axis and --group name the rest",
                param_hint="'--column'",
            )
    return found


def meanings(
    column: Sequence[str] | None, axis: Sequence[str] | None, group: Sequence[str] | None
) -> tuple[dict[str, str], list[str]]:
    """Parse --column, --axis and --group; return the column of each field and axis, and the axes of words."""
    groups = dict(pair(text, "--group") for text in group or ())
    axes = dict(pair(text, "--axis") for text in axis or ())
    return {**fields(column), **axes, **groups}, list(groups)


def place(text: str, words: Collection[str], hint: str = "'--predict'") -> dict[str, float | str]:
    """Parse a cell, AXIS=VALUE,…; a value of the axes in `words` is a word."""
    found: dict[str, float | str] = {}
    for part in text.split(","):
        name, separator, value = part.strip().partition("=")
        try:
            found[name] = value if name in words else float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise typer.BadParameter(f"{part!r}: give AXIS=NUMBER", param_hint=hint)
    return found


def end(text: str) -> tuple[str, Literal["max", "min"]]:
    """Parse `tokens=max`."""
    name, _, found = text.partition("=")
    if found == "max":
        return name, "max"
    if found == "min":
        return name, "min"
    raise typer.BadParameter(f"{text!r}: give AXIS=max or AXIS=min", param_hint="'--holdout'")
