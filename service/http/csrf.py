"""Who may call a service that asks for no key: its own pages and programs, and no other site's pages.

A browser sends any page's requests to any address. Two checks keep foreign ones out. A request that changes something
must not come from another site's page, wherever the service listens. On loopback the Host header must name this machine
besides: a foreign name that was made to resolve to 127.0.0.1 does not, so its page can't read here either.
"""

from urllib.parse import urlsplit

from starlette.types import Scope

from service.settings import LOOPBACK_HOSTS

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class OwnPagesOnly:
    """Find changing requests from a foreign page, and foreign Hosts; `service.http.middleware` answers with 403."""

    def __init__(self, *, local: bool) -> None:
        """local: the Host header must name this machine; else any name will do, as a proxy's."""
        self._local = local
        self._known: set[bytes] = set()  #: Host headers found good: one or two in the life of a service

    def fault(self, scope: Scope) -> str | None:
        """Say what is foreign about a request; None if nothing is."""
        changing = scope["method"] not in _SAFE_METHODS
        host = site = b""
        origin: bytes | None = None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                if self._local and value not in self._known:
                    if _name(b"//" + value) not in LOOPBACK_HOSTS:
                        return f"The Host header is {value.decode('latin-1')[:100]!r}."
                    self._known = {value, *list(self._known)[:7]}
            elif changing and name == b"origin":
                origin = value
            elif changing and name == b"sec-fetch-site":
                site = value
        if site == b"cross-site":
            return "The request comes from a page of another site."
        # "same-origin" is the browser's own word, which no page can set: a proxy may have changed the Host.
        if origin is not None and site != b"same-origin":
            name = _name(origin)
            if name is None or name != _name(b"//" + host):
                return f"The request comes from a page of {origin.decode('latin-1')[:100]!r}."
        return None


def _name(address: bytes) -> str | None:
    """Return the host of an address without its port; None if it can't be read or has none, as `null` has."""
    try:
        return urlsplit(address.decode("latin-1")).hostname
    except ValueError:
        return None
