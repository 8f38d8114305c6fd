"""What logs and metrics call a request: its route and its method, from lists that no client can make longer."""

from starlette.types import Scope

UNMATCHED = "unmatched"  # the route of a path that is none of ours: raw paths would be labels without end
OTHER_METHOD = "OTHER"
CUT = 499  # the status of a request whose client left before the answer, as nginx writes it

_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request took, such as `/v1/calibrations/{calibration_id}`."""
    return getattr(scope.get("route"), "path", UNMATCHED)


def method_of(scope: Scope) -> str:
    """Return a request's method, or `OTHER` for one that HTTP does not define."""
    method: str = scope["method"]
    return method if method in _METHODS else OTHER_METHOD
