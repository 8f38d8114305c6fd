"""The group of all commands: the library's, and those of other installed distributions.

A distribution adds a command by an entry point in the group `widthwise.commands`. The entry point's name is the
command's name; its value is a function with typer's options as parameters, or a typer.Typer with commands. It is loaded
only when it is run or listed, so it costs the other commands nothing.
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

#: In the order in which a newcomer needs them; others follow by name.
ORDER = (
    *(
        "demo",
        "serve",
        "transfer",
        "export",
        "advise",
        "rules",
        "convert",
        "calibrate",
        "exponents",
        "fit",
        "sweeps",
        "fleet",
    ),
    *("work", "keys", "migrate"),
)
#: Commands of the server's distribution, and the extra that each needs.
OF_THE_SERVER: Mapping[str, str] = {
    "serve": "service,worker",
    "work": "worker",
    "keys": "service",
    "migrate": "service",
}
#: Old names, which differed by an s, and the new ones; old names work until the next release.
RENAMED: Mapping[str, str] = {"worker": "work", "workers": "fleet"}


class Commands(TyperGroup):
    """A group that finds commands by entry points, besides those registered with it."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of all commands in order, including the server's if it is not installed."""
        place = {name: number for number, name in enumerate(ORDER)}
        names = {*self.commands, *OF_THE_SERVER, *_installed()}
        return sorted(names, key=lambda name: (place.get(name, len(ORDER)), name))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its current or old name, or None if there is none."""
        if cmd_name in RENAMED:
            name = RENAMED[cmd_name]
            console.say(
                f"`widthwise {cmd_name}` is now `widthwise {name}`; the old name will be removed in the next release."
            )
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
    """Return the object that an entry point names as a command of the group."""
    if isinstance(loaded, typer.Typer):
        return get_command(loaded)
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name)(loaded)
    return get_command(alone)


def _not_installed(name: str) -> typer.Typer:
    """Return a placeholder for a command of the server; it accepts any options and says what to install."""
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
