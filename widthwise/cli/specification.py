"""What `widthwise calibrate` submits: a file with the options over it."""

from collections.abc import Callable, Mapping
from typing import Any

from widthwise.cli import words

#: Options that are fields of a specification by the same name, and those that are fields of its proxy.
SETTING = (
    *("parameterization", "optimizer", "alignment", "readout_omega", "form", "epsilon"),
    *("learning_rate_rule", "epsilon_rule", "learning_rates", "steps", "search", "early_stopping", "measure"),
    "horizons",
)
EXTENDED = ("widths", "seeds", "mesh")  # the fields that an extension changes; all others stay its calibration's own
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
    """Return the body of POST /v1/calibrations: what the file says, if one was given, with the options over it.

    Raises typer.BadParameter for an option that can't be read or is missing, InvalidInputError for such a file.
    """
    if "spec" in given:
        asked = words.read_request(given["spec"])
    else:
        words.require({_option(name): given.get(name) for name in _REQUIRED})
        asked = {}
    asked |= _fields(given, (*SETTING, *EXTENDED))
    proxy = _fields(given, PROXY)
    if proxy:
        before = asked.get("proxy")
        before = before if isinstance(before, dict) else {}
        asked["proxy"] = {"architecture": "mlp"} | before | proxy
    return asked


def extension(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of POST /v1/calibrations/{id}/extensions; typer.BadParameter for an option that can't be read."""
    return _fields(given, EXTENDED)


def _fields(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields among the options; lists are read from their text."""
    return {
        name: _READ[name](given[name], _option(name)) if name in _READ else given[name]
        for name in names
        if name in given
    }


def _option(name: str) -> str:
    """How a field's option is written on the command line."""
    return f"--{name.replace('_', '-')}"
