"""Limits: of a key, of wrong keys from an address, in memory and in Redis, and what becomes of them without Redis."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from service.app import create_app
from service.auth.caller import Scope
from service.auth.guard import CACHE_SECONDS, LOOKUPS, _network
from service.auth.limits import PAUSE_SECONDS, Counted, Limits, RedisWindows
from service.auth.tokens import make_token
from service.auth.windows import MANY, WINDOW_SECONDS, Windows
from service.settings import Settings
from service.store import Store
from testbed.brokers import BrokerServer, GivenBroker
from tests.api.client import Client, problem
from tests.api.keyed import Clock, CountedStore, bearer, keyed_app, keyed_settings, new_key

LONG_SECONDS = 5.0  # far above the service's patience of 0.25 s, far below what a client of Redis waits by default


@contextmanager
def client_at(app: FastAPI, address: str = "192.0.2.1") -> Iterator[Client]:
    """A client of the application whose requests come from an address."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 1234))
    with start_blocking_portal() as portal:
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        try:
            yield Client(portal, client)
        finally:
            portal.call(client.aclose)


# of a key -----------------------------------------------------------------------------------------


def test_a_key_over_its_limit_is_429_and_others_are_not(settings: Settings, store: Store) -> None:
    app = keyed_app(settings, store, requests_per_minute=3)
    busy, other = new_key(store), new_key(store)
    with client_at(app) as client:
        for _ in range(3):
            assert client.get("/v1/calibrations", headers=bearer(busy)).status_code == 200
        for method, path in (("GET", "/v1/calibrations"), ("POST", "/v1/transfers"), ("GET", "/v1/parameterizations")):
            answer = client.request(method, path, headers=bearer(busy))
            told = problem(answer, 429, "too-many-requests")
            assert "3 requests a minute" in told["detail"]
            assert 1 <= int(answer.headers["retry-after"]) <= 120
        assert client.get("/v1/calibrations", headers=bearer(other)).status_code == 200
        assert client.get("/livez").status_code == 200
    assert app.state.guard.limited == 3


def test_forbidden_requests_count_too(settings: Settings, store: Store) -> None:
    reader = new_key(store, scope="read")
    with client_at(keyed_app(settings, store, requests_per_minute=2)) as client:
        statuses = [client.post("/v1/calibrations", headers=bearer(reader)).status_code for _ in range(3)]
    assert statuses == [403, 403, 429]


def test_zero_is_no_limit(settings: Settings, store: Store) -> None:
    key = new_key(store)
    with client_at(keyed_app(settings, store, requests_per_minute=0)) as client:
        answers = {client.get("/v1/parameterizations", headers=bearer(key)).status_code for _ in range(700)}
    assert answers == {200}


def test_without_keys_there_is_no_limit(settings: Settings, store: Store) -> None:
    open_settings = settings.model_copy(update={"requests_per_minute": 1})
    with client_at(create_app(open_settings, store)) as client:
        assert {client.get("/v1/parameterizations").status_code for _ in range(5)} == {200}


# of wrong keys ------------------------------------------------------------------------------------


def test_an_address_with_many_wrong_keys_is_not_looked_at(settings: Settings, store: Store) -> None:
    """Beyond the limit no key is looked up for it, but one that was valid before still works, and is read again."""
    clock, counted = Clock(), CountedStore(store)
    app = create_app(keyed_settings(settings, failed_keys_per_minute=3), counted)  # type: ignore[arg-type]
    app.state.guard._clock = clock  # of what is known; the limits have their own
    known, new = new_key(store), new_key(store)
    with client_at(app) as here, client_at(app, "192.0.2.2") as elsewhere:
        assert here.get("/v1/calibrations", headers=bearer(known)).status_code == 200
        for _ in range(3):
            assert here.get("/v1/calibrations", headers=bearer(make_token())).status_code == 401
        looked_up = len(counted.keys.found)
        for token in (make_token(), new, "malformed"):
            answer = here.get("/v1/calibrations", headers=bearer(token))
            problem(answer, 429, "too-many-requests")
            assert int(answer.headers["retry-after"]) >= 1
        assert len(counted.keys.found) == looked_up
        for _ in range(2):
            assert here.get("/v1/calibrations", headers=bearer(known)).status_code == 200
            clock.now += CACHE_SECONDS  # the second time it is read again
        assert len(counted.keys.found) == looked_up + 1
        assert elsewhere.get("/v1/calibrations", headers=bearer(new)).status_code == 200
        assert here.get("/v1/calibrations", headers=bearer(new)).status_code == 200  # known by now


def test_a_burst_of_wrong_keys_does_not_slip_through(settings: Settings, store: Store) -> None:
    """200 at once are not all looked up before the first of them counts."""
    counted, app = CountedStore(store), keyed_app(settings, store, failed_keys_per_minute=3)

    async def burst() -> list[BaseException | object]:
        requests = []
        for _ in range(200):
            headers = [(b"authorization", bearer(make_token())["Authorization"].encode())]
            request = HTTPConnection({"type": "http", "headers": headers, "client": ("192.0.2.1", 1)})
            requests.append(app.state.guard.admit(request, Scope.READ, lambda: counted))
        return await asyncio.gather(*requests, return_exceptions=True)

    refused = [getattr(refusal, "status", None) for refusal in asyncio.run(burst())]
    assert set(refused) == {401, 429}
    assert len(counted.keys.found) < 3 + LOOKUPS


def test_a_request_without_a_key_is_no_wrong_key(settings: Settings, store: Store) -> None:
    with client_at(keyed_app(settings, store, failed_keys_per_minute=1)) as client:
        assert {client.get("/v1/calibrations").status_code for _ in range(5)} == {401}
        assert client.get("/v1/calibrations", headers=bearer(new_key(store))).status_code == 200


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("testclient", "unreadable"),
        ("192.0.2.7\r\nSET x 1", "unreadable"),
        ("{a}" * 5000, "unreadable"),
        ("", "unreadable"),
    ],
)
def test_what_an_address_is_counted_as(host: str, network: str) -> None:
    assert _network(HTTPConnection({"type": "http", "headers": [], "client": (host, 1)})) == network
    assert _network(HTTPConnection({"type": "http", "headers": [], "client": None})) == "unreadable"


# windows ------------------------------------------------------------------------------------------


@given(st.integers(1, 20), st.lists(st.floats(0, 50), min_size=1, max_size=200))
def test_a_window_never_lets_more_through_and_says_when_it_will(limit: int, pauses: list[float]) -> None:
    clock = Clock()
    windows = Windows(clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = windows.take("a", limit)
        if wait == 0:
            taken.append(clock.now)
        else:
            assert windows.wait("a", limit) == wait
            assert windows.wait("b", limit) == 0
            assert wait <= 2 * WINDOW_SECONDS
            clock.now += wait
            assert windows.take("a", limit) == 0
            taken.append(clock.now)
    for start in taken:  # the same window of the clock holds no more than the limit
        same = [time for time in taken if time // WINDOW_SECONDS == start // WINDOW_SECONDS]
        assert len(same) <= limit


def test_a_window_slides() -> None:
    clock = Clock()
    clock.now = 60 * WINDOW_SECONDS + 59.0
    windows = Windows(clock)
    assert [windows.take("a", 60) == 0 for _ in range(61)] == [True] * 60 + [False]
    clock.now += 2.0  # a fixed window would let 60 more through here
    assert sum(windows.take("a", 60) == 0 for _ in range(60)) == 1
    clock.now += 29.0
    assert sum(windows.take("a", 60) == 0 for _ in range(60)) == 29


def test_names_that_are_counted_are_bounded() -> None:
    clock = Clock()
    windows = Windows(clock)
    for number in range(2 * MANY):
        windows.take(f"address:{number}", 1)
    assert len(windows) == MANY
    assert windows.take(f"address:{2 * MANY - 1}", 1) > 0  # the newest are kept
    clock.now += 3 * WINDOW_SECONDS
    windows.take("one more", 1)
    assert len(windows) == 1


def test_many_addresses_push_no_key_out() -> None:
    limits = Limits(clock=Clock())

    async def ask() -> None:
        assert await limits.take(Counted.KEY, "busy", 1) == 0
        for number in range(MANY + 1):
            await limits.wait(Counted.ADDRESS, f"network {number}", 10)
        assert await limits.take(Counted.KEY, "busy", 1) > 0

    asyncio.run(ask())


# in Redis -----------------------------------------------------------------------------------------


def patient(url: str, clock: Clock | None = None) -> Limits:
    """Limits in Redis that wait for it as long as a loaded machine may take."""
    return Limits(RedisWindows(url, socket_seconds=20.0), patience_seconds=20.0, clock=clock or time.monotonic)


def take(limits: Limits, times: int, limit: int = 5, name: str = "a") -> list[bool]:
    """Whether each of some requests is allowed."""

    async def ask() -> list[bool]:
        return [await limits.take(Counted.KEY, name, limit) == 0 for _ in range(times)]

    return asyncio.run(ask())


def test_processes_share_one_count(broker: BrokerServer | GivenBroker) -> None:
    one, two = patient(broker.url), patient(broker.url)
    assert take(one, 3) == [True] * 3
    assert take(two, 3) == [True, True, False]
    assert take(two, 1, name="b") == [True]

    async def waits() -> tuple[float, float, float]:
        return (
            await one.wait(Counted.KEY, "a", 5),
            await one.take(Counted.KEY, "a", 5),
            await one.wait(Counted.KEY, "b", 5),
        )

    looked, taken, free = asyncio.run(waits())
    assert 0 < looked <= 2 * WINDOW_SECONDS
    assert 0 < taken <= 2 * WINDOW_SECONDS
    assert free == 0
    assert (one.unchecked, two.unchecked) == (0, 0)
    expiries = [broker.client().pttl(key) for key in broker.client().keys("widthwise-limits*")]
    assert expiries
    assert all(0 < left <= 2000 * WINDOW_SECONDS for left in expiries)  # type: ignore[operator]  # nothing stays behind


def test_the_service_counts_in_redis(settings: Settings, store: Store, broker: BrokerServer | GivenBroker) -> None:
    key = new_key(store)
    apps = [
        keyed_app(settings, store, redis_url=broker.url, requests_per_minute=2, failed_keys_per_minute=2)
        for _ in range(2)
    ]
    for app in apps:
        assert app.state.guard.limits._shared is not None  # as the settings say
        app.state.guard.limits = patient(broker.url)
    with client_at(apps[0]) as one, client_at(apps[1]) as two:
        statuses = [client.get("/v1/parameterizations", headers=bearer(key)).status_code for client in (one, two, two)]
        assert statuses == [200, 200, 429]
        wrong = [client.get("/v1/exponents", headers=bearer(make_token())).status_code for client in (one, two, one)]
        assert wrong == [401, 401, 429]
    stored = b"".join(broker.client().keys("*"))  # type: ignore[arg-type]
    assert key.key_id.encode() in stored
    assert key.secret.encode() not in stored


def test_requests_pass_uncounted_while_redis_is_gone(own_broker: BrokerServer) -> None:
    clock = Clock()
    limits = patient(own_broker.url, clock)
    assert take(limits, 6) == [True] * 5 + [False]
    own_broker.stop()
    assert take(limits, 10) == [True] * 10
    assert limits.unchecked == 10
    own_broker.start()
    own_broker.client().flushall()
    assert take(limits, 6) == [True] * 6  # not asked yet
    clock.now += PAUSE_SECONDS
    assert take(limits, 6) == [True] * 5 + [False]
    assert limits.unchecked == 16


def test_a_silent_redis_holds_a_request_up_for_a_moment_only(settings: Settings, store: Store) -> None:
    """One that accepts and never answers: the first request waits a little, those of the pause not at all."""
    key = new_key(store)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        app = keyed_app(settings, store, redis_url=url, requests_per_minute=1)
        with client_at(app) as client:
            started = time.monotonic()
            assert {client.get("/v1/parameterizations", headers=bearer(key)).status_code for _ in range(20)} == {200}
            assert time.monotonic() - started < LONG_SECONDS
    limits: Limits = app.state.guard.limits
    assert limits.unchecked == 21  # 20 requests, and the look at the address of a key that was not known


class Hanging:
    """Counts nothing and answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = threading.Event()

    def take(self, name: str, limit: int) -> float:  # noqa: ARG002  the protocol's names
        """Hang."""
        self.asked += 1
        self.let.wait(60)
        return 100.0

    wait = take


def test_whatever_holds_redis_up_a_request_goes_on() -> None:
    """A name server that hangs obeys no timeout of a socket: the request leaves its thread behind."""
    hanging = Hanging()
    limits = Limits(hanging)
    started = time.monotonic()
    assert take(limits, 5) == [True] * 5
    assert time.monotonic() - started < LONG_SECONDS
    hanging.let.set()
    assert hanging.asked == 1
    assert limits.unchecked >= 5
