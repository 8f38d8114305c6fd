"""What to install if a command needs a missing package."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from widthwise.errors import WidthwiseError

SERVER = "widthwise-server"  #: the distribution that holds the service, its workers and its migrations
OUR_PACKAGES = frozenset({"widthwise", "service", "workers", "migrations"})


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing optional package into the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in OUR_PACKAGES:
            raise  # a bug
        raise _missing(error.name, extra) from None


def require_package(name: str, extra: str) -> None:
    """Refuse to start without a package that another process will import; does not import it here."""
    if find_spec(name) is None:
        raise _missing(name, extra)


def _missing(package: str, extra: str) -> WidthwiseError:
    return WidthwiseError(f"this command needs the package {package!r}: pip install '{SERVER}[{extra}]'")
