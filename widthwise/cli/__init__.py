"""The `widthwise` command: one module for each command, and `app`, which puts them together."""

from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; always ends in SystemExit, with 0, 1 or 2."""
    from widthwise.cli.app import main as run  # here, so that a module of this package is imported without the app

    run(arguments)
