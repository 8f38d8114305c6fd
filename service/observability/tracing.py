"""OpenTelemetry traces, if the settings enable them: spans of requests (by FastAPI's instrumentation) and of shards.

OpenTelemetry's own variables say where they go (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, …). The SDK is in the
extra `tracing`; it is imported only if it is used.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from service.settings import Settings
from service.store import Claim
from widthwise.errors import InvalidInputError
from widthwise.version import VERSION

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

STOP_SECONDS = 3.0  # for the last spans (chosen): an unreachable collector must not delay a stop
#: Polled by machines every few seconds; not traced.
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class Tracing:
    """Makes and sends spans; without a provider it does nothing."""

    def __init__(self, provider: "TracerProvider | None" = None) -> None:
        self._provider = provider

    @property
    def on(self) -> bool:
        """Whether spans are made."""
        return self._provider is not None

    def for_fastapi(self) -> "TelemetryConfig":
        """Return the application's telemetry; when off, it does not even look for OpenTelemetry's providers."""
        # its metrics would duplicate ours, and its logs would contain error messages
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
        """Set the request's id on its span."""
        if self._provider is None:
            return
        from opentelemetry import trace

        trace.get_current_span().set_attribute("widthwise.request_id", request_id)

    @contextmanager
    def shard(self, claim: Claim) -> Iterator[Callable[[str], None]]:
        """Make the span of a shard's attempt; yields the function to call with its outcome."""
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
        """Send what is left, in at most STOP_SECONDS."""
        if self._provider is None:
            return
        # an exporter retries for 10 s whatever it is told; a daemon thread does not outlive the process
        sending = threading.Thread(target=self._provider.shutdown, daemon=True, name="last-spans")
        sending.start()
        sending.join(STOP_SECONDS)


def start_tracing(settings: Settings, service_name: str) -> Tracing:
    """Return tracing as the settings configure it, under this service name unless OTEL_SERVICE_NAME gives another.

    Raises InvalidInputError if it is enabled and the extra `tracing` is not installed.
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
    provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)  # because `stop` is bounded
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _is_probe(scope: Any) -> bool:
    return scope.get("path") in _PROBES


def _nothing(_outcome: str) -> None:
    """No span is made."""
