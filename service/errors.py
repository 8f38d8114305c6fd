"""What the HTTP service tells a client that did something it can't answer: one tree, each with its status and type.

    ApiError                              any of the below; never a programming mistake
    ├── MalformedRequestError        400  the bytes are not JSON, or not UTF-8
    ├── UnauthorizedError            401  no API key, or none that is good
    ├── ForbiddenError               403  the key's scope is too narrow
    ├── ForeignOriginError           403  a service without keys was called by a foreign page or name
    ├── NoSuchResourceError          404  no such resource
    ├── MethodNotAllowedError        405  the path exists, the method does not
    ├── BodyTimeoutError             408  the body did not come in time
    ├── ConflictError                409  the resource is in a state that does not allow this
    ├── BodyTooLargeError            413  the body is over the cap
    ├── UnsupportedMediaTypeError    415  the body is not application/json
    ├── InvalidRequestError          422  JSON of the wrong shape or outside its ranges
    │   ├── RefusedInputError        422  refused by the library (`widthwise.errors`), with its field
    │   ├── RefusedTensorsError      422  tensors whose role or fan axes can't be known; lists them
    │   └── KeyReusedError           422  an Idempotency-Key that was used for another body
    ├── TooManyRequestsError         429  over a limit of the key, of an address's wrong keys, or of open streams
    ├── NotReadyError                503  the database or its schema is not there
    ├── BusyError                    503  too many connections, or too much of large bodies at once
    └── UnexpectedError              500  a mistake of ours; says nothing but the request id

    NothingMoreError                 204  not an error: leaves a route that can only stream

`slug` makes the problem's type, `/problems/<slug>` (RFC 9457); that page explains it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ApiError(Exception):
    """An answer in the form of RFC 9457: `detail` says what was wrong and what to do, `extra` adds members."""

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
    explanation = "The body could not be read as one UTF-8 JSON document (RFC 8259). The detail gives line and column."


class UnauthorizedError(ApiError):
    """401: the request carries no API key, or one that is unknown, wrong, revoked or expired."""

    status = 401
    slug = "unauthorized"
    title = "An API key is needed"
    explanation = (
        "The service asks for an API key: send the header `Authorization: Bearer ww_…`. The operator makes keys with "
        "`widthwise keys create`; a key in the address is not read, since addresses end up in logs."
    )


class ForbiddenError(ApiError):
    """403: the key is good, and its scope does not allow this."""

    status = 403
    slug = "missing-scope"
    title = "The key's scope does not allow this"
    explanation = (
        "A key has one of the scopes read, calibrate and admin, each of which includes those before it. The detail "
        "names the one that is needed; ask the operator for a key that has it."
    )


class ForeignOriginError(ApiError):
    """403: a service without keys was called under a foreign name, or by another site's page."""

    status = 403
    slug = "foreign-origin"
    title = "Another site's page may not call this service"
    explanation = (
        "The service asks for no key, so of the pages that a browser shows its own alone may change something. On "
        "loopback it is called as 127.0.0.1 or localhost; behind a proxy that keeps others out, set "
        "WIDTHWISE_ALLOW_UNAUTHENTICATED=true. Then any name will do, and the proxy must pass the Host header on: a "
        "page's Origin has to name the same host."
    )


class NoSuchResourceError(ApiError):
    """404: nothing is stored under this address."""

    status = 404
    slug = "not-found"
    title = "No such resource"
    explanation = "Nothing is stored under this address. Identifiers are those that a POST or a listing returned."


class MethodNotAllowedError(ApiError):
    """405: the path exists, but not for this method; the Allow header lists those it has."""

    status = 405
    slug = "method-not-allowed"
    title = "Method not allowed"
    explanation = "This address answers other methods; the Allow header lists them."


class BodyTimeoutError(ApiError):
    """408: the client took too long to send its body."""

    status = 408
    slug = "body-timeout"
    title = "The body did not come in time"
    explanation = "A body that was announced has to come in whole within a minute. Send it again, or in smaller parts."


class ConflictError(ApiError):
    """409: the resource's state does not allow this now."""

    status = 409
    slug = "conflict"
    title = "The state does not allow this"
    explanation = "The resource exists, but its present state, named in the detail, does not allow what was asked."


class BodyTooLargeError(ApiError):
    """413: the body is larger than this server reads."""

    status = 413
    slug = "body-too-large"
    title = "The body is too large"
    explanation = "The body is over the server's cap (WIDTHWISE_MAX_BODY_BYTES). Send fewer tensors or trials at once."


class UnsupportedMediaTypeError(ApiError):
    """415: the body is not declared as JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "The body must be application/json"
    explanation = "Bodies are read only when the Content-Type header says application/json."


class InvalidRequestError(ApiError):
    """422: the body, a parameter or a header is not what the contract allows."""

    status = 422
    slug = "invalid-request"
    title = "The request is not valid"
    explanation = (
        "The request can be read, but some of it is outside the contract. `errors` lists each fault: `pointer` is a "
        "JSON pointer into the body, `field` names a query parameter, header or input."
    )


class RefusedInputError(InvalidRequestError):
    """422: the library refused a value; the `errors` entry names the field."""

    slug = "invalid-input"
    title = "An input is outside what the theory covers"
    explanation = "Each value is well-formed, but together they are outside what can be answered; the detail says why."


class RefusedTensorsError(InvalidRequestError):
    """422: some tensors can't be placed; `tensors` lists each with what would settle it."""

    slug = "unplaced-tensors"
    title = "Some tensors can't be placed"
    explanation = (
        "The role or the fan axes of these tensors can't be known from their shapes, and names are never guessed "
        "from. `tensors` lists them with what would settle it: a `role`, or `fan_in_axes` and `fan_out_axes`. Tensors "
        "whose names differ only in numbers share an entry, with `*` for each such number and their `count`."
    )


class KeyReusedError(InvalidRequestError):
    """422: the Idempotency-Key belongs to another body."""

    slug = "idempotency-key-reused"
    title = "This Idempotency-Key was used for another body"
    explanation = "A key names one request. Send the same body to get its answer again, or take a new key."


class TooManyRequestsError(ApiError):
    """429: too many requests of a key, wrong keys from an address, or open streams; Retry-After says when to go on."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"
    explanation = (
        "A key may send WIDTHWISE_REQUESTS_PER_MINUTE requests a minute, and an address may send "
        "WIDTHWISE_FAILED_KEYS_PER_MINUTE with a wrong key. Event streams are bounded too: those that a key has open "
        "at once, and those of a whole process. Wait as long as the Retry-After header says."
    )


class NothingMoreError(Exception):
    """204, no error: the stream that a client wants to resume has ended, and it saw every event."""


class NotReadyError(ApiError):
    """503: the service can't answer yet, or not any more."""

    status = 503
    slug = "not-ready"
    title = "The service is not ready"
    explanation = "The database can't be reached or its schema is not the one this version needs (`widthwise migrate`)."


class BusyError(ApiError):
    """503: this process has as many connections, or as much of large bodies, as it takes at once."""

    status = 503
    slug = "busy"
    title = "The service is busy"
    explanation = (
        "A process of the service takes a bounded number of connections and of bytes of large bodies at once. Try "
        "again after as many seconds as the Retry-After header says."
    )


class UnexpectedError(ApiError):
    """500: a mistake of ours. The log holds the traceback under the request id."""

    status = 500
    slug = "unexpected"
    title = "The service made a mistake"
    explanation = "Nothing was wrong with the request. The server's log has the details under the X-Request-Id."


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
    RefusedTensorsError,
    KeyReusedError,
    TooManyRequestsError,
    UnexpectedError,
    NotReadyError,
    BusyError,
)  #: in the order of their statuses: the pages under /problems/ and their test go through these
