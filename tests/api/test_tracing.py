"""Traces: spans of requests and shards reach a collector over HTTP; without them OpenTelemetry's SDK is not loaded."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.app import create_app
from service.observability.tracing import STOP_SECONDS, Tracing, start_tracing
from service.settings import Settings
from service.store import Store
from tests.api.client import client_of
from tests.api.samples import CONTRACT, submit


@dataclass
class Collector:
    """What a collector received: spans by name, with the resource and the attributes of each."""

    url: str
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> dict[str, list[dict[str, Any]]]:
        """Every span's attributes, with its service's name, by the span's name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for body in self.bodies:
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = _values(of_resource.resource.attributes)
                for of_scope in of_resource.scope_spans:
                    for span in of_scope.spans:
                        told = {**_values(span.attributes), "service": resource["service.name"]}
                        found.setdefault(span.name, []).append(told)
        return found


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector of traces on this machine, to which OpenTelemetry's own variable leads."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            received.paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.url)
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    yield received
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def traced(settings: Settings) -> Settings:
    return settings.model_copy(update={"tracing": True})


def test_requests_and_shards_are_traced(traced: Settings, store: Store, collector: Collector) -> None:
    tracing = start_tracing(traced, "widthwise-api")
    with client_of(create_app(traced, store, tracing=tracing)) as client:
        client.post("/v1/transfers", json=CONTRACT, headers={"X-Request-Id": "t1"})
        identifier = submit(client)
        client.get(f"/v1/calibrations/{identifier}", headers={"X-Request-Id": "t2"})
        client.get("/livez")
    tracing.stop()
    claim = store.work.claim("w1")
    assert claim is not None
    of_worker = start_tracing(traced, "widthwise-worker")
    with of_worker.shard(claim) as ended:
        ended("succeeded")
    of_worker.stop()

    assert set(collector.paths) == {"/v1/traces"}
    spans = collector.spans()
    assert set(spans) == {
        "POST /v1/transfers",
        "POST /v1/calibrations",
        "GET /v1/calibrations/{calibration_id}",
        "shard",
    }
    (transfer,) = spans["POST /v1/transfers"]
    assert transfer["service"] == "widthwise-api"
    assert (transfer["http.route"], transfer["http.response.status_code"]) == ("/v1/transfers", 200)
    assert transfer["widthwise.request_id"] == "t1"
    (shown,) = spans["GET /v1/calibrations/{calibration_id}"]
    assert shown["widthwise.request_id"] == "t2"
    (shard,) = spans["shard"]
    (created,) = spans["POST /v1/calibrations"]
    assert shard["widthwise.request_id"] == created["widthwise.request_id"] == claim.request_id
    assert (shard["service"], shard["widthwise.outcome"]) == ("widthwise-worker", "succeeded")
    assert (shard["widthwise.calibration_id"], shard["widthwise.shard_id"]) == (identifier, claim.shard_id)
    assert (shard["widthwise.worker_id"], shard["widthwise.attempt"]) == ("w1", 1)


def test_the_operator_names_the_service(
    traced: Settings, collector: Collector, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tuning")
    tracing = start_tracing(traced, "widthwise-api")
    with client_of(create_app(traced, store, tracing=tracing)) as client:
        client.get("/v1/workers")
    tracing.stop()
    assert collector.spans()["GET /v1/workers"][0]["service"] == "tuning"


def test_a_collector_that_is_away_holds_no_stop_up(
    traced: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    tracing = start_tracing(traced, "widthwise-api")
    with client_of(create_app(traced, store, tracing=tracing)) as client:
        assert client.get("/v1/workers").status_code == 200
    started = time.monotonic()
    tracing.stop()
    assert time.monotonic() - started < STOP_SECONDS + 5


def test_off_makes_nothing(store: Store, settings: Settings) -> None:
    tracing = start_tracing(settings, "widthwise-api")
    assert not tracing.on
    assert tracing.for_fastapi() == {"tracing": False, "metrics": False, "logs": False}
    submit_to = create_app(settings, store)
    with client_of(submit_to) as client:
        submit(client)
    claim = store.work.claim("w")
    assert claim is not None
    with tracing.shard(claim) as ended:
        ended("succeeded")
    tracing.stop()
    Tracing().stop()


def test_off_imports_nothing(settings: Settings) -> None:
    code = (
        "import sys\n"
        "from service.app import create_app\n"
        "from service.settings import load_settings\n"
        "create_app(load_settings())\n"
        "import workers.worker\n"
        "prefixes = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print(sorted(name for name in sys.modules if name.startswith(prefixes)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"WIDTHWISE_DATABASE_URL": settings.database_url, "PATH": "", "PYTHONPATH": "."},
    )
    assert ran.stdout == "[]\n", ran.stderr


def test_the_missing_extra_is_named(settings: Settings) -> None:
    """As where only `widthwise-server[service]` is installed."""
    code = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk.trace'] = None\n"  # as Python marks a module that can't be imported
        "from service.app import create_app\n"
        "from service.settings import load_settings\n"
        "from widthwise.errors import InvalidInputError\n"
        "try:\n"
        "    create_app(load_settings(tracing=True))\n"
        "except InvalidInputError as error:\n"
        "    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"WIDTHWISE_DATABASE_URL": settings.database_url, "PATH": "", "PYTHONPATH": "."},
    )
    assert "widthwise-server[tracing]" in ran.stdout, ran.stderr
    assert "WIDTHWISE_TRACING" in ran.stdout
