"""Another owner's calibrations are not there, secrets reach no log, and hostile text is only text."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from service.auth.caller import Scope
from service.auth.guard import CACHE_SECONDS
from service.calibrations.specification import SpecificationBody
from service.commands.keys import DEFAULT_EXPIRY
from service.http.middleware import LARGE_BODIES, LARGE_BODIES_OF_ONE
from service.http.request_bodies import BODY_SECONDS, MAX_OUTLINE_BYTES, SMALL_BYTES
from service.settings import CLIENT_VARIABLES, Settings
from service.store import Store
from tests.api.client import Client, client_of, problem
from tests.api.keyed import Keyed, bearer, keyed_app, new_key
from tests.api.samples import CONTRACT, bowl, finished, spec, submit
from tests.api.test_keys import OPEN_OPERATIONS, OPEN_PAGES
from tests.cli.test_serve import CLEAN, serving

ROOT = Path(__file__).parents[2]

#: Texts that have broken other services, for every place that takes a text.
HOSTILE = (
    "' OR '1'='1",
    "'; DROP TABLE calibrations; --",
    '" OR ""="',
    "1 UNION SELECT digest FROM api_keys",
    "%' OR 1=1 --",
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "/etc/passwd",
    "\\\\server\\share",
    "a\r\nX-Injected: yes",
    "a\nSet-Cookie: session=1",
    "\0",
    "a\0b",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "$(id)`id`;id|id&id",
    "%s%n%x{0.__class__}",
    "${jndi:ldap://127.0.0.1/a}",
    "\u202e\u0000\ufeff",
    "Ω" * 100,
    "x" * 5000,
    "-1",
    "null",
    "[]",
    "*",
    "_",
)


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    return keyed_app(settings, store, requests_per_minute=0, failed_keys_per_minute=10_000)


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    with client_of(app) as client:
        yield client


@pytest.fixture
def alice(client: Client, store: Store) -> Keyed:
    return Keyed(client, new_key(store, owner="alice", scope="calibrate"))


@pytest.fixture
def bob(client: Client, store: Store) -> Keyed:
    return Keyed(client, new_key(store, owner="bob", scope="calibrate"))


@pytest.fixture
def admin(client: Client, store: Store) -> Keyed:
    return Keyed(client, new_key(store, owner="ops", scope="admin"))


# owners -------------------------------------------------------------------------------------------


def bodies(identifier: str, own: str) -> dict[str, dict[str, Any]]:
    """What to send to each operation that concerns one calibration, so that for its owner it would do something."""
    return {
        "compareCalibrations": {"params": {"other": own}},
        "extendCalibration": {"json": {"seeds": 3}},
        "estimateExtension": {"json": {"seeds": 3}},
        "labelCalibration": {"json": {"name": "mine now"}},
        "uploadTrials": {"json": {"trials": bowl()}},
    }


def named_operations(app: FastAPI) -> list[tuple[str, str, str]]:
    """Every operation that names one calibration: its method, its path and its name."""
    return [
        (method.upper(), path, operation["operationId"])
        for path, found in app.openapi()["paths"].items()
        for method, operation in found.items()
        if "{calibration_id}" in path
    ]


def test_anothers_calibration_is_not_there(app: FastAPI, alice: Keyed, bob: Keyed, store: Store) -> None:
    """Every operation answers as it does for an id that does not exist, and changes nothing."""
    theirs, running, own = finished(alice), submit(alice, runner="external"), finished(bob)
    before = [store.calibrations.get(identifier) for identifier in (theirs, running)]
    assert len(named_operations(app)) >= 13
    for method, path, name in named_operations(app):
        for identifier in (theirs, running):
            options = bodies(identifier, own).get(name, {})
            answers = []
            for asked in (identifier, f"cal_{'0' * 24}"):
                answer = bob.request(
                    method, path.replace("{calibration_id}", asked).replace("{suffix}", "csv"), **options
                )
                told = problem(answer, 404, "not-found")
                answers.append(json.dumps(told).replace(asked, "ID"))
            assert answers[0] == answers[1], (method, path)
    told = bob.get(f"/v1/calibrations/{own}/comparison", params={"other": theirs})
    problem(told, 404, "not-found")
    after = [store.calibrations.get(identifier) for identifier in (theirs, running)]
    assert [(c.state, c.last_event, c.name) for c in after] == [(c.state, c.last_event, c.name) for c in before]
    assert bob.get(f"/v1/calibrations/{own}").status_code == 200
    assert alice.get(f"/v1/calibrations/{theirs}/events").status_code == 200


def test_lists_hold_ones_own_alone(alice: Keyed, bob: Keyed, admin: Keyed) -> None:
    theirs, own = finished(alice), finished(bob)

    def listed(caller: Keyed, path: str, **query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = caller.get(path, params={"limit": "2", **query, **cursor}).json()
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}

    for caller, seen in ((alice, {theirs}), (bob, {own}), (admin, {theirs, own})):
        assert {item["id"] for item in listed(caller, "/v1/calibrations")} == seen
        assert {item["calibration_id"] for item in listed(caller, "/v1/exponents")} == seen
    assert listed(bob, "/v1/exponents", calibration_id=theirs) == []
    assert listed(bob, "/v1/calibrations", state="succeeded")[0]["id"] == own
    # a cursor of another's list leads no further into it
    cursor = admin.get("/v1/calibrations", params={"limit": "1"}).json()["next_cursor"]
    assert {item["id"] for item in bob.get("/v1/calibrations", params={"cursor": cursor}).json()["items"]} <= {own}


def test_anothers_exponents_can_not_be_transferred_with(alice: Keyed, bob: Keyed, admin: Keyed) -> None:
    theirs = finished(alice)
    body = {**CONTRACT, "exponents": {"source": "calibration", "id": theirs}}
    assert alice.post("/v1/transfers", json=body).status_code == 200
    assert admin.post("/v1/transfers", json=body).status_code == 200
    told = problem(bob.post("/v1/transfers", json=body), 404, "not-found")
    assert theirs in told["detail"]


def test_an_idempotency_key_is_its_owners(alice: Keyed, bob: Keyed, store: Store) -> None:
    key = {"Idempotency-Key": "nightly"}
    first = alice.post("/v1/calibrations", json=spec(), headers=key)
    other = bob.post("/v1/calibrations", json=spec(), headers=key)
    assert "idempotency-replayed" not in other.headers
    assert other.json()["id"] != first.json()["id"]
    another_body = bob.post("/v1/calibrations", json=spec(seeds=3), headers=key)
    told = problem(another_body, 422, "idempotency-key-reused")
    assert first.json()["id"] not in json.dumps(told)
    assert alice.post("/v1/calibrations", json=spec(), headers=key).json()["id"] == first.json()["id"]
    parent, bobs = finished(alice), finished(bob)
    more = {"Idempotency-Key": "more"}
    extended = alice.post(f"/v1/calibrations/{parent}/extensions", json={"seeds": 3}, headers=more).json()
    assert bob.post(f"/v1/calibrations/{bobs}/extensions", json={"seeds": 3}, headers=more).json() != extended
    second = new_key(store, owner="alice", scope="calibrate")  # a key of the same owner replays
    again = Keyed(alice._plain, second).post("/v1/calibrations", json=spec(), headers=key)
    assert again.headers["idempotency-replayed"] == "true"


def test_an_admin_reads_and_ends_what_is_anothers(alice: Keyed, admin: Keyed) -> None:
    identifier = submit(alice)
    assert admin.get(f"/v1/calibrations/{identifier}").status_code == 200
    assert admin.post(f"/v1/calibrations/{identifier}/cancel").json()["state"] == "cancelled"


def test_anothers_work_is_not_named_by_its_worker(alice: Keyed, bob: Keyed, store: Store) -> None:
    identifier = submit(alice)
    store.workers.report("w", host="h", begins=True)
    claim = store.work.claim("w")
    assert claim is not None
    (seen,) = alice.get("/v1/workers").json()["items"]
    assert seen["calibration_id"] == identifier
    shown = bob.get("/v1/workers").text
    assert identifier not in shown
    assert claim.shard_id not in shown
    assert "alice" not in shown


def test_what_was_made_without_keys_is_for_admins(store: Store, bob: Keyed, admin: Keyed) -> None:
    identifier = submit(admin)
    nobodys = store.calibrations.create(store.calibrations.get(identifier).stored_spec).calibration.id
    problem(bob.get(f"/v1/calibrations/{nobodys}"), 404, "not-found")
    assert admin.get(f"/v1/calibrations/{nobodys}").status_code == 200


# logs ---------------------------------------------------------------------------------------------

_CRASHING = """
import logging
import sys
from service.app import create_app
from service.auth.pepper import load_pepper
from service.auth.tokens import digest_of, parse_token
from service.settings import load_settings
from service.store import open_store
from service.store.database.schema import upgrade
from tests.api.client import client_of
from service.observability.structured_logs import configure_logging

token = sys.argv[1]
settings = load_settings()
configure_logging(settings.log_level, settings.log_format)
logging.getLogger("httpx").setLevel(logging.WARNING)  # of the caller, not of the service
upgrade(settings.database_url)
store = open_store(settings.database_url)
key = parse_token(token)
digest = digest_of(load_pepper(settings), key.secret)
store.keys.create(key.key_id, owner="alice", name="", scopes=["admin"], digest=digest)
app = create_app(settings, store)

@app.get("/broken/{name}")
async def broken(name: str, request: __import__("fastapi").Request) -> None:
    header = request.headers["authorization"]
    raise ValueError("it broke")

with client_of(app) as client:
    headers = {"Authorization": "Bearer " + token}
    statuses = [client.get(path, headers=headers).status_code for path in ("/v1/calibrations", "/broken/" + token)]
    store.keys.find = None  # the guard itself breaks
    statuses.append(client.get("/v1/calibrations", headers={"Authorization": "Bearer " + sys.argv[2]}).status_code)
    statuses.append(client.get("/v1/calibrations?api_key=" + token).status_code)
    print(statuses)
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_crash_logs_no_secret(tmp_path: Path, form: str) -> None:
    pepper = "the-pepper-of-this-test-0123456789"
    secret, other = "S" * 43, "T" * 43
    ran = subprocess.run(
        [sys.executable, "-c", _CRASHING, f"ww_{'1' * 16}_{secret}", f"ww_{'1' * 16}_{other}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={
            **CLEAN,
            "WIDTHWISE_DATA_DIR": str(tmp_path),
            "WIDTHWISE_REQUIRE_KEYS": "true",
            "WIDTHWISE_PEPPER": pepper,
            "WIDTHWISE_LOG_LEVEL": "debug",
            "WIDTHWISE_LOG_FORMAT": form,
        },
    )
    assert ran.stdout == "[200, 500, 500, 401]\n"
    assert ran.stderr.count("Traceback") >= 2  # they were logged
    for hidden in (secret, other, pepper, "Authorization", "Bearer"):
        assert hidden not in ran.stderr, hidden


def test_a_service_logs_no_key(tmp_path: Path) -> None:
    """Real requests to a real server at its most talkative: right keys, wrong ones, and keys where none belongs."""
    make = [sys.executable, "-m", "widthwise.cli", "keys", "create", "--owner", "alice", "--scope", "admin"]
    made = subprocess.run(
        [*make, "--data-dir", str(tmp_path)], capture_output=True, text=True, env=CLEAN, check=True
    ).stdout.strip()
    wrong = f"{made[:-4]}AAAA"
    log = tmp_path / "log"
    variables = {
        "WIDTHWISE_REQUIRE_KEYS": "true",
        "WIDTHWISE_LOG_LEVEL": "debug",
        "WIDTHWISE_LOG_FORMAT": "json",
        "WIDTHWISE_FAILED_KEYS_PER_MINUTE": "2",
    }
    with log.open("w") as stderr, serving(tmp_path, stderr=stderr, **variables) as (url, said):
        statuses = []
        with httpx.Client(base_url=url, trust_env=False) as http:
            for headers in (bearer(made), bearer(wrong), bearer("nonsense"), bearer(wrong), {}):
                statuses.append(http.get("/v1/calibrations", headers=headers).status_code)
            statuses.append(http.get(f"/v1/calibrations/{made}", headers=bearer(made)).status_code)
            statuses.append(http.get("/v1/calibrations", params={"key": made}).status_code)
            statuses.append(http.post("/v1/calibrations", json={"key": made}, headers=bearer(made)).status_code)
    assert statuses == [200, 401, 401, 429, 401, 404, 401, 422]
    pepper = (tmp_path / "pepper").read_text().strip()
    written = said + log.read_text()
    for hidden in (made.split("_", 2)[2][:39], pepper):
        assert hidden not in written


# hostile texts ------------------------------------------------------------------------------------


def refused_or_harmless(answer: httpx.Response) -> None:
    """Check that a hostile text was taken for a text: no failure of ours, and nothing of it in the answer's head."""
    assert answer.status_code in (200, 202, 204, 400, 401, 403, 404, 405, 409, 413, 415, 422), answer.text
    assert "x-injected" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "root:" not in answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


def raw_headers(*pairs: tuple[str, str], key: Keyed) -> list[tuple[bytes, bytes]]:
    """Header lines as a server would pass them on if it checked nothing."""
    given = [(name.encode(), value.encode("utf-8", "replace")) for name, value in pairs]
    return [*given, (b"authorization", bearer(key.token)["Authorization"].encode())]


def test_hostile_texts_are_only_texts(client: Client, alice: Keyed, store: Store) -> None:
    identifier = finished(alice)
    known = {calibration.id for calibration in store.calibrations.page().items}
    for text in HOSTILE:
        for part in ("", "/trials", "/plot.svg", "/events"):
            answer = alice.get(f"/v1/calibrations/{quote(text, safe='')}{part}")
            refused_or_harmless(answer)
            assert answer.status_code == 404, (text, part)
        for path in (f"/assets/{quote(text, safe='')}", f"/problems/{quote(text, safe='')}"):
            problem(client.get(path), 404, "not-found")
        for path, names in (
            ("/v1/calibrations", ("cursor", "state", "limit")),
            ("/v1/exponents", ("cursor", "role", "dataset", "architecture", "calibration_id", "quantity", "source")),
            (f"/v1/calibrations/{identifier}/comparison", ("other",)),
        ):
            for name in names:
                answer = alice.get(path, params={name: text})
                refused_or_harmless(answer)
                if answer.status_code == 200:
                    assert answer.json()["items"] == [], (name, text)
    assert {calibration.id for calibration in store.calibrations.page().items} == known
    assert len(store.keys.all()) == 1


def test_hostile_headers_are_only_texts(client: Client, alice: Keyed, store: Store) -> None:
    for text in HOSTILE:
        for name in (
            "host",
            "x-forwarded-for",
            "x-forwarded-host",
            "forwarded",
            "x-request-id",
            "last-event-id",
            "cookie",
        ):
            answer = client.request("GET", "/v1/calibrations", headers=raw_headers((name, text), key=alice))
            refused_or_harmless(answer)
            assert answer.status_code == 200
            assert text not in answer.headers["x-request-id"] or text in ("-1", "null", "_")
        before = len(store.calibrations.page().items)
        headers = raw_headers(("idempotency-key", text), key=alice)
        answer = client.request("POST", "/v1/calibrations", json=spec(), headers=headers)
        refused_or_harmless(answer)
        assert answer.status_code in (202, 422)
        assert len(store.calibrations.page(limit=500).items) - before == (answer.status_code == 202)
        wrong = [(b"authorization", f"Bearer {text}".encode("utf-8", "replace"))]
        problem(client.request("GET", "/v1/calibrations", headers=wrong), 401, "unauthorized")
    assert [key.owner for key in store.keys.all()] == ["alice"]


def test_hostile_owners_and_ids_in_the_store(store: Store) -> None:
    """Whatever reaches the store as an owner or a key's id is a value of a statement and never part of it."""
    body = SpecificationBody.model_validate_json(json.dumps(spec(runner="external")))
    mine = store.of("alice").calibrations.create(body.to_spec().to_dict()).calibration.id
    for text in HOSTILE:
        assert store.keys.find(text) is None
        if "\0" not in text:
            assert store.of(text).calibrations.page().items == ()
            assert store.keys.all(text) == ()
    assert [c.id for c in store.of("alice").calibrations.page().items] == [mine]


def test_the_log_holds_no_line_of_a_clients_own(client: Client, alice: Keyed) -> None:
    with capture_logs() as logged:
        for text in HOSTILE:
            client.request("GET", "/v1/calibrations", headers=raw_headers(("x-request-id", text), key=alice))
            client.request("GET", "/nothing", headers=raw_headers(("x-request-id", text), key=alice))
    for line in logged:
        assert not any(character in str(line.get("request_id", "")) for character in "\r\n\0 '\"<")


# sizes --------------------------------------------------------------------------------------------


def test_sizes_are_bounded(client: Client, alice: Keyed, settings: Settings) -> None:
    large = b" " * (settings.max_body_bytes + 1)
    for token in (None, alice.token):  # before the key is looked at, which costs more
        answer = client.request("POST", "/v1/calibrations", content=large, headers=bearer(token))
        problem(answer, 413, "body-too-large")
    many = [{"name": f"t{n}", "base_shape": [2], "target_shape": [4]} for n in range(2_000)]
    assert alice.post("/v1/transfers", json={**CONTRACT, "tensors": many}).status_code in (200, 422)
    for changes in (
        {"widths": list(range(1, 1000))},
        {"learning_rates": [0.1 + n * 1e-6 for n in range(1_000)]},
        {"seeds": 10**9},
        {"steps": 10**12},
        {"widths": [10**12]},
    ):
        assert problem(alice.post("/v1/calibrations", json=spec(**changes)), 422, "invalid-request")


# the document -------------------------------------------------------------------------------------


def test_the_document_says_what_holds() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    opened = set(
        re.findall(r"`(/[^`]*)`", " ".join(text.partition("No key is needed for")[2].split()).partition(". The")[0])
    )
    assert opened == OPEN_PAGES | {operation.removeprefix("GET ") for operation in OPEN_OPERATIONS} | {"/openapi.json"}
    assert f"cached for {CACHE_SECONDS:.0f} seconds" in text
    assert f"after {int(DEFAULT_EXPIRY.removesuffix('d'))} days" in text
    assert all(f"| `{scope.value}` |" in text for scope in Scope)
    assert f"`WIDTHWISE_MAX_BODY_BYTES` (8 MiB), whole within {BODY_SECONDS:.0f} seconds" in text
    assert f"| {SMALL_BYTES >> 10} KiB |" in text
    assert f"in a body over {MAX_OUTLINE_BYTES >> 10} KiB | {MAX_OUTLINE_BYTES >> 10} KiB |" in text
    assert f"| {LARGE_BODIES_OF_ONE} of the largest of one owner, {LARGE_BODIES} of all |" in text
    named = set(re.findall(r"WIDTHWISE_[A-Z_]+", text)) - CLIENT_VARIABLES
    assert {name.removeprefix("WIDTHWISE_").removesuffix("_FILE").lower() for name in named} <= set(
        Settings.model_fields
    )
    assert all((ROOT / "tests" / "api" / name).exists() for name in re.findall(r"test_\w+\.py", text))
