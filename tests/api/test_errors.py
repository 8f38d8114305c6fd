"""Every bad input is a clear 4xx in the form of RFC 9457, and a mistake of ours says nothing."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from html import escape
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.app import create_app
from service.errors import ALL_ERRORS, ApiError
from service.settings import Settings, load_settings
from service.store import open_store
from testbed.databases import SqliteFiles
from tests.api.client import Client, client_of, problem
from tests.api.samples import CONTRACT, changed, submit

TEXT = json.dumps(CONTRACT)


@pytest.fixture(scope="module")
def settings(sqlite_files: SqliteFiles) -> Settings:
    """One database for all: what is refused leaves no trace."""
    return load_settings(database_url=sqlite_files.new_migrated(), max_body_bytes=200_000)


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[Client]:
    """One client of one application."""
    store = open_store(settings.database_url)
    with client_of(create_app(settings, store)) as client:
        yield client
    store.close()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "EOF"),
        (b"not json", "line 1"),
        (b'{"a": 1,}', "trailing comma"),
        (b"\xff\xfe", "line 1"),
        (b"\xef\xbb\xbf{}", "line 1"),
        (TEXT.encode("utf-16"), "line 1"),
        (b"[" * 30_000 + b"]" * 30_000, "recursion"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "recursion"),
        (b'{"parameterization": "\\ud800"}', "escape"),
        (TEXT.replace("256", "9" * 6000).encode(), "out of range"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_not_json_is_400(client: Client, body: bytes, word: str) -> None:
    found = problem(client.post_bytes("/v1/transfers", body), 400, "malformed-json")
    assert word in found["detail"]


@pytest.mark.parametrize(
    ("text", "pointer", "word"),
    [
        (TEXT.replace("0.003", "NaN"), "#/base/learning_rate", "finite"),
        (TEXT.replace("0.003", "Infinity"), "#/base/learning_rate", "finite"),
        (TEXT.replace("0.003", "-Infinity"), "#/base/learning_rate", "finite"),
        (TEXT.replace("0.003", "1e999"), "#/base/learning_rate", "finite"),
        (TEXT.replace("0.003", "-1e999"), "#/base/learning_rate", "finite"),
        (TEXT.replace("0.003", "1" * 400), "#/base/learning_rate", ""),
        (TEXT.replace("256", "1" * 400), "#/base/width", "from 1 to"),
        (TEXT.replace("256", "NaN"), "#/base/width", "integer"),
        (TEXT.replace("0.003", '"0.003"'), "#/base/learning_rate", "number"),
        (TEXT.replace("0.003", "true"), "#/base/learning_rate", "number"),
        (TEXT.replace("256", "true"), "#/base/width", "integer"),
        (TEXT.replace("256", "256.5"), "#/base/width", "integer"),
        (TEXT.replace("0.003", '{"hidden": NaN}'), "#/base/learning_rate/hidden", "finite"),
        ("[]", "#", "object"),
        ("null", "#", "object"),
        ('"text"', "#", "object"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_numbers_that_are_none(client: Client, text: str, pointer: str, word: str) -> None:
    found = problem(client.post_bytes("/v1/transfers", text.encode()), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == pointer
    assert word in found["errors"][0]["message"]
    assert "NaN" not in json.dumps(found)


TENSOR = {"name": "w", "base_shape": [2, 2], "target_shape": [4, 4]}


@pytest.mark.parametrize(
    ("path", "value", "pointer", "word"),
    [
        ("base.width", -256, "#/base/width", "from 1 to"),
        ("base.width", 0, "#/base/width", "from 1 to"),
        ("base.learning_rate", 0, "#/base/learning_rate", "greater than 0"),
        ("base.learning_rate", -0.1, "#/base/learning_rate", "greater than 0"),
        ("base.learning_rate", {}, "#/base/learning_rate", "at least 1"),
        ("base.learning_rate", {"hiden": 0.1}, "#/base/learning_rate/hiden", "'hidden'"),
        ("base.epsilon", -1e-8, "#/base/epsilon", "greater than or equal to 0"),
        ("parameterization", "sp", "#/parameterization", "'standard'"),
        ("optimizer", "sophia", "#/optimizer", "'adam'"),
        ("optimizer", "adamw_torch", "#/optimizer", "whose update scales as that of AdamW; give 'adamw'"),
        ("optimizer", 3, "#/optimizer", "'adam'"),
        ("alignment", "half", "#/alignment", "'full'"),
        ("alignment", {"hidden": {"alpha": 2, "omega": 0.5, "u": 1}}, "#/alignment/hidden/alpha", "less than"),
        ("form", "table_1", "#/form", "'table_9'"),
        ("layout", "in-out", "#/layout", "'in_out'"),
        ("weight_decay_mode", "l2", "#/weight_decay_mode", "'coupled'"),
        ("exponents", {"source": "guess"}, "#/exponents", "'theory'"),
        ("exponents", {"source": "calibration"}, "#/exponents/id", "required"),
        ("exponents", {"source": "calibration", "id": "a\0b"}, "#/exponents/id", "pattern"),
        ("rules", {"width": "mup"}, "#/rules/width", "no field"),
        ("rules", {"depth": 1}, "#/rules/depth", "a rule's word"),
        ("base.beta2", 1.0, "#/base/beta2", "less than 1"),
        ("warmup", 10, "#/warmup", "no field"),
        ("base.lr", 0.1, "#/base/lr", "no field"),
        ("tensors", [{**TENSOR, "base_shape": [0, 2]}], "#/tensors/0/base_shape/0", "from 1 to"),
        ("tensors", [{**TENSOR, "base_shape": [1] * 9}], "#/tensors/0/base_shape", "at most 8"),
        ("tensors", [{**TENSOR, "name": "a\0b"}], "#/tensors/0/name", "pattern"),
        ("tensors", [{**TENSOR, "tied_to": "a\nb"}], "#/tensors/0/tied_to", "pattern"),
        ("tensors", [{**TENSOR, "name": ""}], "#/tensors/0/name", "at least 1"),
        ("tensors", [TENSOR, {**TENSOR, "role": "output"}], "#/tensors/1/role", "'readout'"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_values_outside_the_contract(client: Client, path: str, value: Any, pointer: str, word: str) -> None:
    found = problem(client.post("/v1/transfers", json=changed(path, value)), 422, "invalid-request")
    assert [error["pointer"] for error in found["errors"]][:1] == [pointer]
    assert word in found["errors"][0]["message"]


def test_small_values_are_quoted_and_large_ones_not(client: Client) -> None:
    small = problem(client.post("/v1/transfers", json=changed("optimizer", "sophia")), 422, "invalid-request")
    assert small["errors"][0]["value"] == "sophia"
    assert "sophia" in small["detail"]
    large = problem(client.post("/v1/transfers", json=changed("optimizer", "x" * 9000)), 422, "invalid-request")
    assert "value" not in large["errors"][0]
    assert len(json.dumps(large)) < 1000


def test_many_faults_are_counted_and_cut(client: Client) -> None:
    unknown = {f"unknown_{k}": 1 for k in range(700)}
    found = problem(client.post("/v1/transfers", json=CONTRACT | unknown), 422, "invalid-request")
    assert len(found["errors"]) == 100
    assert "and 699 more" in found["detail"]


def test_what_only_the_library_can_refuse(client: Client) -> None:
    found = problem(client.post("/v1/transfers", json=changed("form", "table_8")), 422, "invalid-input")
    assert found["errors"][0]["field"] == "form"
    assert "leave form out" in found["detail"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "", None, "application/jsonx"]
)
def test_other_content_types_are_415(client: Client, content_type: str | None) -> None:
    response = client.post_bytes("/v1/transfers", TEXT.encode(), content_type)
    found = problem(response, 415, "unsupported-media-type")
    assert "application/json" in found["detail"]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"]
)
def test_json_content_types(client: Client, content_type: str) -> None:
    assert client.post_bytes("/v1/transfers", TEXT.encode(), content_type).status_code == 200


def test_a_body_over_the_cap_is_413(client: Client) -> None:
    found = problem(client.post_bytes("/v1/transfers", b" " * 200_001), 413, "body-too-large")
    assert "200000" in found["detail"]
    assert client.post_bytes("/v1/transfers", b" " * (200_000 - len(TEXT)) + TEXT.encode()).status_code == 200


def test_a_body_without_length_is_counted(client: Client) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    for path in ("/v1/transfers", "/v1/calibrations"):
        problem(client.request("POST", path, content=chunks(), headers=headers), 413, "body-too-large")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1/transfers/",
        "/v1",
        "/v1/calibrations/cal_none",
        "/v1/calibrations/a%00b",
        "/v1/calibrations/%ff",
    ],
)
def test_unknown_addresses_are_404(client: Client, path: str) -> None:
    problem(client.get(path), 404, "not-found")


@pytest.mark.parametrize("identifier", ["cal_none", "a b", "%00", "%ED%A0%80", "x" * 65, "..%2F..", "'--"])
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("GET", "/trials"),
        ("GET", "/events"),
        ("GET", "/plot.svg"),
        ("GET", "/widths.svg"),
        ("GET", "/widths.pdf"),
        ("GET", "/fit"),
        ("POST", "/cancel"),
        ("POST", "/finish"),
    ],
)
def test_identifiers_that_name_nothing_are_404(client: Client, identifier: str, method: str, rest: str) -> None:
    problem(client.request(method, f"/v1/calibrations/{identifier}{rest}"), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/transfers", "POST"),
        ("DELETE", "/v1/calibrations", "GET, POST"),
        ("PUT", "/v1/calibrations/cal_1/trials", "GET, POST"),
        ("OPTIONS", "/v1/calibrations", "GET, POST"),
        ("POST", "/livez", "GET"),
        ("BREW", "/v1/exponents", "GET"),
        ("POST", "/docs", "GET"),
    ],
)
def test_other_methods_are_405_with_allow(client: Client, method: str, path: str, allow: str) -> None:
    response = client.request(method, path)
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == allow


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/calibrations?limit=0", "query.limit"),
        ("/v1/calibrations?limit=501", "query.limit"),
        ("/v1/calibrations?limit=many", "query.limit"),
        ("/v1/calibrations?state=done", "query.state"),
        ("/v1/calibrations?colour=red", "query.colour"),
        ("/v1/calibrations?cursor=a%00b", "query.cursor"),
        ("/v1/calibrations?cursor=" + "a" * 600, "query.cursor"),
        ("/v1/exponents?optimizer=sophia", "query.optimizer"),
        ("/v1/exponents?dataset=%00", "query.dataset"),
        ("/v1/exponents?role=output", "query.role"),
        ("/v1/exponents?calibration_id=a%00b", "query.calibration_id"),
        ("/v1/parameterizations?readout_omega=NaN", "query.readout_omega"),
        ("/v1/parameterizations?readout_omega=2", "query.readout_omega"),
        ("/v1/parameterizations?form=table_1", "query.form"),
    ],
)
def test_bad_queries_are_422_and_name_the_parameter(client: Client, path: str, field: str) -> None:
    found = problem(client.get(path), 422, "invalid-request")
    assert found["errors"][0]["field"] == field


@pytest.mark.parametrize("path", ["/v1/calibrations", "/v1/exponents"])
def test_a_cursor_made_elsewhere_is_422(client: Client, path: str) -> None:
    found = problem(client.get(path, params={"cursor": "bm90aGluZw"}), 422, "invalid-input")
    assert found["errors"][0]["field"] == "cursor"


def test_a_header_that_is_none_is_422(client: Client) -> None:
    identifier = submit(client)
    response = client.get(f"/v1/calibrations/{identifier}/events", headers={"Last-Event-ID": "latest"})
    assert problem(response, 422, "invalid-request")["errors"][0]["field"] == "header.last-event-id"


def test_a_mistake_of_ours_is_500_and_says_nothing(settings: Settings) -> None:
    app = create_app(settings)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("the password is swordfish")

    with client_of(app) as client, capture_logs() as logged:
        response = client.get("/broken")
    assert "swordfish" in str(next(line for line in logged if line["event"] == "request_crashed")["exc_info"])
    assert response.headers["x-request-id"] == logged[-1]["request_id"] != ""
    problem(response, 500, "unexpected")
    assert "swordfish" not in response.text
    assert "ValueError" not in response.text


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda kind: kind.slug)
def test_every_type_has_a_page(client: Client, kind: type[ApiError]) -> None:
    response = client.get(f"/problems/{kind.slug}")
    assert response.status_code == 200
    assert escape(kind.title) in response.text


def test_every_error_is_listed() -> None:
    def below(kind: type[ApiError]) -> set[type[ApiError]]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert below(ApiError) - {ApiError} == set(ALL_ERRORS)
    assert len({kind.slug for kind in ALL_ERRORS}) == len(ALL_ERRORS)


@pytest.mark.parametrize(
    ("sent", "echoed"), [("run-7.a_B", True), ("two words", False), ("x" * 65, False), ("", False)]
)
def test_request_ids(client: Client, sent: str, echoed: bool) -> None:
    for path in ("/livez", "/nothing"):
        received = client.get(path, headers={"X-Request-Id": sent}).headers["x-request-id"]
        assert (received == sent) is echoed
        assert received


@pytest.mark.parametrize(
    "key",
    [
        ["0001-01-01T00:00:00+14:00", "x"],  # before year 1 in UTC
        ["9999-12-31T23:59:59-14:00", "x"],
        ["2026-01-01T00:00:00+00:00", "\ud800"],  # no text at all
    ],
)
def test_a_forged_cursor_is_422(client: Client, key: list[str]) -> None:
    cursor = urlsafe_b64encode(json.dumps([1, "calibrations", *key]).encode()).decode().rstrip("=")
    problem(client.get("/v1/calibrations", params={"cursor": cursor}), 422, "invalid-input")


def test_a_body_full_of_faults_is_refused_without_listing_them(client: Client) -> None:
    unknown = ",".join(f'"{k}": 1' for k in range(5_000))
    found = problem(client.post_bytes("/v1/transfers", f"{{{unknown}}}".encode()), 422, "invalid-request")
    assert "500" in found["detail"]
    assert "too many to list" in found["detail"]
    many = client.post_bytes("/v1/transfers", b'{"tensors": [' + b",".join([b"{}"] * 5_000) + b"]}")
    pointers = {fault["pointer"] for fault in problem(many, 422, "invalid-request")["errors"]}
    assert "#/tensors/0/name" in pointers
    assert not any(pointer.startswith("#/tensors/1/") for pointer in pointers)  # the first one tells
