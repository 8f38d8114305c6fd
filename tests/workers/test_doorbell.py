"""The doorbell on real brokers: what it sends, and that nothing a broker does holds up whoever rings."""

import base64
import json
import logging
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from service.broker import QUEUE, TASK, connect
from service.doorbell import RING_SECONDS, CeleryDoorbell, make_doorbell
from service.settings import Settings, load_settings
from testbed.brokers import BrokerServer
from tests.store.samples import sample_spec
from widthwise.errors import InvalidInputError

MARGIN_SECONDS = 1.0  # of a loaded machine, beyond the bound itself


def settings_of(url: str) -> Settings:
    return load_settings(redis_url=url)


def messages(broker: BrokerServer) -> Counter[str]:
    """How often each shard is announced in the queue."""
    sent: Counter[str] = Counter()
    for text in broker.client().lrange(QUEUE, 0, -1):
        message = json.loads(text)
        assert message["headers"]["task"] == TASK
        assert message["content-type"] == "application/json"
        arguments, _, _ = json.loads(base64.b64decode(message["body"]))
        sent[arguments[0]] += 1
    return sent


def timed(ring: Callable[[], object]) -> tuple[object, float]:
    begun = time.monotonic()
    return ring(), time.monotonic() - begun


def test_one_message_for_each_shard(own_broker: BrokerServer) -> None:
    bell = CeleryDoorbell(settings_of(own_broker.url))
    assert bell.ring(["a", "b"]) == ("a", "b")
    assert bell.ring([]) == ()
    assert bell.ring(["b", "c"]) == ("b", "c")
    assert messages(own_broker) == {"a": 1, "b": 2, "c": 1}


def test_many_threads_ring_at_once_over_one_connection(own_broker: BrokerServer) -> None:
    bell = CeleryDoorbell(settings_of(own_broker.url))
    bell.ring(["first"])
    before = own_broker.client().info("stats")["total_connections_received"]
    sent: list[str] = []
    threads = [
        threading.Thread(target=lambda n=number: sent.extend(bell.ring([f"{n}-{i}" for i in range(10)])))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = own_broker.client().info("stats")["total_connections_received"]
    assert after - before == 1  # this one's
    assert len(sent) == 200
    assert messages(own_broker) == Counter(sent) + Counter(["first"])


def test_a_broker_that_is_down_costs_nothing_and_is_found_again(own_broker: BrokerServer) -> None:
    own_broker.stop()
    bell = CeleryDoorbell(settings_of(own_broker.url), pause_seconds=0.0)
    with capture_logs() as logs:
        for _ in range(3):
            sent, seconds = timed(lambda: bell.ring(["a"]))
            assert sent == ()
            assert seconds < RING_SECONDS + MARGIN_SECONDS
    assert {line["event"] for line in logs} == {"broker_unavailable"}
    own_broker.start()
    assert bell.ring(["b"]) == ("b",)
    own_broker.restart(signal.SIGKILL)  # the connection is stale now
    assert bell.ring(["c"]) == ("c",)


def test_after_a_failure_nobody_waits(own_broker: BrokerServer) -> None:
    bell = CeleryDoorbell(settings_of(own_broker.url), pause_seconds=600.0)
    own_broker.stop()
    with capture_logs() as logs:
        bell.ring(["a"])
        own_broker.start()
        assert bell.ring(["b"]) == ()
        assert len(logs) == 1
    assert messages(own_broker) == {}


def test_a_silent_broker_is_waited_for_two_seconds_and_once(own_broker: BrokerServer) -> None:
    bell = CeleryDoorbell(settings_of(own_broker.url))
    assert bell.ring(["a"]) == ("a",)
    own_broker.freeze()
    try:
        with capture_logs() as logs:
            results: list[tuple[object, float]] = []
            threads = [
                threading.Thread(target=lambda: results.append(timed(lambda: bell.ring(["b"])))) for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert all(sent == () and seconds < RING_SECONDS + MARGIN_SECONDS for sent, seconds in results)
            assert len(logs) == 1
    finally:
        own_broker.thaw()


def test_a_broker_whose_answer_never_ends_is_left_after_two_seconds() -> None:
    """No timeout of a socket helps: a byte comes again and again, and the line does not end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def dribble() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"+")
                while not stop.wait(0.2):
                    connection.sendall(b"O")

        thread = threading.Thread(target=dribble, daemon=True)  # a test that fails does not wait for it
        thread.start()
        bell = CeleryDoorbell(settings_of(f"redis://127.0.0.1:{listener.getsockname()[1]}/0"), pause_seconds=600.0)
        with capture_logs() as logs:
            sent, seconds = timed(lambda: bell.ring(["a"]))
            assert sent == ()
            assert seconds < RING_SECONDS + MARGIN_SECONDS
            sent, seconds = timed(lambda: bell.ring(["b"]))  # the publisher is still at it
            assert sent == ()
            assert seconds < MARGIN_SECONDS
            assert len(logs) == 1
        stop.set()
        thread.join()


def test_a_host_that_takes_no_connection_and_a_name_that_nobody_knows() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]  # a full queue of connections answers no more
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        for url in (f"redis://127.0.0.1:{port}/0", "redis://broker.invalid:6379/0"):
            sent, seconds = timed(lambda url=url: CeleryDoorbell(settings_of(url)).ring(["a"]))
            assert sent == ()
            assert seconds < RING_SECONDS + MARGIN_SECONDS
        for filler in fillers:
            filler.close()


def test_a_password_is_in_no_log(own_broker: BrokerServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "correct-horse"  # noqa: S105  nobody's
    url = own_broker.url.replace("redis://", f"redis://:{secret}@")
    own_broker.client().config_set("requirepass", "another")
    bell = CeleryDoorbell(settings_of(url), pause_seconds=0.0)
    with capture_logs() as logs:
        assert bell.ring(["a"]) == ()
        own_broker.stop()
        assert bell.ring(["a"]) == ()
    assert len(logs) == 2
    assert secret not in f"{logs} {caplog.text} {bell!r}"
    assert secret not in repr(connect(settings_of(url)))


def test_without_a_broker_there_is_none() -> None:
    assert make_doorbell(load_settings()) is None
    with pytest.raises(InvalidInputError, match="WIDTHWISE_REDIS_URL"):
        connect(load_settings())


def test_what_was_sent_counts_as_announced(own_broker: BrokerServer, settings: Settings) -> None:
    from service.store import open_store

    bell = CeleryDoorbell(settings_of(own_broker.url), pause_seconds=0.0)
    store = open_store(settings.database_url, doorbell=bell)
    told = store.calibrations.create(sample_spec(widths=[32, 64])).calibration.id
    assert all(shard.published_at is not None for shard in store.calibrations.shards(told))
    assert set(messages(own_broker)) == {shard.id for shard in store.calibrations.shards(told)}
    own_broker.stop()
    begun = time.monotonic()
    untold = store.calibrations.create(sample_spec(widths=[32, 64])).calibration.id
    assert time.monotonic() - begun < RING_SECONDS + MARGIN_SECONDS
    assert all(shard.published_at is None for shard in store.calibrations.shards(untold))
    store.close()


@pytest.mark.parametrize(
    ("query", "checked"),
    [("", ssl.CERT_REQUIRED), ("?ssl_ca_certs=/ca.pem", ssl.CERT_REQUIRED), ("?ssl_cert_reqs=none", ssl.CERT_NONE)],
)
def test_a_broker_behind_tls_shows_its_certificate_unless_told_otherwise(query: str, checked: ssl.VerifyMode) -> None:
    with connect(settings_of(f"rediss://:secret@broker:6379/0{query}")).connection() as connection:
        assert connection.ssl["ssl_cert_reqs"] is checked
        assert "secret" not in connection.as_uri()


def test_the_services_doorbell_has_loaded_celery_before_its_first_request(own_broker: BrokerServer) -> None:
    """In a new process, since this one has loaded it: on a busy machine a request would give up before."""
    asked = (
        "import sys, time; from service.doorbell import make_doorbell; "
        "from service.settings import load_settings; "
        f"bell = make_doorbell(load_settings(redis_url={own_broker.url!r}))\n"
        "while 'celery.app.base' not in sys.modules: time.sleep(0.02)"
    )
    subprocess.run([sys.executable, "-c", asked], check=True, timeout=60)
