"""The `widthwise` command: one module per command, and `app`, which combines them."""

from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; always raises SystemExit, with 0, 1 or 2."""
    from widthwise.cli.app import main as run  # here, so that modules of this package can be imported without the app

    run(arguments)
