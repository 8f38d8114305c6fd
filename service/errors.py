"""Errors that the HTTP service sends to clients: one tree, each with its status and problem type.

    ApiError                              any of those below; never a programming mistake
    ├── MalformedRequestError        400  the bytes are not JSON, or not UTF-8
    ├── UnauthorizedError            401  no API key, or an invalid one
    ├── ForbiddenError               403  the key's scope is too narrow
    ├── ForeignOriginError           403  another site's page or host name called a service without keys
    ├── NoSuchResourceError          404  the resource does not exist
    ├── MethodNotAllowedError        405  the path exists, the method does not
    ├── BodyTimeoutError             408  the body did not arrive in time
    ├── ConflictError                409  the resource is in a state that does not allow this
    ├── BodyTooLargeError            413  the body is over the cap
    ├── UnsupportedMediaTypeError    415  the body is not application/json
    ├── InvalidRequestError          422  JSON of the wrong shape or outside its ranges
    │   ├── RefusedInputError        422  refused by the library (`widthwise.errors`), with its field
    │   ├── OverCapError             422  a specification asks for more than the service allows
    │   ├── RefusedTensorsError      422  lists tensors with unknown role or fan axes
    │   └── KeyReusedError           422  an Idempotency-Key that was used for another body
    ├── TooManyRequestsError         429  over a limit of the key, of wrong keys, of open streams or heavy requests
    │   └── OverQuotaError           429  the owner has as much queued or stored as they may
    ├── NotReadyError                503  the database does not answer, or its schema is not current
    ├── BusyError                    503  too many connections, or too many bytes of large bodies at once
    └── UnexpectedError              500  a bug in the service; the answer says only the request id

    NothingMoreError                 204  not an error: the way out of a route that can only stream

`slug` makes the problem's type, `/problems/<slug>` (RFC 9457); that page explains it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ApiError(Exception):
    """An RFC 9457 problem document: `detail` says what was wrong and what to do, `extra` adds members."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request can't be answered"
    explanation: ClassVar[str] = "The request can't be answered as it stands."

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)  #: one entry for each fault: pointer or field, message, value if small
        self.headers = dict(headers or {})
        self.extra = extra


class MalformedRequestError(ApiError):
    """400: the body is not a JSON document."""

    slug = "malformed-json"
    title = "The body is not JSON"
    explanation = "The body is not one UTF-8 JSON document (RFC 8259). The detail gives the line and column."


class UnauthorizedError(ApiError):
    """401: the request carries no API key, or one that is unknown, wrong, revoked or expired."""

    status = 401
    slug = "unauthorized"
    title = "An API key is required"
    explanation = (
        "Send an API key in the header `Authorization: Bearer ww_…`. The operator creates keys with "
        "`widthwise keys create`. Keys in URLs are ignored, since URLs end up in logs."
    )


class ForbiddenError(ApiError):
    """403: the key is valid, but its scope does not allow this."""

    status = 403
    slug = "missing-scope"
    title = "The key's scope does not allow this"
    explanation = (
        "A key has one of the scopes read, calibrate and admin, each of which includes those before it. The detail "
        "names the scope that is needed; ask the operator for a key with it."
    )


class ForeignOriginError(ApiError):
    """403: a service without keys was called under a foreign host name, or by another site's page."""

    status = 403
    slug = "foreign-origin"
    title = "Another site's page may not call this service"
    explanation = (
        "This service requires no API key, so in a browser only its own pages may make changes. On "
        "loopback, call it as 127.0.0.1 or localhost. Behind a proxy that keeps others out, set "
        "WIDTHWISE_ALLOW_UNAUTHENTICATED=true: any host name is then allowed, and the proxy must pass the Host header "
        "on, since a page's Origin must name the same host."
    )


class NoSuchResourceError(ApiError):
    """404: there is no resource at this URL."""

    status = 404
    slug = "not-found"
    title = "No such resource"
    explanation = "There is no resource at this URL. Use an identifier that a POST or a listing returned."


class MethodNotAllowedError(ApiError):
    """405: the path exists, but not for this method; the Allow header lists the methods that it supports."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not allowed"
    explanation = "This URL supports other methods; the Allow header lists them."


class BodyTimeoutError(ApiError):
    """408: the client took too long to send its body."""

    status = 408
    slug = "body-timeout"
    title = "The body did not arrive in time"
    explanation = "The whole body must arrive within one minute. Send it again, or in smaller parts."


class ConflictError(ApiError):
    """409: the resource's state does not allow this now."""

    status = 409
    slug = "conflict"
    title = "The state does not allow this"
    explanation = "The resource exists, but its current state, named in the detail, does not allow the request."


class BodyTooLargeError(ApiError):
    """413: the body is larger than the server accepts."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"
    explanation = (
        "The body is over the server's cap (WIDTHWISE_MAX_BODY_BYTES). Send fewer tensors, trials or runs at once."
    )


class UnsupportedMediaTypeError(ApiError):
    """415: the body is not declared as JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body must be application/json"
    explanation = "The body is read only if the Content-Type header says application/json."


class InvalidRequestError(ApiError):
    """422: the body, a parameter or a header is not what the contract allows."""

    status = 422
    slug = "invalid-request"
    title = "The request is not valid"
    explanation = (
        "The request could be parsed, but does not match the schema. `errors` lists each fault: `pointer` is a "
        "JSON pointer into the body, `field` names a query parameter, header or input."
    )


class RefusedInputError(InvalidRequestError):
    """422: the library refused a value; the `errors` entry names the field."""

    slug = "invalid-input"
    title = "An input is outside what the theory covers"
    explanation = "Each value is well-formed, but the combination can't be answered; the detail says why."


class OverCapError(InvalidRequestError):
    """422: a specification asks for more trials, operations or memory than the service allows for one."""

    slug = "specification-too-large"
    title = "The specification asks for too much"
    explanation = (
        "The operator limits the trials (WIDTHWISE_MAX_TRIALS), the floating-point operations (WIDTHWISE_MAX_FLOPS) "
        "and the memory (WIDTHWISE_MAX_TRAINING_BYTES) of one specification, as they are estimated before it runs. "
        "`errors` has what was asked and the limit."
    )


class RefusedTensorsError(InvalidRequestError):
    """422: some tensors can't be placed; `tensors` says for each what to add."""

    slug = "unplaced-tensors"
    title = "Some tensors can't be placed"
    explanation = (
        "The role or the fan axes of these tensors can't be known from their shapes, and names are never guessed "
        "from. `tensors` lists them with what would settle it: a `role`, or `fan_in_axes` and `fan_out_axes`. Tensors "
        "whose names differ only in numbers share an entry, with `*` for each such number and their `count`."
    )


class KeyReusedError(InvalidRequestError):
    """422: the Idempotency-Key was used for another body."""

    slug = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another body"
    explanation = "A key identifies one request. Send the same body to get its response again, or use a new key."


class TooManyRequestsError(ApiError):
    """429: too many requests with a key, wrong keys from an address, or open streams; see Retry-After."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"
    explanation = (
        "A key may send WIDTHWISE_REQUESTS_PER_MINUTE requests a minute, and an address may send "
        "WIDTHWISE_FAILED_KEYS_PER_MINUTE with a wrong key. Open event streams are limited too, for each key and "
        "for the whole process, and so are heavy requests in progress: comparisons, pictures, extensions, fits and "
        "large uploads. Wait as long as the Retry-After header says."
    )


class OverQuotaError(TooManyRequestsError):
    """429: the owner would have more queued or stored than the service allows one owner."""

    slug = "quota-exceeded"
    title = "Your quota is used up"
    explanation = (
        "The operator limits what one owner may have: the operations of unfinished calibrations "
        "(WIDTHWISE_OWNER_QUEUED_FLOPS), the stored trials (WIDTHWISE_OWNER_STORED_TRIALS) and their bytes "
        "(WIDTHWISE_OWNER_STORED_BYTES), sweeps (WIDTHWISE_OWNER_SWEEPS) and their runs (WIDTHWISE_OWNER_SWEEP_RUNS). "
        "`errors` has what was asked, the limit and what is in use. Wait until work has ended, or delete what you no "
        "longer need."
    )


class NothingMoreError(Exception):
    """204, not an error: the stream that a client wants to resume has ended, and the client saw every event."""


class NotReadyError(ApiError):
    """503: the service can't answer yet, or no longer can."""

    status = 503
    slug = "not-ready"
    title = "The service is not ready"
    explanation = "The database can't be reached or its schema is not the one this version needs (`widthwise migrate`)."


class BusyError(ApiError):
    """503: this process is at its limit of connections or of bytes of large bodies."""

    status = 503
    slug = "busy"
    title = "The service is busy"
    explanation = (
        "Each process limits its connections and the bytes of large bodies that it holds at once. Try "
        "again after the number of seconds in the Retry-After header."
    )


class UnexpectedError(ApiError):
    """500: a bug in the service. The log has the traceback under the request id."""

    status = 500
    slug = "unexpected"
    title = "Internal error"
    explanation = "The request was fine. The server's log has the details under the X-Request-Id."


ALL_ERRORS: tuple[type[ApiError], ...] = (
    MalformedRequestError,
    UnauthorizedError,
    ForbiddenError,
    ForeignOriginError,
    NoSuchResourceError,
    MethodNotAllowedError,
    BodyTimeoutError,
    ConflictError,
    BodyTooLargeError,
    UnsupportedMediaTypeError,
    InvalidRequestError,
    RefusedInputError,
    OverCapError,
    RefusedTensorsError,
    KeyReusedError,
    TooManyRequestsError,
    OverQuotaError,
    UnexpectedError,
    NotReadyError,
    BusyError,
)  #: in the order of their statuses; the pages under /problems/ and their test iterate over these
