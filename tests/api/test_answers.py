"""Large answers: sent in parts as they are read, and refused where too many bytes of others are unread."""

import asyncio
import json
from typing import Any

from fastapi import FastAPI

from service.app import create_app
from service.http.answers import PART
from service.settings import Settings
from service.store import Store
from service.transfers.packed import Packed, answered
from tests.api.keyed import bearer, keyed_app, new_key
from tests.api.samples import CONTRACT

TENSORS = [{"name": f"t{n}", "role": "hidden", "base_shape": [64, 64], "target_shape": [128, 128]} for n in range(500)]
BODY = json.dumps({**CONTRACT, "tensors": TENSORS}).encode()
FOUND = answered(BODY, lambda _: None)
assert isinstance(FOUND, Packed)
ANSWER = FOUND.length  # bytes of it, some 420,000
ROOM = {"unsent_bytes_per_owner": 2 * ANSWER, "unsent_bytes": 4 * ANSWER}


class Reader:
    """A client that takes the beginning of an answer, and the rest once it is told to read."""

    def __init__(self, app: FastAPI, address: str = "192.0.2.1", token: Any = None, body: bytes = BODY) -> None:
        self.status, self.received, self.parts = 0, 0, 0
        self.headers: dict[bytes, bytes] = {}
        self.reads = asyncio.Event()
        self._waits = asyncio.Event()
        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
        headers += [(name.lower().encode(), value.encode()) for name, value in bearer(token).items()]
        scope = {"type": "http", "method": "POST", "path": "/v1/transfers", "query_string": b"", "headers": headers}
        scope |= {"client": (address, 1), "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
        self._body = body
        self._task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        elif self.parts == 1:
            self._waits.set()
            await self.reads.wait()
        self.parts += message["type"] == "http.response.body"
        self.received += len(message.get("body", b""))

    async def begun(self) -> int:
        """Return the status, once the answer waits to be read or is complete."""
        waits = asyncio.ensure_future(self._waits.wait())
        await asyncio.wait([self._task, waits], return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        return self.status

    async def ended(self) -> int:
        """Read everything and return the status."""
        self.reads.set()
        await self._task
        return self.status


def test_an_answer_is_sent_in_parts_as_it_is_read(settings: Settings) -> None:
    app = create_app(settings)

    async def run() -> None:
        reader = Reader(app)
        assert await reader.begun() == 200
        assert (reader.parts, reader.received) == (1, PART)
        assert app.state.answers.held == ANSWER == int(reader.headers[b"content-length"])
        await reader.ended()
        assert (reader.parts, reader.received) == (-(-ANSWER // PART), ANSWER)
        assert app.state.answers.held == 0

    asyncio.run(run())


def test_one_owner_can_leave_only_so_much_unread(settings: Settings, store: Store) -> None:
    """Another owner gets its answers, until all of them leave too much; room comes back when something was read."""
    app = keyed_app(settings, store, **ROOM)
    alices = [new_key(store, "alice") for _ in range(3)]
    others = [new_key(store, name) for name in ("bob", "carol", "dave")]

    async def run() -> None:
        unread = [Reader(app, token=token) for token in alices[:2]]
        assert [await one.begun() for one in unread] == [200, 200]
        refused = Reader(app, token=alices[2])
        assert await refused.ended() == 503
        assert refused.headers[b"retry-after"] == b"10"
        assert await Reader(app, token=alices[2], body=json.dumps(CONTRACT).encode()).ended() == 200  # a small one
        unread += [Reader(app, token=token) for token in others[:2]]
        assert [await one.begun() for one in unread[2:]] == [200, 200]
        assert await Reader(app, token=others[2]).ended() == 503  # all of the room is taken
        assert app.state.answers.refused == 2
        for one in unread:
            assert await one.ended() == 200
            assert one.received == ANSWER
        assert await Reader(app, token=alices[2]).ended() == 200
        assert app.state.answers.held == 0

    asyncio.run(run())


def test_a_larger_answer_than_all_room_is_sent_alone(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"unsent_bytes_per_owner": PART, "unsent_bytes": PART}))

    async def run() -> None:
        first = Reader(app)
        assert await first.begun() == 200
        assert await Reader(app).ended() == 503
        assert await first.ended() == 200

    asyncio.run(run())
