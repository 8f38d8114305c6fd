"""The version that the service reports."""

from importlib.metadata import PackageNotFoundError, version


def _installed_version() -> str:
    try:
        return version("widthwise")
    except PackageNotFoundError:  # run from a source tree that was not installed
        return "0+source"


VERSION = _installed_version()
