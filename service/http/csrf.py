"""Protects a service without API keys from other sites' pages; its own pages and programs may call it.

A browser sends any page's requests to any address, so two checks keep foreign pages out. A request that changes
something must not come from a page of another origin (scheme, host and port), wherever the service listens. On loopback
the Host header must also name this machine: a foreign name that resolves to 127.0.0.1 does not, so its page can't read
anything here either.
"""

from urllib.parse import urlsplit

from starlette.types import Scope

from service.settings import LOOPBACK_HOSTS

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PORTS = {"http": 80, "https": 443}  #: where an origin or Host header names none


class OwnPagesOnly:
    """Finds changing requests from a foreign page, and foreign Hosts; `service.http.middleware` sends the 403."""

    def __init__(self, *, local: bool) -> None:
        """local: the Host header must name this machine; otherwise any name is allowed, such as a proxy's."""
        self._local = local
        self._known: set[bytes] = set()  #: valid Host headers: one or two in a service's lifetime

    def fault(self, scope: Scope) -> str | None:
        """Return what is foreign about a request; None if nothing is."""
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
        if site in (b"cross-site", b"same-site"):
            return "The request comes from a page of another site, or of another port."
        # Only the browser can set "same-origin", and a proxy may have changed the Host.
        if origin is not None and site != b"same-origin":
            scheme, page = origin.partition(b"://")[0], _place(origin)
            # What is http here may be https to the browser, behind a proxy that ends TLS; never the other way round.
            if page is None or (scheme == b"http" and scope["scheme"] == "https") or page != _place(host, scheme):
                return f"The request comes from a page of {origin.decode('latin-1')[:100]!r}."
        return None


def _place(address: bytes, scheme: bytes = b"") -> tuple[str, int] | None:
    """Return host and port of an origin, or of a Host header that is called by the scheme; None if there are none."""
    try:
        parts = urlsplit((scheme + b"://" + address if scheme else address).decode("latin-1"))
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return None if parts.hostname is None or port is None else (parts.hostname, port)


def _name(address: bytes) -> str | None:
    """Return the host of an origin or Host header without its port; None if there is none, as in `null`."""
    try:
        return urlsplit(address.decode("latin-1")).hostname
    except ValueError:
        return None
