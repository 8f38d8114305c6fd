"""The group of all commands: the library's own, and those that other installed distributions bring.

A distribution brings a command by an entry point of the group `widthwise.commands`: its name is the command's, and its
value a function with typer's options as parameters, or a typer.Typer that has commands itself. It is loaded when it is
run or listed, so that it costs the other commands nothing.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperGroup
from typer.main import get_command

from widthwise.cli import console
from widthwise.cli.installation import SERVER
from widthwise.errors import WidthwiseError

GROUP = "widthwise.commands"

#: As a newcomer needs them; any others follow by name.
ORDER = ("demo", "serve", "transfer", "calibrate", "exponents", "fleet", "work", "keys", "migrate")
#: Those of the server's distribution, and the extra that each needs.
OF_THE_SERVER: Mapping[str, str] = {
    "serve": "service,worker",
    "work": "worker",
    "keys": "service",
    "migrate": "service",
}
#: Old names, which differed by an s, and their new ones; they work until the next release.
RENAMED: Mapping[str, str] = {"worker": "work", "workers": "fleet"}


class Commands(TyperGroup):
    """A group that finds commands by entry points, beside those that are registered with it."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of all commands in order, including the server's if it is not installed."""
        place = {name: number for number, name in enumerate(ORDER)}
        names = {*self.commands, *OF_THE_SERVER, *_installed()}
        return sorted(names, key=lambda name: (place.get(name, len(ORDER)), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name or its old one, or None if there is none."""
        if cmd_name in RENAMED:
            name = RENAMED[cmd_name]
            console.say(f"`widthwise {cmd_name}` is now `widthwise {name}`; the old name will go in the next release.")
            return self.get_command(ctx, name)
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        point = _installed().get(cmd_name)
        if point is not None:
            return _as_command(cmd_name, point.load())
        return _as_command(cmd_name, _not_installed(cmd_name)) if cmd_name in OF_THE_SERVER else None


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _as_command(name: str, loaded: Callable[..., None] | typer.Typer, /) -> Any:
    """Return what an entry point names as a command of the group."""
    if isinstance(loaded, typer.Typer):
        return get_command(loaded)
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name)(loaded)
    return get_command(alone)


def _not_installed(name: str) -> typer.Typer:
    """Return a stand-in for a command of the server: whatever its options, it says what to install."""
    install = f"pip install '{SERVER}[{OF_THE_SERVER[name]}]'"
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")

    @alone.command(
        name,
        help=f"Not installed; it comes with {escape(install)}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def say_what_to_install() -> None:
        raise WidthwiseError(f"`widthwise {name}` is a command of the server, which is not installed: {install}")

    return alone
