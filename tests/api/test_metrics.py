"""GET /metrics: every family is documented and told, labels are bounded, and a database that is down fails nothing."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.observability.metrics import KEPT_SECONDS, PATIENCE_SECONDS, Metrics
from service.observability.work_metrics import LISTED_SECONDS
from service.settings import Settings, load_settings
from service.store import Store, open_store
from service.store.database.clock import now
from service.store.database.tables import workers
from testbed.databases import SqliteFiles
from testbed.waiting import until
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Clock, CountedStore, bearer, keyed_app, keyed_settings, new_key
from tests.api.samples import CONTRACT, finished, submit

DOCS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")

TOTALS: dict[str, Any] = {
    "shards": {"succeeded": 4, "failed": 1, "cancelled": 0, "released": 2, "lost": 1},
    "trials": {"completed": 30, "diverged": 3, "stopped": 2, "failed": 0},
    "trial_seconds": {"count": 35, "sum": 42.5, "buckets": {"0.1": 0, "0.3": 5, "1": 20, "3": 33, "1000": 35}},
    "lease_losses": 1,
    "republished": 7,
}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scraped(client: Client) -> Samples:
    """Every sample by its name and labels."""
    response = client.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.headers["cache-control"] == "no-store"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"widthwise_{name}", tuple(sorted(labels.items()))]


def forget(app: FastAPI) -> None:
    """Have the next scrape read the database again."""
    app.state.metrics._read_at = 0.0


def test_the_documentation_lists_every_family_and_no_other(client: Client, store: Store) -> None:
    store.workers.report("w", host="h", totals=TOTALS)
    client.get("/livez")
    families = {
        family.name + ("_total" if family.type == "counter" else ""): (family.type, family)
        for family in text_string_to_metric_families(client.get("/metrics").text)
    }
    documented = {
        name: (kind, {label.strip(" `") for label in labels.split(",") if label.strip()})
        for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|", DOCS, flags=re.MULTILINE)
    }
    assert set(documented) == set(families)
    for name, (kind, labels) in documented.items():
        assert families[name][0] == kind, name
        found = {label for sample in families[name][1].samples for label in sample.labels} - {"le"}
        assert found == labels, name


def test_requests_by_method_route_and_status(client: Client) -> None:
    for _ in range(3):
        client.post("/v1/transfers", json=CONTRACT)
    client.post("/v1/transfers", json={})
    client.get("/v1/calibrations/nothing")
    client.request("BREW", "/livez")
    for path in ("/wp-admin.php", "/%00", "/v1/unknown/1", "/v1/unknown/2"):
        client.get(path)
    samples = scraped(client)
    asked = {"method": "POST", "route": "/v1/transfers"}
    assert value(samples, "http_requests_total", **asked, status="200") == 3
    assert value(samples, "http_requests_total", **asked, status="422") == 1
    route = "/v1/calibrations/{calibration_id}"
    assert value(samples, "http_requests_total", method="GET", route=route, status="404") == 1
    assert value(samples, "http_requests_total", method="OTHER", route="/livez", status="405") == 1
    assert value(samples, "http_requests_total", method="GET", route="unmatched", status="404") == 4
    assert value(samples, "http_request_seconds_count", **asked, status="200") == 3
    assert value(samples, "http_request_seconds_bucket", **asked, status="200", le="+Inf") == 3
    assert value(samples, "http_request_seconds_sum", **asked, status="200") > 0
    assert value(samples, "http_requests_in_flight") == 1  # the scrape itself
    assert not any("unknown" in str(key) or "wp-admin" in str(key) for key in samples)


def test_a_refusal_at_the_door_and_a_mistake_are_counted(settings: Settings, store: Store) -> None:
    app = create_app(settings, store)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("no")

    with client_of(app) as client:
        client.get("/livez", headers={"Host": "elsewhere.example"})
        client.post_bytes("/v1/transfers", b" " * (settings.max_body_bytes + 1))
        client.get("/broken")
        samples = scraped(client)
    assert value(samples, "http_requests_total", method="GET", route="unmatched", status="403") == 1
    assert value(samples, "http_requests_total", method="POST", route="unmatched", status="413") == 1
    assert value(samples, "http_requests_total", method="GET", route="/broken", status="500") == 1


def test_the_table_of_work_and_the_workers(app: FastAPI, client: Client, store: Store) -> None:
    submit(client, search="grid")
    finished(client)
    store.workers.report("busy", host="h", totals=TOTALS)
    store.workers.report("idle", host="h")
    assert store.work.claim("busy") is not None
    samples = scraped(client)
    assert value(samples, "database_up") == 1
    assert value(samples, "shards", state="running") == 1
    assert value(samples, "shards", state="queued") >= 1
    assert 0 <= value(samples, "oldest_queued_seconds") < 60
    assert value(samples, "calibrations", state="running") == value(samples, "calibrations", state="succeeded") == 1
    assert value(samples, "workers", state="running") == value(samples, "workers", state="idle") == 1
    assert value(samples, "worker_shards_total", worker="busy", outcome="succeeded") == 4
    assert value(samples, "worker_trials_total", worker="busy", status="diverged") == 3
    assert value(samples, "worker_trial_seconds_bucket", worker="busy", le="1.0") == 20
    assert value(samples, "worker_trial_seconds_count", worker="busy") == 35
    assert value(samples, "worker_trial_seconds_sum", worker="busy") == 42.5
    assert value(samples, "worker_lease_losses_total", worker="busy") == 1
    assert value(samples, "worker_republished_total", worker="busy") == 7
    assert value(samples, "worker_shards_total", worker="idle", outcome="failed") == 0

    store.workers.report("late", host="h")  # within KEPT_SECONDS the database is not read again
    assert value(scraped(client), "workers", state="idle") == 1
    forget(app)
    assert value(scraped(client), "workers", state="idle") == 2


def test_a_worker_long_gone_is_left_out(client: Client, store: Store) -> None:
    store.workers.report("gone", host="h", totals=TOTALS)
    with store.database.write() as connection:
        connection.execute(sa.update(workers).values(last_seen=now(-LISTED_SECONDS - 60)))
    samples = scraped(client)
    assert value(samples, "workers", state="stale") == 1
    assert "gone" not in str(samples)


@pytest.mark.parametrize(
    "totals",
    [
        {},
        {"shards": None, "trials": [1], "trial_seconds": "x", "lease_losses": {}, "republished": True},
        {"shards": {"succeeded": -1, "failed": "2", "invented": 5}, "trials": {"completed": 1e300}},
        {"trial_seconds": {"count": 1, "sum": -3, "buckets": {"x": 1, "3": 5, "1": 9, "Infinity": 2, "10": None}}},
    ],
)
def test_odd_totals_are_tolerated(client: Client, store: Store, totals: dict[str, Any]) -> None:
    """Another version's, or a mistake: it must not cost the other numbers, nor make a histogram that shrinks."""
    store.workers.report("odd", host="h", totals=totals)
    samples = scraped(client)
    assert value(samples, "worker_shards_total", worker="odd", outcome="succeeded") == 0
    assert "invented" not in str(samples)
    buckets = [(k, v) for k, v in samples.items() if k[0].endswith("trial_seconds_bucket")]
    counts = [v for _, v in sorted(buckets, key=lambda found: float(dict(found[0][1])["le"]))]
    assert counts == sorted(counts)
    assert value(samples, "worker_trial_seconds_count", worker="odd") == counts[-1]


def test_a_database_that_is_down_fails_nothing(sqlite_files: SqliteFiles) -> None:
    settings = load_settings(database_url=sqlite_files.new())  # a file without tables
    store = open_store(settings.database_url)
    for given in (store, None):
        with client_of(create_app(settings, given)) as client:
            client.get("/livez")
            samples = scraped(client)
        assert value(samples, "database_up") == 0
        assert value(samples, "http_requests_total", method="GET", route="/livez", status="200") == 1
        assert not any(name == "widthwise_shards" for name, _ in samples)
    store.close()


class HangingWork:
    """The work of a store whose database does not answer until it is let go."""

    def __init__(self) -> None:
        self.gone_on = threading.Event()
        self.asked = 0

    def backlog(self) -> None:
        self.asked += 1
        self.gone_on.wait(60)
        raise AssertionError("nobody waits for this any more")


class Hanging:
    """A store with such work."""

    def __init__(self) -> None:
        self.work = HangingWork()


def test_a_database_that_hangs_holds_nothing_up(settings: Settings, store: Store) -> None:
    hanging: Any = Hanging()
    app = create_app(settings, hanging)
    with client_of(app) as client:
        samples = scraped(client)
        assert value(samples, "database_up") == 0
        assert value(samples, "http_requests_in_flight") == 1
        hanging.work.gone_on.set()
    labels = {"method": "GET", "route": "/metrics", "status": "200"}
    seconds = app.state.metrics.registry.get_sample_value("widthwise_http_request_seconds_sum", labels)
    assert seconds < PATIENCE_SECONDS + 5
    assert hanging.work.asked == 1


def test_open_streams(settings: Settings, store: Store) -> None:
    app = create_app(settings, store, stream_seconds=30.0, poll_seconds=0.02)
    with client_of(app) as client:
        identifier = submit(client, runner="external")
        stream = threading.Thread(target=client.get, args=(f"/v1/calibrations/{identifier}/events",))
        stream.start()
        until(lambda: value(scraped(client), "event_streams_open") == 1)
        client.post(f"/v1/calibrations/{identifier}/cancel")
        stream.join()
        assert value(scraped(client), "event_streams_open") == 0


def test_each_application_counts_for_itself(settings: Settings, store: Store) -> None:
    with client_of(create_app(settings, store)) as first, client_of(create_app(settings, store)) as second:
        first.get("/livez")
        scraped(second)
        assert not any("/livez" in str(key) for key in scraped(second))
    assert KEPT_SECONDS > 0
    assert Metrics().in_flight == 0


def test_the_method_is_get(client: Client) -> None:
    problem(client.post("/metrics"), 405, "method-not-allowed")


def test_a_scraper_needs_a_key_and_keeps_it_through_an_outage(settings: Settings, store: Store) -> None:
    """A key that was good is good while the database is down; one that was not is still refused."""
    reader, stranger, revoked = (new_key(store, scope="read") for _ in range(3))
    counted: Any = CountedStore(store)
    app = create_app(keyed_settings(settings), counted)
    app.state.guard._clock = clock = Clock()  # so that what the guard keeps for seconds is old at once
    with client_of(app) as client:
        problem(client.get("/metrics"), 401, "unauthorized")
        for key in (reader, revoked):
            assert client.get("/metrics", headers=bearer(key)).status_code == 200
        store.keys.revoke(revoked.key_id)
        clock.now += 60
        problem(client.get("/metrics", headers=bearer(revoked)), 401, "unauthorized")
        counted.keys.down = True
        clock.now += 60
        response = client.get("/metrics", headers=bearer(reader))
        assert response.status_code == 200
        assert 'widthwise_auth_failures_total{reason="unauthorized"} 2.0' in response.text
        problem(client.get("/v1/workers", headers=bearer(reader)), 503, "not-ready")
        for key in (stranger, revoked):
            problem(client.get("/metrics", headers=bearer(key)), 503, "not-ready")
        problem(client.get("/metrics"), 401, "unauthorized")


def test_refusals_and_limits_are_counted(settings: Settings, store: Store) -> None:
    key = new_key(store, scope="read")
    with client_of(keyed_app(settings, store, requests_per_minute=3)) as client:
        client.get("/v1/workers")
        identifier = "cal_000000000000000000000000"
        client.post(f"/v1/calibrations/{identifier}/retry", headers=bearer(key))
        client.get("/v1/workers", headers=bearer(key))
        text = client.get("/metrics", headers=bearer(key)).text
        assert client.get("/metrics", headers=bearer(key)).status_code == 429
    assert 'widthwise_auth_failures_total{reason="unauthorized"} 1.0' in text
    assert 'widthwise_auth_failures_total{reason="forbidden"} 1.0' in text
    assert "widthwise_rate_limited_total 0.0" in text
