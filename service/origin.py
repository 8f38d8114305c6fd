"""Who may call a service that asks for no key: this machine's programs and this service's own page, no other site.

A browser sends any page's requests to 127.0.0.1.  Two checks keep them out: the Host header must name this machine (a
foreign name that was made to resolve to 127.0.0.1 does not), and a request that changes something must not come from
another site's page.
"""

from urllib.parse import urlsplit

from starlette.types import Scope

from service.settings import LOOPBACK_HOSTS

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class LocalCallersOnly:
    """Finds a foreign Host, and a changing request from a foreign page: `service.bounds` answers them with 403."""

    def __init__(self) -> None:
        self._known: set[bytes] = set()  #: Host headers found good: one or two in the life of a service

    def fault(self, scope: Scope) -> str | None:
        """Say what is foreign about a request; None if nothing is."""
        changing = scope["method"] not in _SAFE_METHODS
        for name, value in scope["headers"]:
            if name == b"host":
                if value not in self._known:
                    if not _is_local("//" + value.decode("latin-1")):
                        return f"The Host header is {value.decode('latin-1')[:100]!r}."
                    self._known = {value, *list(self._known)[:7]}
            elif changing and name == b"origin" and not _is_local(value.decode("latin-1")):
                return f"The request comes from a page of {value.decode('latin-1')[:100]!r}."
            elif changing and name == b"sec-fetch-site" and value == b"cross-site":
                return "The request comes from a page of another site."
        return None


def _is_local(address: str) -> bool:
    try:
        return urlsplit(address).hostname in LOOPBACK_HOSTS
    except ValueError:  # an address that can't be read is not this machine's
        return False
