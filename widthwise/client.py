"""A client of the HTTP service, for training scripts and for the `widthwise` command.

    from widthwise.client import Client
    with Client("http://127.0.0.1:8000") as client:
        plan = client.transfer({"parameterization": "mup", "optimizer": "adam",
                                "base": {"width": 256, "learning_rate": 0.003}, "target": {"width": 4096}})

Bodies and answers are the JSON described on the service's /docs page. Every failure is a
`widthwise.errors.ServiceError` with a message that can be shown to users unchanged.
"""

import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, cast
from urllib.parse import quote, urlsplit

import httpx

from widthwise.errors import ServiceError
from widthwise.sweep_client import FIT_SECONDS, SweepClient

DEFAULT_URL = "http://127.0.0.1:8000"  # the default address of `widthwise serve`
URL_VARIABLE = "WIDTHWISE_URL"
KEY_VARIABLE = "WIDTHWISE_API_KEY"
FINAL_STATES = frozenset({"succeeded", "failed", "cancelled"})

POLL_SECONDS = 1.0  # chosen: trials take about a second; a Retry-After header takes precedence
MAX_POLL_SECONDS = 60.0  # chosen: whatever Retry-After says, a watcher polls once a minute
OUTAGE_SECONDS = 30.0  # chosen: a watcher survives a restart of the service
PAGE_SIZE = 500  # the service's largest page
MAX_LISTED = 10  # faults shown in one message; the full list is in ServiceError.problem

JsonObject = dict[str, Any]


class Progress(TypedDict):
    """The progress of a calibration."""

    trials_done: int
    trials_total: int  #: planned so far plus expected later; 0 if an external runner decides
    shards: dict[str, int]
    seconds_left: float | None  #: None until known


class Calibration(TypedDict):
    """A calibration as GET /v1/calibrations/{id} returns it."""

    id: str
    name: str | None
    note: str | None
    state: str  #: queued, running, succeeded, failed or cancelled
    reason: str | None  #: why it failed
    spec: JsonObject
    extends: str | None  #: the calibration whose trials it started with
    progress: Progress
    estimate: JsonObject
    result: JsonObject | None  #: optima, drift, exponents and warnings, once succeeded
    created_at: str
    started_at: str | None
    finished_at: str | None


class Exponent(TypedDict):
    """A measured exponent as GET /v1/exponents lists it; `quantity` says what is proportional to which power."""

    id: str
    quantity: str  #: a `widthwise.vocabulary.ExponentQuantity`
    role: str
    value: float
    standard_error: float | None
    interval: list[float] | None  #: 95 %; None if there are no degrees of freedom
    degrees_of_freedom: int
    theory: float | None
    widths: list[int]
    source: str
    calibration_id: str
    parameterization: str
    optimizer: str
    alignment: str
    architecture: str
    dataset: str


def service_url(url: str | None = None) -> str:
    """Return the service's URL: the given one, else WIDTHWISE_URL, else this machine's default port."""
    return url or os.environ.get(URL_VARIABLE) or DEFAULT_URL


_KEY = re.compile(r"[\x21-\x7e]{0,512}")  # printable ASCII, as a header allows
_CALIBRATION = ("state",)  # members that identify an object as a calibration


class Client(SweepClient):
    """One service. Use it as a context manager, or call `close`; safe to share between threads."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare requests to the service at `base_url` (default: see `service_url`); nothing is sent yet.

        api_key: for a service that requires one (default: WIDTHWISE_API_KEY). It is sent only to this service, since no
        redirect is followed, and never appears in an error.
        transport: how requests are sent, for instance to an application in this process.
        sleep: called with the seconds to wait while watching; for instance the wait of a threading.Event.
        """
        self.url = service_url(base_url).rstrip("/")
        self._sleep = sleep
        self._key = (api_key if api_key is not None else os.environ.get(KEY_VARIABLE, "")).strip()
        if not _KEY.fullmatch(self._key):  # the HTTP library would quote it in its error
            raise ServiceError(
                f"the API key has characters that no key has (its length is {len(self._key)}); give one as `widthwise "
                f"keys create` prints it, as api_key or in {KEY_VARIABLE}"
            )
        try:
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ValueError("a URL has a scheme, a host and optionally a port and a path")
            # httpx reads SSL_CERT_FILE only if it also reads the environment's proxies
            authority = os.environ.get("SSL_CERT_FILE")
            self._http = httpx.Client(
                verify=ssl.create_default_context(cafile=authority) if authority else True,
                base_url=self.url,
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                follow_redirects=False,  # they would send the key elsewhere
                timeout=httpx.Timeout(timeout_seconds, connect=5.0),  # a reachable host accepts within 5 s
                transport=transport,
                # A proxy from the environment can't reach this machine's loopback.
                trust_env=parts.hostname not in ("127.0.0.1", "::1", "localhost"),
            )
        except OSError as error:
            raise ServiceError(f"SSL_CERT_FILE names {authority}, which can't be read: {error.strerror}") from None
        except (ValueError, httpx.InvalidURL) as error:
            raise ServiceError(
                f"{self.url!r} is not the URL of a service ({error}); give one such as {DEFAULT_URL}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def health(self) -> JsonObject:
        """Return {"status": "ready", "version"}; ServiceError (503) while the service can't answer requests."""
        live = self._object(self._ask("GET", "/livez"))
        ready = self._object(self._ask("GET", "/readyz"))
        return {**live, **ready}

    def transfer(self, request: Mapping[str, Any]) -> JsonObject:
        """Return the plan for a request: layers, tensors, warnings and provenance."""
        fits = isinstance(asked := request.get("exponents"), Mapping) and asked.get("source") == "sweep"
        patience = FIT_SECONDS if fits else None
        answer = self._ask("POST", "/v1/transfers", body=request, patience_seconds=patience)
        return self._object(answer, "layers", "tensors")

    def advise(self, case: Mapping[str, Any]) -> JsonObject:
        """Return the ranked options for a case, with the service's calibrations next to them."""
        return self._object(self._ask("POST", "/v1/advice", body=case), "options")

    def parameterizations(self) -> JsonObject:
        """Return every theoretical exponent."""
        return self._object(self._ask("GET", "/v1/parameterizations"))

    def submit_calibration(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Calibration:
        """Queue a calibration. Repeating the same key and specification returns the first one and queues nothing."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        answer = self._ask("POST", "/v1/calibrations", body=spec, headers=headers)
        return cast(Calibration, self._object(answer, *_CALIBRATION))

    def calibration(self, calibration_id: str) -> Calibration:
        """Return one calibration."""
        return cast(Calibration, self._object(self._ask("GET", _address(calibration_id)), *_CALIBRATION))

    def calibrations(self, *, state: str | None = None, name: str | None = None) -> Iterator[Calibration]:
        """Return every calibration, newest first, page by page; with exactly this name, if one is given."""
        yield from cast(Iterator[Calibration], self._pages("/v1/calibrations", {"state": state, "name": name}))

    def label_calibration(self, calibration_id: str, labels: Mapping[str, str | None]) -> Calibration:
        """Set the `name` or the `note` of a calibration; None removes it, and what is left out stays."""
        answer = self._ask("PATCH", _address(calibration_id), body=labels)
        return cast(Calibration, self._object(answer, *_CALIBRATION))

    def cancel(self, calibration_id: str) -> Calibration:
        """Cancel a calibration: queued shards at once, running ones within seconds."""
        answer = self._ask("POST", f"{_address(calibration_id)}/cancel")
        return cast(Calibration, self._object(answer, *_CALIBRATION))

    def delete(self, calibration_id: str) -> None:
        """Delete a calibration that has ended, with its trials and exponents; ServiceError (409) otherwise.

        It is also a 409 while an extension shares its trials.
        """
        self._ask("DELETE", _address(calibration_id))

    def retry(self, calibration_id: str) -> Calibration:
        """Run the failed shards of a failed calibration again, keeping every trial; ServiceError (409) otherwise."""
        answer = self._ask("POST", f"{_address(calibration_id)}/retry")
        return cast(Calibration, self._object(answer, *_CALIBRATION))

    def extend_calibration(
        self, calibration_id: str, more: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Calibration:
        """Queue a new calibration that starts with all trials of a succeeded one and runs what `more` adds.

        more: `widths` to add, `seeds` in total, a finer `mesh`; at least one of them.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        answer = self._ask("POST", f"{_address(calibration_id)}/extensions", body=more, headers=headers)
        return cast(Calibration, self._object(answer, *_CALIBRATION))

    def compare(self, calibration_id: str, other_id: str) -> JsonObject:
        """Return which of specification, code and device differ between two calibrations, and how the losses do."""
        answer = self._ask("GET", f"{_address(calibration_id)}/comparison", query={"other": other_id})
        return self._object(answer, "specification", "code", "device", "trials")

    def measurements(self, calibration_id: str) -> Iterator[JsonObject]:
        """Return every measurement of gradients, alignment and activations, oldest first, page by page."""
        yield from self._pages(f"{_address(calibration_id)}/measurements", {})

    def trials(self, calibration_id: str) -> Iterator[JsonObject]:
        """Return every trial of a calibration, oldest first, page by page."""
        yield from self._pages(f"{_address(calibration_id)}/trials", {})

    def shards(self, calibration_id: str) -> list[JsonObject]:
        """Return the units of work of a calibration, each with its state and its worker."""
        found: list[JsonObject] = self._object(self._ask("GET", f"{_address(calibration_id)}/shards"), "items")["items"]
        return found

    def workers(self) -> list[JsonObject]:
        """Return every worker that reported within a week, the most recent first."""
        found: list[JsonObject] = self._object(self._ask("GET", "/v1/workers"), "items")["items"]
        return found

    def exponents(self, **filters: str | None) -> Iterator[Exponent]:
        """Return the measured exponents, newest first, page by page.

        filters: parameterization, optimizer, alignment, role, quantity, source, architecture, dataset,
        calibration_id; None means any.
        """
        yield from cast(Iterator[Exponent], self._pages("/v1/exponents", filters))

    def watch(self, calibration_id: str, *, outage_seconds: float = OUTAGE_SECONDS) -> Iterator[Calibration]:
        """Yield the calibration repeatedly until it has ended; the last one is final.

        In between it waits as long as the service asks (Retry-After, also with a 429), else a second. It survives
        `outage_seconds` during which the service is not reachable or not ready.
        """
        unreachable_since: float | None = None
        while True:
            pause = POLL_SECONDS
            try:
                answer = self._ask("GET", _address(calibration_id))
            except ServiceError as error:
                if error.status == httpx.codes.TOO_MANY_REQUESTS:
                    self._sleep(error.retry_after_seconds or POLL_SECONDS)
                    continue
                if error.status not in (None, httpx.codes.SERVICE_UNAVAILABLE):
                    raise
                unreachable_since = unreachable_since or time.monotonic()
                if time.monotonic() - unreachable_since >= outage_seconds:
                    raise
            else:
                unreachable_since = None
                calibration = cast(Calibration, self._object(answer, *_CALIBRATION))
                yield calibration
                if calibration["state"] in FINAL_STATES:
                    return
                pause = _retry_after(answer)
            self._sleep(pause)

    def wait(
        self,
        calibration_id: str,
        *,
        timeout_seconds: float | None = None,
        on_progress: Callable[[Calibration], None] | None = None,
    ) -> Calibration:
        """Wait until a calibration has ended and return it: succeeded, failed or cancelled, so check its state.

        Raises ServiceError after `timeout_seconds`; the calibration keeps running.
        """
        started = time.monotonic()
        for calibration in self.watch(calibration_id):
            if on_progress is not None:
                on_progress(calibration)
            if calibration["state"] in FINAL_STATES:
                return calibration
            if timeout_seconds is not None and time.monotonic() - started >= timeout_seconds:
                break
        raise ServiceError(f"calibration {calibration_id} is still running after {timeout_seconds:g} s; wait again")

    def _pages(self, path: str, query: Mapping[str, str | None]) -> Iterator[JsonObject]:
        given = {name: value for name, value in query.items() if value is not None}
        cursor: str | None = None
        while True:
            asked = {**given, "limit": str(PAGE_SIZE)} | ({"cursor": cursor} if cursor else {})
            page = self._object(self._ask("GET", path, query=asked), "items", "next_cursor")
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        patience_seconds: float | None = None,
    ) -> httpx.Response:
        """Return the service's answer; ServiceError for a problem document or no answer.

        patience_seconds: how long to wait for an answer that takes longer than others.
        """
        content, sent = None, dict(headers or {})
        if body is not None:
            try:
                content = json.dumps(body, allow_nan=False).encode()
            except ValueError as error:
                raise ServiceError(f"the request can't be sent as JSON: {error}") from None
            sent["Content-Type"] = "application/json"
        try:
            timeout = self._http.timeout if patience_seconds is None else httpx.Timeout(patience_seconds, connect=5.0)
            response = self._http.request(method, path, content=content, params=query, headers=sent, timeout=timeout)
        except httpx.ConnectError:
            raise ServiceError(f"no service at {self.url}: start one with `widthwise serve`") from None
        except httpx.TimeoutException:
            raise ServiceError(f"the service at {self.url} did not answer {method} {path} in time; try again") from None
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            ValueError,
        ) as error:  # ValueError: a header or host that is not ASCII
            raise ServiceError(f"the request to {self.url} failed: {error}") from None
        if response.status_code >= httpx.codes.BAD_REQUEST:
            raise self._problem(response)
        return response

    def _object(self, response: httpx.Response, *members: str) -> JsonObject:
        """Read an answer that must be a JSON object with these members."""
        try:
            value = response.json()
        except ValueError:
            value = None
        if not isinstance(value, dict) or not value.keys() >= set(members):
            kind = response.headers.get("content-type", "no content type")
            raise ServiceError(
                f"{response.url} answered {response.status_code} with {kind}, which is not the expected answer; "
                "is it a Widthwise service?",
                status=response.status_code,
            )
        return value

    def _problem(self, response: httpx.Response) -> ServiceError:
        """Return the error that a problem document (RFC 9457) describes, as text for people."""
        try:
            problem = response.json()
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or "title" not in problem:
            return ServiceError(
                f"{response.url} answered {response.status_code} without a reason; is it a Widthwise service?",
                status=response.status_code,
            )
        lines = [f"{problem['title']}: {problem.get('detail', 'no detail was given')}"]
        lines += _listed(problem, lines[0])
        if advice := _ADVICE.get((response.status_code, bool(self._key))):
            lines.append(advice)
        text = "\n".join(lines)
        return ServiceError(
            text.replace(self._key, "(the key)") if self._key else text,  # in case a service echoes it
            status=response.status_code,
            problem=problem,
            retry_after_seconds=_retry_after(response) if "Retry-After" in response.headers else None,
        )


#: Advice by status and whether a key was sent.
_ADVICE = {
    (
        401,
        False,
    ): f"Set {KEY_VARIABLE} to a key of this service (its operator: widthwise keys create), or pass api_key.",
    (401, True): f"The key in {KEY_VARIABLE} or api_key is not accepted; ask the operator for another.",
    (403, True): f"Set {KEY_VARIABLE} to a key with that scope (its operator: widthwise keys create --scope …).",
}


def _address(calibration_id: str) -> str:
    return f"/v1/calibrations/{quote(calibration_id, safe='')}"


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


def _retry_after(response: httpx.Response) -> float:
    """Return the seconds that an answer asks to wait; POLL_SECONDS if it gives none (or a date)."""
    try:
        seconds = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return POLL_SECONDS
    return min(max(seconds, 0.0), MAX_POLL_SECONDS)
