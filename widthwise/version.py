"""The version of this library, from its installed metadata."""

from importlib.metadata import version

VERSION = version("widthwise")
