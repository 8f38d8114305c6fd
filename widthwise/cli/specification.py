"""What `widthwise calibrate` submits: a file with the options over it, and which options go together."""

from collections.abc import Callable, Mapping
from typing import Any

import typer

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

WAYS = ("spec", "extend", "watch", "cancel", "compare")  # of asking; at most one is given
#: What a way takes beside the options of every way; one that does not stand here takes all.
_TAKEN: Mapping[str, tuple[str, ...]] = {
    "extend": (*EXTENDED, "detach", "key"),
    "watch": (),
    "cancel": (),
    "compare": (),
}
_OF_EVERY_WAY = ("url", "as_json")

_REQUIRED = ("parameterization", "optimizer", "widths")  # without a file

_READ: Mapping[str, Callable[[str, str], Any]] = {
    "widths": words.integers,
    "learning_rates": words.numbers,
    "horizons": words.integers,
    "measure": lambda text, _: text.split(","),
}


def check_way(given: Mapping[str, Any]) -> None:
    """Refuse two ways of asking at once, and options that the one way does not take; typer.BadParameter names them.

    given: the options that were given, by the names of the command's arguments.
    """
    ways = [name for name in WAYS if name in given]
    if len(ways) > 1:
        raise typer.BadParameter(
            f"give one of {', '.join(map(_option, WAYS))}", param_hint=" and ".join(map(_option, ways))
        )
    if not ways or ways[0] not in _TAKEN:
        return
    taken = (*_TAKEN[ways[0]], *_OF_EVERY_WAY)
    refused = [_option(name, value) for name, value in given.items() if name not in (*ways, *taken)]
    if refused:
        raise typer.BadParameter(
            f"{_option(ways[0])} takes {_listed(taken)} only; leave the rest out", param_hint=", ".join(refused)
        )


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


def _option(name: str, value: Any = None) -> str:
    """How an argument of the command is written on its line."""
    written = {"spec": "FILE", "as_json": "--json"}
    return written.get(name) or f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def _listed(names: tuple[str, ...]) -> str:
    *first, last = map(_option, names)
    return f"{', '.join(first)} and {last}"
