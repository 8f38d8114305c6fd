"""Parses words and numbers of the command line."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from widthwise.errors import InvalidInputError
from widthwise.jsontext import SHOWN, json_fault

STDIN = "-"
FILE_LIMIT = 64 << 20  # bytes of one request file (chosen): about 400,000 tensors; guards against the wrong file


def number_or_by_role(values: Sequence[str] | None, option: str) -> float | dict[str, float] | None:
    """Parse `0.003`, or any number of `hidden=0.003`.

    Raises typer.BadParameter (a usage error); the library checks roles and ranges.
    """
    if not values:
        return None
    if len(values) == 1 and "=" not in values[0]:
        return _number(values[0], option)
    by_role = {}
    for text in values:
        role, separator, value = text.partition("=")
        if not separator or role in by_role:
            raise typer.BadParameter(
                f"{text!r}: give one number, or ROLE=NUMBER once per role", param_hint=f"'{option}'"
            )
        by_role[role] = _number(value, option)
    return by_role


def sizes(values: Sequence[str] | None, option: str) -> tuple[dict[str, int], dict[str, int]]:
    """Parse any number of `depth=8:32`, base and target, into the sizes of both ends."""
    base: dict[str, int] = {}
    target: dict[str, int] = {}
    for text in values or ():
        name, _, pair = text.partition("=")
        ends = [_count(part) for part in pair.split(":")]
        if name in base or len(ends) != 2 or None in ends:
            raise typer.BadParameter(f"{text!r}: give NAME=BASE:TARGET once per size", param_hint=f"'{option}'")
        base[name], target[name] = (end for end in ends if end is not None)
    return base, target


def _count(text: str) -> int | None:
    """A whole number, also as 2e9; None for anything else."""
    try:
        number = float(text)
        return int(text) if text.isdigit() else int(number) if number.is_integer() else None
    except (ValueError, OverflowError):
        return None


def rules(values: Sequence[str] | None, option: str) -> dict[str, str | dict[str, Any]] | None:
    """Parse any number of `depth=completep`, `depth=completep,alpha=0.75` or `tokens=exponent=0.3`."""
    chosen: dict[str, str | dict[str, Any]] = {}
    for text in values or ():
        about, separator, choice = text.partition("=")
        if not separator or not choice or about in chosen:
            raise typer.BadParameter(
                f"{text!r}: give ABOUT=RULE or ABOUT=RULE,PARAMETER=NUMBER once for each", param_hint=f"'{option}'"
            )
        first, *others = choice.split(",")
        parameters = others if "=" not in first else [first, *others]
        word = {} if "=" in first else {"rule": first}
        given_here = {name: _number(value, option) for name, _, value in (part.partition("=") for part in parameters)}
        chosen[about] = first if word and not given_here else {**word, **given_here}
    return chosen or None


def numbers(text: str | None, option: str) -> list[float] | None:
    """Parse `0.001,0.002,0.004`."""
    return None if text is None else [_number(part, option) for part in text.split(",")]


def integers(text: str | None, option: str) -> list[int] | None:
    """Parse `64,128,256`."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r}: give integers separated by commas", param_hint=f"'{option}'") from None


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number", param_hint=f"'{option}'") from None


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def require(options: Mapping[str, Any]) -> None:
    """Raise a usage error that names the missing options."""
    missing = [name for name, value in options.items() if value is None]
    if missing:
        raise typer.BadParameter("missing; give options, or a JSON file", param_hint=", ".join(missing))


def read_request(path: str) -> dict[str, Any]:
    """Read a JSON object from a file, or from stdin for `-`; InvalidInputError says what is wrong."""
    name = "standard input" if path == STDIN else path
    try:
        text = sys.stdin.read(FILE_LIMIT + 1) if path == STDIN else _file_text(Path(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInputError(f"{name} can't be read: {reason}; give a JSON file, or - for standard input") from None
    if len(text) > FILE_LIMIT:
        raise InvalidInputError(f"{name} is larger than {FILE_LIMIT >> 20} MiB; is it the right file?")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        advice = "convert it from YAML to JSON" if name.endswith((".yaml", ".yml")) else "give a JSON object"
        raise InvalidInputError(f"{name} can't be read: {json_fault(text, error)}; {advice}") from None
    if not isinstance(value, dict):
        raise InvalidInputError(f"{name} contains {_kind(value)}; give an object, as in the examples")
    return value


def _kind(value: Any) -> str:
    """Return what a JSON value is, with its beginning."""
    text = json.dumps(value)
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return f"a list, {shown}" if isinstance(value, list) else f"the value {shown}"


def _file_text(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:  # Windows editors add a byte order mark
        return file.read(FILE_LIMIT + 1)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number in JSON, which knows finite ones only")
