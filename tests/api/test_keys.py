"""API keys: every operation asks for one, its scope decides, and no way past the comparison."""

import asyncio
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from service.app import create_app
from service.auth import guard as guarding
from service.auth.caller import Caller, Scope
from service.auth.guard import CACHE_SECONDS, TOUCH_SECONDS, Guard
from service.auth.limits import Limits
from service.auth.tokens import DUMMY_DIGEST, Token, digest_of, make_token, matches, parse_token
from service.dashboard.views import VIEWS
from service.errors import UnauthorizedError
from service.settings import Settings
from service.store import Store
from testbed.waiting import LONG_SECONDS, PATIENCE_SECONDS, until
from tests.api.client import Client, client_of, problem
from tests.api.keyed import PEPPER, Clock, CountedKeys, CountedStore, Keyed, bearer, keyed_app, keyed_settings, new_key
from tests.api.samples import spec, submit

#: Requests that ask and store nothing, although they have a body.
ASKING = (
    "/v1/transfers",
    "/v1/transfers/plot.{suffix}",
    "/v1/advice",
    "/v1/calibrations/estimates",
    "/v1/calibrations/cal_none/extensions/estimates",
    "/v1/sweeps/swp_none/predictions",
)
OPEN_OPERATIONS = {"GET /livez", "GET /readyz"}
OPEN_PAGES = {
    "/docs",
    "/assets/{name:path}",
    "/problems/{slug}",
    "/guide",
    "/guide/{path:path}",
    *(view.path for view in VIEWS.values()),
}


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    return keyed_app(settings, store, failed_keys_per_minute=10_000)


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    with client_of(app) as client:
        yield client


def operations(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Every operation of the OpenAPI document: method, an address of it, and what is declared."""
    return [
        (method.upper(), path.replace("{calibration_id}", "cal_none").replace("{sweep_id}", "swp_none"), operation)
        for path, found in app.openapi()["paths"].items()
        for method, operation in found.items()
    ]


def test_every_operation_asks_for_a_key_and_its_scope(app: FastAPI, client: Client, store: Store) -> None:
    keys = {scope: new_key(store, scope=scope) for scope in Scope}
    opened = set()
    for method, address, operation in operations(app):
        declared = operation["security"]
        if not declared:
            opened.add(f"{method} {address}")
            assert client.request(method, address).status_code == 200
            continue
        refused = client.request(method, address)
        problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"] == 'Bearer realm="widthwise"'
        needed = Scope.READ if method == "GET" or address in ASKING else Scope.CALIBRATE
        assert declared == [{"apiKey": [needed.value]}], (method, address)
        assert {"401", "403", "429", "503"} <= set(operation["responses"])
        for scope, key in keys.items():
            answer = client.request(method, address, headers=bearer(key))
            if scope.includes(needed):
                assert answer.status_code not in (401, 403), (method, address, scope)
            else:
                problem(answer, 403, "missing-scope")
                assert f'scope="{needed.value}"' in answer.headers["www-authenticate"]
    assert opened == OPEN_OPERATIONS


def test_what_the_document_does_not_list_is_open_on_purpose(app: FastAPI, client: Client) -> None:
    unlisted = {route.path for route in app.routes if isinstance(route, APIRoute) and not route.include_in_schema}
    assert unlisted == OPEN_PAGES
    for path in ("/", "/docs", "/assets/page.css", "/problems/unauthorized", "/openapi.json", "/livez", "/readyz"):
        assert client.get(path).status_code == 200


def test_without_keys_the_document_declares_none(settings: Settings, store: Store) -> None:
    text = json.dumps(create_app(settings, store).openapi())
    assert "security" not in text
    assert '"401"' not in text


def test_a_key_in_the_address_or_a_cookie_is_not_read(client: Client, store: Store) -> None:
    text = new_key(store).reveal()
    for name in ("api_key", "key", "token", "access_token", "authorization"):
        assert client.get("/v1/parameterizations", params={name: text}).status_code == 401
    assert client.get("/v1/calibrations", headers={"Cookie": f"Authorization=Bearer {text}"}).status_code == 401
    assert client.get("/v1/calibrations", headers={"X-Api-Key": text}).status_code == 401


def flawed(good: Token) -> dict[str, str]:
    """Authorization headers that must open nothing, by what is wrong with them."""
    text = good.reveal()
    other = make_token()
    return {
        "empty": "",
        "no token": "Bearer",
        "blank token": "Bearer  ",
        "another scheme": f"Basic {text}",
        "no scheme": text,
        "unknown id": f"Bearer {other.reveal()}",
        "another's secret": f"Bearer ww_{good.key_id}_{other.secret}",
        "one character less": f"Bearer {text[:-1]}",
        "one character more": f"Bearer {text}A",
        "one bit off": f"Bearer {text[:-1]}{'A' if text[-1] != 'A' else 'E'}",
        "capitals": f"Bearer {text.upper()}",
        "two tokens": f"Bearer {text} {text}",
        "a list": f"Bearer {text}, Bearer {text}",
        "padding": f"Bearer {text}=",
        "NUL": f"Bearer {text}\0",
        "line break": f"Bearer {text}\n",
        "not ASCII": f"Bearer ww_{good.key_id}_{'é' * 43}",
        "the digest": f"Bearer ww_{good.key_id}_{digest_of(PEPPER, good.secret)[:43]}",
        "the dummy digest": f"Bearer ww_{'0' * 16}_{'0' * 43}",
        "SQL": "Bearer ww_0123456789abcdef_' OR '1'='1",
        "60 kB": "Bearer " + "x" * 60_000,
    }


def test_keys_that_are_none_are_all_refused_alike(client: Client, store: Store) -> None:
    good = new_key(store)
    details = set()
    for what, header in flawed(good).items():
        raw = [(b"authorization", header.encode("latin-1"))]
        answer = client.request("GET", "/v1/calibrations", headers=raw)
        details.add(problem(answer, 401, "unauthorized")["detail"])
        assert good.secret not in answer.text + str(answer.headers), what
    assert details == {
        "The API key is not valid.",
        "Send one header `Authorization: Bearer ww_…`, with an API key of this service.",
    }
    two = [(b"authorization", value.encode()) for value in bearer(good).values()] * 2
    assert client.request("GET", "/v1/calibrations", headers=two).status_code == 401
    assert client.get("/v1/calibrations", headers=bearer(good)).status_code == 200
    assert client.get("/v1/calibrations", headers={"Authorization": f"bEARER {good.reveal()}"}).status_code == 200


def test_only_who_holds_the_secret_learns_that_a_key_has_ended(client: Client, store: Store) -> None:
    expired, revoked = new_key(store, lifetime=-1.0), new_key(store)
    store.keys.revoke(revoked.key_id)
    for key, word in ((expired, "has expired"), (revoked, "was revoked")):
        told = problem(client.get("/v1/calibrations", headers=bearer(key)), 401, "unauthorized")
        assert word in told["detail"]
        guess = f"ww_{key.key_id}_{make_token().secret}"
        told = problem(client.get("/v1/calibrations", headers=bearer(guess)), 401, "unauthorized")
        assert told["detail"] == "The API key is not valid."


def test_a_key_made_with_another_pepper_opens_nothing(settings: Settings, store: Store) -> None:
    key = new_key(store)
    with client_of(keyed_app(settings, store, pepper="another-pepper-0123456789abcdef-----")) as client:
        assert client.get("/v1/calibrations", headers=bearer(key)).status_code == 401


# the guard itself ---------------------------------------------------------------------------------


def guard_of(compare: Callable[[str, str], bool] = hmac.compare_digest, clock: Clock | None = None) -> Guard:
    clock = clock or Clock()
    return Guard(
        PEPPER,
        Limits(clock=clock),
        requests_per_minute=0,
        failed_keys_per_minute=10_000,
        clock=clock,
        compare=compare,
    )


def request_with(header: str) -> HTTPConnection:
    headers = [(b"authorization", header.encode("latin-1"))]
    return HTTPConnection({"type": "http", "headers": headers, "client": ("192.0.2.1", 1)})


def admit(guard: Guard, store: Store | CountedStore, header: str, needed: Scope = Scope.READ) -> Caller:
    return asyncio.run(guard.admit(request_with(header), needed, lambda: store))  # type: ignore[arg-type,return-value]


def test_every_way_compares_once_and_in_constant_time(store: Store) -> None:
    """Known, new, unknown, wrong, revoked and malformed keys alike take one comparison of two digests."""
    compared: list[tuple[str, str]] = []

    def counting(stored: str, digest: str) -> bool:
        compared.append((stored, digest))
        return hmac.compare_digest(stored, digest)

    good, revoked = new_key(store), new_key(store)
    store.keys.revoke(revoked.key_id)
    guard = guard_of(counting)
    admit(guard, store, f"Bearer {good.reveal()}")  # read from the database
    admit(guard, store, f"Bearer {good.reveal()}")  # known
    assert len(compared) == 2
    wrong = [header for header in flawed(good).values() if header.lower().startswith("bearer ")]
    for count, header in enumerate([*wrong, f"Bearer {revoked.reveal()}"], start=3):
        with pytest.raises(UnauthorizedError):
            admit(guard, store, header)
        assert len(compared) == count, header
    assert {len(text) for pair in compared for text in pair} == {64}
    assert guarding.hmac.compare_digest is Guard.__init__.__kwdefaults__["compare"]
    assert matches.__defaults__ == (hmac.compare_digest,)


def test_the_comparison_alone_decides(store: Store) -> None:
    """One that never matches lets no good key in, known or not; one that always does lets no unknown id in."""
    good = f"Bearer {new_key(store).reveal()}"
    answers = iter([False, True, False])
    guard = guard_of(lambda _stored, _digest: next(answers))
    with pytest.raises(UnauthorizedError):
        admit(guard, store, good)
    admit(guard, store, good)
    with pytest.raises(UnauthorizedError):  # known by now
        admit(guard, store, good)
    always = guard_of(lambda _stored, _digest: True)
    for header in (f"Bearer {make_token().reveal()}", "Bearer nonsense"):
        with pytest.raises(UnauthorizedError):
            admit(always, store, header)


def test_what_is_known_is_read_again_after_seconds(store: Store) -> None:
    clock, counted, key = Clock(), CountedStore(store), new_key(store)
    header, guard = f"Bearer {key.reveal()}", guard_of(clock=clock)
    for _ in range(5):
        assert admit(guard, counted, header).owner == "alice"
    assert counted.keys.found == [key.key_id]
    store.keys.revoke(key.key_id)
    clock.now += CACHE_SECONDS - 0.001
    admit(guard, counted, header)
    clock.now += 0.002
    for _ in range(2):
        with pytest.raises(UnauthorizedError, match="revoked"):
            admit(guard, counted, header)
    assert len(counted.keys.found) == 3


def test_an_open_stream_ends_with_its_key(settings: Settings, store: Store) -> None:
    class Counted(CountedStore):
        def of(self, _owner: str, **_: bool) -> "Counted":
            return self

    clock, counted, key = Clock(), Counted(store), new_key(store)
    app = create_app(keyed_settings(settings), counted, stream_seconds=LONG_SECONDS, poll_seconds=0.02)  # type: ignore[arg-type]
    app.state.guard = guard_of(clock=clock)
    ended: list[httpx.Response] = []
    with client_of(app) as client:
        address = f"/v1/calibrations/{submit(Keyed(client, key), runner='external')}/events"
        stream = threading.Thread(target=lambda: ended.append(client.get(address, headers=bearer(key))))
        stream.start()
        until(lambda: app.state.streams.open == 1)
        asked = clock.asked
        until(lambda: clock.asked > asked + 1)  # it counts as open before it begins to watch its key
        clock.now += CACHE_SECONDS
        until(lambda: len(counted.keys.found) == 2)  # once when it was admitted, once since
        store.keys.revoke(key.key_id)
        assert not ended  # what is known counts for seconds
        clock.now += CACHE_SECONDS
        stream.join(PATIENCE_SECONDS)
        told = ended[0].text
        assert "event: calibration" in told
        assert "event: end" not in told  # which would say that the calibration has ended
        assert client.get(address, headers=bearer(key)).status_code == 401  # to connect again


def test_a_database_that_is_down_is_503_and_heals(settings: Settings, store: Store) -> None:
    clock, counted, key = Clock(), CountedStore(store), new_key(store)
    app = create_app(keyed_settings(settings), counted)  # type: ignore[arg-type]
    app.state.guard = guard_of(clock=clock)
    with client_of(app) as client:
        assert client.get("/v1/parameterizations", headers=bearer(key)).status_code == 200
        counted.keys.down = True
        assert client.get("/v1/parameterizations", headers=bearer(key)).status_code == 200  # known
        clock.now += CACHE_SECONDS
        for token in (key, make_token()):
            for _ in range(2):
                answer = client.get("/v1/parameterizations", headers=bearer(token))
                problem(answer, 503, "not-ready")
                assert answer.headers["retry-after"] == "5"
        counted.keys.down = False
        assert client.get("/v1/parameterizations", headers=bearer(key)).status_code == 200


def test_others_go_on_while_one_request_reads_a_key_again(store: Store) -> None:
    """The expiry of cached keys causes no rush to the database, and wrong keys of that moment still fail."""
    clock, key = Clock(), new_key(store)
    reading, go_on = threading.Event(), threading.Event()

    class Slow(CountedKeys):
        def find(self, key_id: str) -> Any:
            reading.set()
            assert go_on.wait(30)
            return super().find(key_id)

    slow, guard, header = CountedStore(store, Slow), guard_of(clock=clock), f"Bearer {key.reveal()}"
    admit(guard, store, header)
    clock.now += CACHE_SECONDS

    async def rush() -> None:
        first = asyncio.create_task(guard.admit(request_with(header), Scope.READ, lambda: slow))  # type: ignore[arg-type,return-value]
        await asyncio.to_thread(reading.wait, 30)
        for _ in range(20):
            await guard.admit(request_with(header), Scope.READ, lambda: slow)  # type: ignore[arg-type,return-value]
        go_on.set()
        await first

    asyncio.run(rush())
    assert slow.keys.found == [key.key_id]


def test_the_last_use_is_noted_once_a_minute_and_holds_nobody_up(store: Store) -> None:
    clock, counted, key = Clock(), CountedStore(store), new_key(store)
    guard, header = guard_of(clock=clock), f"Bearer {key.reveal()}"
    for _ in range(30):  # 50 s
        admit(guard, counted, header)
        clock.now += TOUCH_SECONDS / 36
    until(lambda: (found := store.keys.find(key.key_id)) is not None and found.last_used_at is not None)
    clock.now += TOUCH_SECONDS
    admit(guard, counted, header)
    until(lambda: len(counted.keys.touched) > 1)
    guard.close()
    assert counted.keys.touched == [key.key_id] * 2


def test_the_dummy_digest_matches_nothing() -> None:
    assert not matches(None, DUMMY_DIGEST)
    assert matches("a" * 64, "a" * 64)


def test_scopes_include_those_before_them() -> None:
    assert [[held.includes(needed) for needed in Scope] for held in Scope] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert Caller.of("k", "o", ("read", "calibrate")).scope is Scope.CALIBRATE
    of_a_later_version = Caller.of("k", "o", ("operate",))
    assert not of_a_later_version.may(Scope.READ)
    assert not of_a_later_version.everyone


def test_tokens_are_random_and_show_no_secret() -> None:
    made = {make_token().reveal() for _ in range(1000)}
    assert len(made) == 1000
    token = make_token()
    assert parse_token(token.reveal()) == token
    assert token.secret not in repr(token) + str(token) + f"{token}"


def test_a_calibration_remembers_its_request_and_owner(client: Client, store: Store) -> None:
    keyed = Keyed(client, new_key(store, owner="alice", scope="calibrate"))
    answer = keyed.post("/v1/calibrations", json=spec(), headers={"X-Request-Id": "run-7"})
    assert answer.status_code == 202
    claim = store.work.claim("worker")
    assert claim is not None
    assert claim.request_id == "run-7"
    assert store.calibrations.get(answer.json()["id"]).owner == "alice"
    assert submit(keyed)


def test_refusals_are_counted(app: FastAPI, client: Client, store: Store) -> None:
    guard: Guard = app.state.guard
    client.get("/v1/calibrations")
    client.get("/v1/calibrations", headers=bearer("nonsense"))
    client.post("/v1/calibrations", headers=bearer(new_key(store, scope="read")))
    assert (guard.unauthorized, guard.forbidden, guard.limited, guard.limits.unchecked) == (2, 1, 0, 0)


# what every operation that asks for a key refuses besides ------------------------------------------


def test_an_unknown_query_parameter_is_refused_everywhere(app: FastAPI, client: Client, store: Store) -> None:
    """By whoever may ask, and after the key: who has none learns nothing."""
    key = new_key(store)
    for method, address, operation in operations(app):
        if not operation["security"]:
            assert client.request(method, f"{address}?x=1").status_code == 200  # a probe may add what it likes
            continue
        assert client.request(method, f"{address}?x=1").status_code == 401
        told = problem(client.request(method, f"{address}?x=1&y=", headers=bearer(key)), 422, "invalid-request")
        assert {"query.x", "query.y"} <= {fault["field"] for fault in told["errors"]}, (method, address)
        assert "There is no field 'x' here" in str(told["errors"])
        assert "422" in operation["responses"], (method, address)


def test_without_keys_an_unknown_query_parameter_is_refused_too(settings: Settings, store: Store) -> None:
    with client_of(create_app(settings, store)) as client:
        problem(client.get("/v1/workers?x=1"), 422, "invalid-request")
        problem(client.post("/v1/transfers?x=1"), 422, "invalid-request")
