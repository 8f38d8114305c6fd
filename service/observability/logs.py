"""The log line of each request, and the watcher that counts requests and writes it.

A line never shows a body, a query or a header, which may hold secrets. The path is shown as its route's template, with
the id of a calibration or a sweep in a field of the line.
"""

import re

import structlog
from starlette.types import Scope

from service.http.request_labels import method_of, route_of
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing

#: By the parameter of the path. Only our own ids: any other text, such as a key, does not belong in a log.
_IDENTIFIERS = {"calibration_id": re.compile(r"cal_[0-9a-f]{24}"), "sweep_id": re.compile(r"swp_[0-9a-f]{24}")}
#: Polled by machines every few seconds; their lines are logged at a lower level.
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
SERVER_ERROR = 500

_log = structlog.get_logger(__name__)


class Watch:
    """Counts every request, and logs it if that is enabled."""

    def __init__(self, metrics: Metrics, tracing: Tracing, *, log_requests: bool) -> None:
        self._metrics = metrics
        self._tracing = tracing
        self._log_requests = log_requests

    def began(self, request_id: str) -> None:
        """Count a request as being answered."""
        self._metrics.in_flight += 1
        if self._tracing.on:
            self._tracing.mark_request(request_id)

    def ended(self, scope: Scope, status: int, seconds: float) -> None:
        """Count it as answered, and log it."""
        self._metrics.in_flight -= 1
        self._metrics.count(scope, status, seconds)
        if self._log_requests:
            _write(scope, status, seconds)


def _named_in(scope: Scope) -> dict[str, str]:
    """The ids in a request's path, if they have the form of one; other text from a client is not quoted."""
    given = scope.get("path_params", {})
    return {name: given[name] for name, form in _IDENTIFIERS.items() if name in given and form.fullmatch(given[name])}


def _write(scope: Scope, status: int, seconds: float) -> None:
    """Write the line; the request's id is bound to everything logged during the request."""
    route = route_of(scope)
    fields: dict[str, object] = {"method": method_of(scope), "route": route, "status": status}
    fields |= {"ms": round(1e3 * seconds, 2), **_named_in(scope)}
    state = scope["state"]
    caller = state.get("caller")
    if caller is not None:
        fields |= {"key_id": caller.key_id, "owner": caller.owner}
    fields["request_id"] = state["request_id"]
    if status >= SERVER_ERROR:
        _log.warning("request", **fields)
    elif route in _PROBES:
        _log.debug("request", **fields)
    else:
        _log.info("request", **fields)
