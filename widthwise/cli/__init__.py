"""The `widthwise` command: one module for each command, and `app` that puts them together."""

from widthwise.cli.app import main

__all__ = ["main"]
