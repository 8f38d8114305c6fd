"""The reference of the command line: every command's arguments and options, from the app that runs them."""

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from widthwise.cli.app import app


def page() -> str:
    """Return the page in Markdown."""
    lines = ["# Command line", "", "Every command of this version, as `--help` explains it.", ""]
    root: Any = get_command(app)
    for name in root.list_commands(None):
        lines += _command(f"widthwise {name}", root.get_command(None, name), 2)
    return "\n".join(lines)


def _command(path: str, command: Any, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {path}", "")
    yield from _help(command.help or "")
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    if shown:
        yield from ("| | |", "|---|---|")
        for each in shown:
            yield f"| {_names(each)} | {_cell(getattr(each, 'help', None) or '')}{_default(each)} |"
        yield ""
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from _command(f"{path} {name}", command.get_command(None, name), level + 1)


def _help(text: str) -> Iterator[str]:
    r"""Yield a help text: paragraphs after \b keep their lines, as the terminal shows them."""
    for paragraph in re.split(r"\n\s*\n", _plain(text)):
        if paragraph.lstrip().startswith("\b"):
            yield from ("```text", *paragraph.replace("\b", "").strip("\n").splitlines(), "```", "")
        else:
            yield from (" ".join(paragraph.split()), "")


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _default(parameter: Any) -> str:
    given = parameter.default
    if given is None or callable(given) or isinstance(given, bool) or given in ((), []):
        return ""
    return f" Default: `{getattr(given, 'value', given)}`."


def _cell(text: str) -> str:
    return " ".join(_plain(text).split()).replace("|", r"\|").replace("<", "&lt;")


def _plain(text: str) -> str:
    """Return a text without the marks of rich."""
    return re.sub(r"\[/?(?:bold|dim|italic|cyan|green|yellow|red|link)[^\]]*\]", "", text)
