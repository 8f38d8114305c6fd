"""Routers, which every reading places as hidden and says so."""

from collections.abc import Iterable, Iterator, Sequence

from widthwise.caution import Caution
from widthwise.reading.parameter import Feeds, Parameter


def router_cautions(parameters: Iterable[Parameter]) -> Iterator[Caution]:
    """What a user must know of the parameters that choose experts, if there are any."""
    routers = [parameter.name for parameter in parameters if parameter.feeds is Feeds.ROUTER]
    if routers:
        yield Caution(
            "router_as_hidden",
            f"{_some(routers)} choose experts and are read as hidden: their own fans give the learning rate. Published "
            "recipes differ (some train routers as readouts); settle it by roles",
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
