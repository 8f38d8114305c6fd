"""Large bodies: validated by their outline first, bounded in memory, and each kind with a cap of its own."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from service.app import create_app
from service.http.middleware import LARGE_BODIES
from service.http.outlines import MAX_ITEM, MAX_OUTLINE, outline
from service.http.request_bodies import MAX_BYTES
from service.settings import Settings
from tests.api.client import Client, client_of, problem
from tests.api.samples import CONTRACT

TEXT = json.dumps(CONTRACT)
PLAIN = '{"name": "a},{[\\"", "base_shape": [2, 2], "target_shape": [4, 4], "role": "hidden"}'
LARGE = MAX_OUTLINE + 1


def with_tensors(*tensors: str, separator: str = ", ") -> bytes:
    """The contract's example with these tensors."""
    return f'{TEXT[:-1]}, "tensors": [{separator.join(tensors)}]}}'.encode()


@pytest.mark.parametrize("separator", [",", " ,\n  "])
def test_a_large_body_is_read_as_a_small_one(client: Client, separator: str) -> None:
    plain = [PLAIN.replace("a}", f"{n}}}") for n in range(LARGE // len(PLAIN) + 1)]
    body = with_tensors(*plain, separator=separator)
    answer = client.post_bytes("/v1/transfers", body)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["tensors"]) == len(plain)
    worse = with_tensors(*plain[:-1], PLAIN.replace("4, 4", '4, "4"'), separator=separator)
    found = problem(client.post_bytes("/v1/transfers", worse), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == f"#/tensors/{len(plain) - 1}/target_shape/1"
    nested = with_tensors(*plain, PLAIN.replace("4, 4", "{}"), separator=separator)
    found = problem(client.post_bytes("/v1/transfers", nested), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "#/tensors"
    no_comma = body.replace(b'"hidden"}' + separator.encode(), b'"hidden"} ', 1)
    for cut in (body[:-1], body[:-2], no_comma):
        problem(client.post_bytes("/v1/transfers", cut), 400, "malformed-json")


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"%d": 1' % n for n in range(20_000)) + b"}",
        b'{"base": {' + b",".join(b'"%d": 1' % n for n in range(20_000)) + b"}}",
        b"{" + b",".join(b'"%d": {}' % n for n in range(15_000)) + b"}",
        b'{"rules": [' + b",".join([b"1"] * LARGE) + b"]}",
        b'{"rules": [' + b",".join([b"[]"] * LARGE) + b"]}",
        b'{"tensors": [' + b",".join([b'""'] * LARGE) + b"]}",
        b"[" * LARGE,
        b"{" * LARGE,
        with_tensors(PLAIN, '{"name": "' + "x" * MAX_ITEM + '"}', *[PLAIN] * 1000),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_makes_a_body_large_is_a_list_of_plain_objects(client: Client, body: bytes) -> None:
    """Nothing else of that size is given to the validation, which would keep each fault with its value."""
    assert len(body) > MAX_OUTLINE
    problem(client.post_bytes("/v1/transfers", body), 413, "body-too-large")


@pytest.mark.parametrize("end", [b"", b'\\"' * 40_000])
def test_a_text_without_an_end_is_400(client: Client, end: bytes) -> None:
    body = b" " * LARGE + TEXT.encode()[:-1] + b', "form": "x' + end
    assert "no end" in problem(client.post_bytes("/v1/transfers", body), 400, "malformed-json")["detail"]


def test_a_million_faults_cost_little(settings: Settings) -> None:
    """Neither time nor memory: validating such a body takes ten seconds and a gigabyte."""
    unknown = b"{" + b",".join(b'"%d": 1' % n for n in range(1_300_000)) + b"}"
    empty = b'{"tensors": [' + b",".join([b"{}"] * 5_000_000) + b"]}"
    with client_of(create_app(settings.model_copy(update={"max_body_bytes": 1 << 24}))) as client:
        for body in (unknown, empty):
            tracemalloc.start()
            problem(client.post_bytes("/v1/transfers", body), 413, "body-too-large")
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most < 3 * len(body)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=40)


def is_plain(value: Any) -> bool:
    """Whether it is an object of scalars and lists of scalars, as tensors and trials are."""
    return isinstance(value, dict) and not any(
        isinstance(member, dict) or (isinstance(member, list) and any(isinstance(part, dict | list) for part in member))
        for member in value.values()
    )


def first_items(value: Any) -> Any:
    """The document without any plain object that follows another one."""
    if isinstance(value, dict):
        return {name: first_items(member) for name, member in value.items()}
    if isinstance(value, list):
        after = [False, *map(is_plain, value)]
        return [
            first_items(part) for part, follows in zip(value, after, strict=False) if not (follows and is_plain(part))
        ]
    return value


@given(document=DOCUMENTS | st.lists(st.dictionaries(st.text(), SCALARS)), indent=st.sampled_from([None, 0, 2]))
def test_the_outline_is_json_without_later_items(document: Any, indent: int | None) -> None:
    body = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    assert json.loads(outline(body)) == first_items(document)


async def answer(
    app: FastAPI, receive: Callable[[], Awaitable[Any]], length: int | None = None
) -> tuple[int, dict[bytes, bytes]]:
    """Send a transfer whose body comes from `receive`; return the answer's status and headers (0 if there was none)."""
    start: dict[str, Any] = {"status": 0, "headers": []}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    scope = {"type": "http", "method": "POST", "path": "/v1/transfers", "query_string": b"", "headers": headers}
    await app({**scope, "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}, receive, send)
    return start["status"], dict(start["headers"])


@pytest.mark.parametrize("declared", [True, False])
def test_unfinished_large_bodies_take_bounded_memory(settings: Settings, declared: bool) -> None:
    """One more than there is room for is refused; the room comes back when those before it end."""
    app = create_app(settings)
    part = 9 * settings.max_body_bytes // 10
    length = settings.max_body_bytes if declared else None
    left = asyncio.Event()

    def unfinished() -> Callable[[], Awaitable[Any]]:
        parts = iter([b" " * part])

        async def receive() -> Any:
            for body in parts:
                return {"type": "http.request", "body": body, "more_body": True}
            await left.wait()
            return {"type": "http.disconnect"}

        return receive

    async def whole() -> Any:
        return {"type": "http.request", "body": b" " * part + TEXT.encode(), "more_body": False}

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            held = [tasks.create_task(answer(app, unfinished(), length)) for _ in range(LARGE_BODIES)]
            for _ in held:
                await asyncio.sleep(0)  # each reads what has come of it, and waits
            status, headers = await answer(app, whole, length)
            assert (status, headers[b"retry-after"], headers[b"connection"]) == (503, b"5", b"close")
            small = json.dumps(CONTRACT).encode()

            async def receive() -> Any:
                return {"type": "http.request", "body": small, "more_body": False}

            assert (await answer(app, receive, len(small)))[0] == 200
            left.set()
        assert [task.result()[0] for task in held] == [0] * LARGE_BODIES
        for _ in range(2 * LARGE_BODIES):
            assert (await answer(app, whole, length))[0] == 200

    asyncio.run(run())


@pytest.mark.parametrize("declared", [True, False])
def test_each_kind_of_body_has_a_cap_of_its_own(client: Client, declared: bool) -> None:
    """One that holds no long list is refused before it is read in whole."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 10_000

    headers = {"Content-Type": "application/json"}
    body = b" " * (MAX_BYTES + 1) if declared else chunks()
    found = problem(client.request("POST", "/v1/calibrations", content=body, headers=headers), 413, "body-too-large")
    assert str(MAX_BYTES) in found["detail"]
