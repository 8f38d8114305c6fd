"""The body that `widthwise calibrate` submits: a file, overridden by options."""

from collections.abc import Callable, Mapping
from typing import Any

from widthwise.cli import words

#: Options that are fields of a specification with the same name, and those that are fields of its proxy.
SETTING = (
    *("parameterization", "optimizer", "alignment", "readout_omega", "form", "epsilon"),
    *("learning_rate_rule", "epsilon_rule", "learning_rates", "steps", "search", "early_stopping", "measure"),
    *("horizons", "target_width"),
)
#: The fields that an extension can change; all others stay as in its calibration.
EXTENDED = ("widths", "seeds", "mesh", "precision", "budget")
#: For people; not part of the specification.
LABELS = ("name", "note")
PROXY = (
    *("architecture", "depth", "head_dim", "sequence_length", "batch_size", "dataset"),
    *("feed_forward", "qk_norm", "tied"),
)

_REQUIRED = ("parameterization", "optimizer", "widths")  # without a file

_READ: Mapping[str, Callable[[str, str], Any]] = {
    "widths": words.integers,
    "learning_rates": words.numbers,
    "horizons": words.integers,
    "measure": lambda text, _: text.split(","),
}


def specification(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of POST /v1/calibrations: the file's fields, if there is a file, overridden by the options.

    Raises typer.BadParameter if an option is invalid or missing, and InvalidInputError if the file is invalid.
    """
    if "spec" in given:
        asked = words.read_request(given["spec"])
    else:
        words.require({_option(name): given.get(name) for name in _REQUIRED})
        asked = {}
    asked |= _fields(given, (*SETTING, *EXTENDED, *LABELS))
    proxy = _fields(given, PROXY)
    if proxy:
        before = asked.get("proxy")
        before = before if isinstance(before, dict) else {}
        asked["proxy"] = {"architecture": "mlp"} | before | proxy
    return asked


def extension(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of POST /v1/calibrations/{id}/extensions; typer.BadParameter if an option is invalid."""
    return _fields(given, (*EXTENDED, *LABELS))


def _fields(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the options that are fields; lists are parsed from text."""
    return {
        name: _READ[name](given[name], _option(name)) if name in _READ else given[name]
        for name in names
        if name in given
    }


def _option(name: str) -> str:
    """Return a field's option as written on the command line."""
    return f"--{name.replace('_', '-')}"
