"""Carries out the steps of a call: sends requests, repeats those that may be, and raises what went wrong.

It does no I/O: it yields `Sent` and `Pause`, and the client that runs it answers with a `Reply`.
"""

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from widthwise.client.answer import UnexpectedAnswerError
from widthwise.client.retries import Retries, is_passing, jitter, retry_after_seconds
from widthwise.client.steps import Clock, Item, Pause, Reply, Request, Sent
from widthwise.errors import (
    ServiceAccessError,
    ServiceConflictError,
    ServiceError,
    ServiceFailureError,
    ServiceLimitError,
    ServiceNotFoundError,
    ServiceRequestError,
    UnreachableServiceError,
)

KEY_VARIABLE = "WIDTHWISE_API_KEY"
MAX_LISTED = 10  # faults shown in one message; the full list is in ServiceError.errors
FIRST_ERROR = 400
SERVER_ERROR = 500

T = TypeVar("T")
#: What a client carries out: it sends a `Sent` and returns the `Reply`, waits for a `Pause`, hands an `Item` on.
Exchange = Generator[Sent | Pause | Item[Any], Any, T]

_BY_STATUS: Mapping[int, type[ServiceError]] = {
    401: ServiceAccessError,
    403: ServiceAccessError,
    404: ServiceNotFoundError,
    409: ServiceConflictError,
    429: ServiceLimitError,
}
#: Advice by status and whether a key was sent.
_ADVICE = {
    (
        401,
        False,
    ): f"Set {KEY_VARIABLE} to a key of this service (its operator: widthwise keys create), or pass api_key.",
    (401, True): f"The key in {KEY_VARIABLE} or api_key is not accepted; ask the operator for another.",
    (403, True): f"Set {KEY_VARIABLE} to a key with that scope (its operator: widthwise keys create --scope …).",
}


@dataclass
class Core:
    """The part that the two clients share; `seen` turns true with the service's first answer."""

    key: str
    retries: Retries
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = jitter
    seen: bool = False

    def __repr__(self) -> str:
        return f"Core(retries={self.retries!r})"  # without the key

    def carried_out(self, steps: Generator[Any, Any, T]) -> Exchange[T]:
        """Carry out the steps of a call; return what it returns, raise what it raises."""
        given: Any = None
        failure: ServiceError | None = None
        while True:
            try:
                step = steps.send(given) if failure is None else steps.throw(failure)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # StopIteration does not say its type
            given, failure = None, None
            if isinstance(step, Request):
                try:
                    given = yield from self.answer(step)
                except ServiceError as error:
                    failure = error
            elif isinstance(step, Clock):
                given = self.clock()
            else:
                yield step

    def answer(self, request: Request[T]) -> Exchange[T]:
        """Return a request's answer, sending it as often as its kind and the retries allow."""
        sent = self._sent(request)
        started = self.clock()
        attempt = 0
        while True:
            attempt += 1
            failure: ServiceError
            try:
                reply: Reply = yield sent
            except UnreachableServiceError as error:
                failure = error
            else:
                self.seen = True
                if reply.status < FIRST_ERROR:
                    return _read(request, reply)
                failure = self._problem(reply)
            seconds = self.clock() - started
            pause = self.retries.pause_seconds(attempt, failure.retry_after, self.jitter)
            passing = request.retried and is_passing(failure, repeatable=request.repeatable, seen=self.seen)
            if not passing or attempt >= self.retries.attempts or seconds + pause > self.retries.total_seconds:
                raise _counted(failure, attempt, seconds)
            yield Pause(pause)

    def _sent(self, request: Request[Any]) -> Sent:
        content, headers = None, dict(request.headers)
        if request.body is not None:
            try:
                content = json.dumps(request.body, allow_nan=False, default=_plain).encode()
            except (ValueError, TypeError) as error:
                raise ServiceError(f"the request can't be sent as JSON: {error}") from None
            headers["Content-Type"] = "application/json"
        return Sent(request.method, request.path, content, request.query, headers, request.patience_seconds)

    def _problem(self, reply: Reply) -> ServiceError:
        """Return the error that a problem document (RFC 9457) describes, as text for people."""
        text = reply.content.decode("utf-8", "replace")
        try:
            problem = json.loads(text.replace(self.key, "(the key)") if self.key else text)  # a service may echo it
        except ValueError:
            problem = None
        kind = _BY_STATUS.get(reply.status, ServiceRequestError if reply.status < SERVER_ERROR else ServiceFailureError)
        asked = retry_after_seconds(reply.headers.get("retry-after"), self.now())
        if not isinstance(problem, dict) or "title" not in problem:
            return kind(
                f"{reply.url} answered {reply.status} without a reason; is it a Widthwise service?",
                status=reply.status,
                retry_after_seconds=asked,
            )
        lines = [f"{problem['title']}: {problem.get('detail', 'no detail was given')}"]
        lines += _listed(problem, lines[0])
        if advice := _ADVICE.get((reply.status, bool(self.key))):
            lines.append(advice)
        return kind("\n".join(lines), status=reply.status, problem=problem, retry_after_seconds=asked)


def _read(request: Request[T], reply: Reply) -> T:
    try:
        return request.read(reply)
    except UnexpectedAnswerError as error:
        kind = reply.headers.get("content-type", "no content type")
        raise ServiceError(
            f"{reply.url} answered {reply.status} with {kind}, which is not the expected answer (at answer{error}); "
            "is it a Widthwise service of this version or a newer one?",
            status=reply.status,
        ) from None


def _counted(failure: ServiceError, attempts: int, seconds: float) -> ServiceError:
    """Return the failure, which says how often the request was sent if that was more than once."""
    failure.attempts = attempts
    if attempts > 1:
        failure.args = (f"{failure}\nSent {attempts} times in {seconds:.0f} s.",)
    return failure


def _plain(value: Any) -> Any:
    """Return what JSON has no word for: mappings, and the library's types that say how they are written."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "to_dict"):
        return value.to_dict()
    raise TypeError(f"a {type(value).__name__} is not JSON; give an object, a list, a string or a number")


def _listed(problem: Mapping[str, Any], said: str) -> list[str]:
    """Return a line for each fault of a problem document that its detail does not already contain."""
    faults: Sequence[Mapping[str, Any]] = problem.get("tensors") or problem.get("errors") or ()
    lines = []
    for fault in faults[:MAX_LISTED]:
        place = fault.get("name") or fault.get("pointer") or fault.get("field") or ""
        message = str(fault.get("message") or fault.get("problem") or "")
        if message and not any(f"{name}: {message}" in said for name in (place, repr(place))):
            shown = f" (got {fault['value']!r})" if "value" in fault else ""
            lines.append(f"  {place}: {message}{shown}")
    if len(faults) > MAX_LISTED:
        lines.append(f"  and {len(faults) - MAX_LISTED} more")
    return lines
