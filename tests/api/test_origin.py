"""A service without keys is changed by programs and its own pages alone, and on loopback goes by its own name."""

import asyncio

import httpx
import pytest

from service.app import create_app
from service.settings import Settings, load_settings
from service.store import Store

BODY = {
    "parameterization": "mup",
    "optimizer": "adam",
    "base": {"width": 64, "learning_rate": 0.01},
    "target": {"width": 128},
}


async def ask(settings: Settings, store: Store, method: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=create_app(settings, store))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        path, body = ("/v1/calibrations", None) if method == "GET" else ("/v1/transfers", BODY)
        return await client.request(method, path, json=body, headers=headers)


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Host": "evil.example"}, 403),
        ("POST", {"Host": "evil.example:8000"}, 403),
        ("GET", {"Host": "[::1"}, 403),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:8888"}, 403),  # another program's page, such as a notebook's
        ("POST", {"Origin": "http://127.0.0.1"}, 403),
        ("POST", {"Origin": "http://localhost:8000"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:99999"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:8888", "Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Origin": "http://127.0.0.1:8000"}, 200),
        ("POST", {"Origin": "http://127.0.0.1", "Host": "127.0.0.1:80"}, 200),
        ("GET", {"Host": "localhost:8000"}, 200),
        ("GET", {"Host": "[::1]:8000"}, 200),
        ("GET", {"Origin": "http://evil.example"}, 200),  # its page can't read the answer
        ("POST", {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"}, 200),
        ("POST", {}, 200),
    ],
)
def test_callers(settings: Settings, store: Store, method: str, headers: dict[str, str], status: int) -> None:
    answer = asyncio.run(ask(settings, store, method, **headers))
    assert answer.status_code == status
    if status == 403:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/foreign-origin"
        assert "x-request-id" in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {}, 200),
        ("GET", {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, 200),
        ("POST", {}, 200),  # a program
        ("POST", {"Origin": "https://widthwise.example"}, 200),
        ("POST", {"Origin": "https://WIDTHWISE.example:8443", "Sec-Fetch-Site": "same-origin"}, 200),
        ("POST", {"Origin": "https://widthwise.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", {"Origin": "https://widthwise.example:8443"}, 403),
        ("POST", {"Origin": "https://widthwise.example:443", "Host": "WIDTHWISE.example"}, 200),
        ("POST", {"Origin": "https://widthwise.example:8443", "Host": "widthwise.example:8443"}, 200),
        ("POST", {"Origin": "ftp://widthwise.example"}, 403),
        ("POST", {"Origin": "https://evil.widthwise.example", "Sec-Fetch-Site": "same-site"}, 403),
        ("POST", {"Origin": "http://evil.example"}, 403),
        ("POST", {"Origin": "http://[evil"}, 403),
        ("POST", {"Origin": "null"}, 403),
        ("POST", {"Origin": "null", "Host": "[none"}, 403),
        # behind a proxy that puts the service's own address into the Host header
        ("POST", {"Origin": "https://widthwise.example", "Sec-Fetch-Site": "same-origin", "Host": "127.0.0.1"}, 200),
        ("POST", {"Origin": "http://widthwise.example", "Host": "127.0.0.1"}, 403),
    ],
)
def test_a_service_opened_on_purpose_answers_under_any_name_and_no_foreign_page(
    settings: Settings, store: Store, *, host: str, method: str, headers: dict[str, str], status: int
) -> None:
    opened = load_settings(database_url=settings.database_url, host=host, allow_unauthenticated=True)
    answer = asyncio.run(ask(opened, store, method, **{"Host": "widthwise.example", **headers}))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["type"] == "/problems/foreign-origin"
