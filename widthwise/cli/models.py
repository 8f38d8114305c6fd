"""Model files of the command line, in the form that a request has them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from widthwise.cli import words
from widthwise.reading.safetensors import read_header


def model_part(base: Path | None, target: Path | None, roles: Sequence[str] | None) -> dict[str, Any]:
    """The `model` of a request: each model from its config.json, or from a safetensors header or index.

    What was left out is left out. Raises InvalidInputError for a file that is none of these.
    """
    ends = {"base": base, "target": target}
    part: dict[str, Any] = {end: _model(path) for end, path in ends.items() if path is not None}
    if roles:
        part["roles"] = dict(_role(text) for text in roles)
    return part


def _model(path: Path) -> dict[str, Any]:
    if path.name.endswith((".safetensors", ".safetensors.index.json")):
        return {"shapes": {each.name: list(each.shape) for each in read_header(path).reading().parameters}}
    return words.read_request(str(path))


def _role(text: str) -> tuple[str, str]:
    pattern, separator, role = text.rpartition("=")
    if not separator or not pattern:
        raise typer.BadParameter(f"{text!r}: give PATTERN=ROLE, such as 'model.*.router=hidden'", param_hint="'--role'")
    return pattern, role
