"""What /metrics tells: this process's requests, and from the database the table of work and every worker's totals."""

import time
from collections.abc import Iterator

from anyio import CapacityLimiter, move_on_after, to_thread
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import Scope

from service.auth.guard import Guard
from service.http.answers import Answers
from service.http.connections import Connections
from service.http.lanes import Lane
from service.http.request_labels import method_of, route_of
from service.http.streams import Streams
from service.observability.work_metrics import Snapshot, work_families
from service.store import Store
from widthwise.errors import WidthwiseError
from widthwise.version import VERSION

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Upper bounds in seconds: a transfer takes 0.3 ms, a page of a million rows 25 ms, a fit some seconds (chosen).
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

KEPT_SECONDS = 5.0  # what was read of the database is shown again for so long (chosen): several scrapers, one reading
PATIENCE_SECONDS = 3.0  # for the database (chosen): a scrape is given up after 10 s, and must tell of the outage

_REQUEST_LABELS = ("method", "route", "status")

# It would add a series to each counter and histogram that says when it began: the process's start time says enough.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library annotates all but this


class Metrics:
    """The metrics of one application, in a registry that no other application shares."""

    def __init__(
        self,
        guard: Guard | None = None,
        streams: Streams | None = None,
        answers: Answers | None = None,
        connections: Connections | None = None,
        lane: Lane | None = None,
    ) -> None:
        """guard: tells of refusals; None where no keys are asked for. streams: those that are open. lane: its turns."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        self.in_flight = 0
        self._guard = guard
        self._streams = streams or Streams()
        self._lane = lane or Lane()
        self._answers, self._connections = answers, connections
        self._requests = Counter(
            "widthwise_http_requests", "Requests answered.", _REQUEST_LABELS, registry=self.registry
        )
        self._seconds = Histogram(
            "widthwise_http_request_seconds",
            "Time to answer a request; of an event stream, its life.",
            _REQUEST_LABELS,
            buckets=BOUNDS,
            registry=self.registry,
        )
        self._snapshot: Snapshot | None = None
        self._read_at = 0.0  #: by the monotonic clock
        self._limiter: CapacityLimiter | None = None  # belongs to an event loop, so it is made in one

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request that has ended."""
        labels = (method_of(scope), route_of(scope), str(status))
        self._requests.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)

    async def expose(self, store: Store | None) -> bytes:
        """Return everything in Prometheus's text form, within PATIENCE_SECONDS whatever the database does."""
        self._limiter = self._limiter or CapacityLimiter(1)  # scrapes take turns; one that hangs holds up no route
        with move_on_after(PATIENCE_SECONDS):
            return await to_thread.run_sync(self._written, store, limiter=self._limiter, abandon_on_cancel=True)
        self._keep(None)
        return generate_latest(self.registry)

    def _written(self, store: Store | None) -> bytes:
        if self._read_at == 0.0 or time.monotonic() - self._read_at > KEPT_SECONDS:
            try:
                self._keep(None if store is None else Snapshot(store.work.backlog(), store.workers.all()))
            except WidthwiseError:  # unreachable, or at another revision
                self._keep(None)
        return generate_latest(self.registry)

    def _keep(self, snapshot: Snapshot | None) -> None:
        self._snapshot, self._read_at = snapshot, time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Return every family but those of requests; the registry calls it."""
        build = GaugeMetricFamily("widthwise_build_info", "Always 1; its label is the version.", labels=["version"])
        build.add_metric([VERSION], 1)
        yield build
        yield GaugeMetricFamily(
            "widthwise_http_requests_in_flight", "Requests being answered now, open streams included.", self.in_flight
        )
        yield GaugeMetricFamily("widthwise_event_streams_open", "Event streams that are open now.", self._streams.open)
        yield GaugeMetricFamily("widthwise_heavy_requests_running", "Heavy requests in progress.", self._lane.running)
        yield GaugeMetricFamily("widthwise_heavy_requests_waiting", "Heavy requests that wait.", self._lane.waiting)
        yield from self._answer_families()
        yield from self._guard_families()
        up = self._snapshot is not None
        yield GaugeMetricFamily("widthwise_database_up", "1 if the database answered, 0 if not.", int(up))
        yield from work_families(self._snapshot)

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registering reads nothing."""
        return iter(())

    def _answer_families(self) -> Iterator[Metric]:
        answers, connections = self._answers, self._connections
        held, refused = (0, 0) if answers is None else (answers.held, answers.refused)
        cut = 0 if connections is None else connections.cut
        yield GaugeMetricFamily("widthwise_unsent_answer_bytes", "Bytes of large answers not read yet.", held)
        yield CounterMetricFamily("widthwise_unsent_answers_refused", "Answers refused with 503: no room.", refused)
        yield CounterMetricFamily("widthwise_unread_connections_cut", "Connections closed: nothing was read.", cut)

    def _guard_families(self) -> Iterator[Metric]:
        guard = self._guard
        refused = CounterMetricFamily(
            "widthwise_auth_failures", "Requests refused: 401 unauthorized, 403 forbidden.", labels=["reason"]
        )
        refused.add_metric(["unauthorized"], 0 if guard is None else guard.unauthorized)
        refused.add_metric(["forbidden"], 0 if guard is None else guard.forbidden)
        yield refused
        limited = self._streams.refused + self._lane.refused + (0 if guard is None else guard.limited)
        yield CounterMetricFamily("widthwise_rate_limited", "Requests refused with 429.", limited)
        yield CounterMetricFamily(
            "widthwise_rate_limit_unchecked",
            "Requests let through uncounted because Redis did not answer.",
            0 if guard is None else guard.limits.unchecked,
        )
