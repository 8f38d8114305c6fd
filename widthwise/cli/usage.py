"""What is wrong with a command line, in this program's words: what was given, and what to give.

Typer's own messages come from the library that checks a value, and differ with its version.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import typer

#: The exception that all mistakes in a command line are; older versions of typer have it from click.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

#: What to give, by the kind of fault that pydantic reports; {} stands for what the check names.
_EXPECTED: Mapping[str, str] = {
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "int_parsing_size": "give a smaller number",
    "float_parsing": "give a number",
    "greater_than": "give a number above {gt}",
    "greater_than_equal": "give {ge} or more",
    "less_than": "give a number below {lt}",
    "less_than_equal": "give {le} or less",
    "enum": "give {expected}",
}


def usage_message(error: Exception) -> str:
    """Return the message for a mistake in a command line, and how the command is used."""
    context: Any = getattr(error, "ctx", None)
    if context is None:
        return f"{_message(error)}\nEvery option, with examples: widthwise --help"
    usage = " ".join(context.get_usage().split())
    return f"{_message(error)}\n{usage}\nEvery option, with examples: {context.command_path} --help"


def _message(error: Any) -> str:
    kind, said = type(error).__name__, str(getattr(error, "message", "") or error)
    if kind == "NoSuchOption":
        return _no_option(error.option_name, error.possibilities)
    if kind == "BadOptionUsage":
        return f"{error.option_name} needs a value; write it after the option"
    if kind == "MissingParameter":
        return f"{_place(error)} is missing; give it"
    return _bad_value(error, said) if isinstance(error, typer.BadParameter) else _no_such(said)


def _no_such(said: str) -> str:
    """Return the message for a command or an argument that nothing takes."""
    if command := re.match(r"No such command '(.*?)'", said):
        return f"there is no command {command[1]!r}{_instead(said)}"
    if extra := re.match(r"Got unexpected extra arguments? ?\(?s?\)? ?\((.*)\)", said):
        return f"{extra[1]} is more than the command takes; put a name with blanks in quotes"
    return said


def _no_option(name: str, near: Any) -> str:
    if re.match(r"-\.?\d", name):
        return f"{name} is read as an option; write -- before a number below 0"
    nearest = get_close_matches(name, near or (), 1)
    return f"there is no option {name}" + (f"; did you mean {nearest[0]}?" if nearest else "")


def _instead(said: str) -> str:
    near = re.search(r"[Dd]id you mean (.*?)\??$", said)
    return f"; did you mean {near[1]}?" if near else ""


def _bad_value(error: Any, said: str) -> str:
    """Return the message for a value that its parameter does not take."""
    cause: Any = error.__cause__
    if not hasattr(cause, "errors"):
        return f"{_place(error)}: {said}"
    fault = cause.errors()[0]
    if fault["type"] == "value_error":  # one of ours, which names the value
        return f"{_place(error)}: {fault['msg'].removeprefix('Value error, ')}"
    expected = _EXPECTED.get(fault["type"], "give another one").format(**fault.get("ctx", {}))
    return f"{_place(error)} is {fault['input']!r}; {expected}"


def _place(error: Any) -> str:
    """Return the option or the argument that an error is about, as one writes it."""
    hint = error.param_hint if error.param_hint is not None else error.param and error.param.get_error_hint()
    words = [hint] if isinstance(hint, str) else hint or ["the command line"]
    return ", ".join(word.split(" / ")[0].strip("'") for word in words)
