"""Traces by OpenTelemetry, where the settings ask for them: spans of requests (FastAPI's own) and of shards.

Where they go is said by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, …). The SDK is
the extra `tracing`; it is imported only if it is used.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service.settings import Settings
from service.store.database.records import Claim
from widthwise.errors import InvalidInputError
from widthwise.version import VERSION

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

STOP_SECONDS = 3.0  # for the last spans (chosen): a collector that is away must not hold up a stop
#: Asked every few seconds by machines: not traced.
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class Tracing:
    """What makes and sends spans; without a provider it does neither."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider

    @property
    def on(self) -> bool:
        """Whether spans are made."""
        return self._provider is not None

    def for_fastapi(self) -> "TelemetryConfig":
        """Return the application's telemetry; off, it does not even look for OpenTelemetry's providers at a request."""
        # its metrics would repeat ours, and its logs hold the messages of errors
        if self._provider is None:
            return {"tracing": False, "metrics": False, "logs": False}
        return {
            "tracing": True,
            "metrics": False,
            "logs": False,
            "operation_spans": False,  # one span for each request
            "auto_configure": False,  # the provider has its exporter
            "tracer_provider": self._provider,
            "exclude": _is_probe,
        }

    def mark_request(self, request_id: str) -> None:
        """Note the id of the request that begins on its span."""
        if self._provider is None:
            return
        from opentelemetry import trace

        trace.get_current_span().set_attribute("widthwise.request_id", request_id)

    @contextmanager
    def shard(self, claim: Claim) -> Iterator[Callable[[str], None]]:
        """Make a span of a shard's attempt; gives the function to call with its outcome."""
        if self._provider is None:
            yield _nothing
            return
        attributes: dict[str, str | int] = {
            "widthwise.calibration_id": claim.calibration_id,
            "widthwise.shard_id": claim.shard_id,
            "widthwise.worker_id": claim.worker_id,
            "widthwise.attempt": claim.attempt,
            "widthwise.width": claim.shard.width,
            "widthwise.kind": claim.shard.kind,
        }
        if claim.request_id is not None:
            attributes["widthwise.request_id"] = claim.request_id
        tracer = self._provider.get_tracer("widthwise", VERSION)
        with tracer.start_as_current_span("shard", attributes=attributes) as span:
            yield lambda outcome: span.set_attribute("widthwise.outcome", outcome)

    def stop(self) -> None:
        """Send what is left, for STOP_SECONDS at most."""
        if self._provider is None:
            return
        # an exporter tries again for 10 s, whatever it is told; a daemon thread does not outlive the process
        sending = threading.Thread(target=self._provider.shutdown, daemon=True, name="last-spans")
        sending.start()
        sending.join(STOP_SECONDS)


def start_tracing(settings: Settings, service_name: str) -> Tracing:
    """Return the tracing that the settings ask for, under this name unless OTEL_SERVICE_NAME gives another.

    Raises InvalidInputError if it is asked for and the extra `tracing` is not installed.
    """
    if not settings.tracing:
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InvalidInputError(
            f"WIDTHWISE_TRACING is true, but {error.name or 'OpenTelemetry'} is not installed; install "
            "widthwise-server[tracing], or unset it.",
            field="WIDTHWISE_TRACING",
        ) from None
    attributes = {"service.version": VERSION}
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in given:
        attributes["service.name"] = service_name
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)  # `stop` is bounded
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _is_probe(scope: Any) -> bool:
    return scope.get("path") in _PROBES


def _nothing(_outcome: str) -> None:
    """No span is made."""
