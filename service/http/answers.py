"""Answers on their way: large ones in parts, as their clients read them, and no more than there is room for.

The server below keeps whatever it is sent until the client has read it. In parts, each is sent once the client has read
enough of those before, and what remains is known and can be bounded.
"""

import asyncio
from collections import Counter

from starlette.types import Message, Send

from service.errors import BusyError

PART = 1 << 16  # sent at once; answers up to this size are not counted (chosen): the server's own buffer for one
RETRY_SECONDS = 10  # after which a client without room should retry (chosen): unread answers are cut after thirty


class Answers:
    """The large answers that one process holds; each method is one step of the event loop, so no lock is needed."""

    def __init__(self, *, of_one: int, of_all: int) -> None:
        """of_one, of_all: bytes of unsent answers of one owner, and of all owners."""
        self.of_one = of_one
        self.of_all = of_all
        self.refused = 0
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._held.total()

    def take(self, owner: str, size: int) -> None:
        """Count an answer until `release`; BusyError (503) if there is no room. One at a time always has room."""
        of_one, of_all = self._held[owner], self.held
        if (of_one and of_one + size > self.of_one) or (of_all and of_all + size > self.of_all):
            self.refused += 1
            whose = "of yours " if of_one + size > self.of_one else ""
            raise BusyError(
                f"The service holds {of_one if whose else of_all} bytes of answers {whose}that were not read yet, and "
                f"this one has {size}; read those, or retry in {RETRY_SECONDS} seconds.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        self._held[owner] += size

    def release(self, owner: str, size: int) -> None:
        """Count an answer no longer."""
        self._held[owner] -= size
        if self._held[owner] <= 0:
            del self._held[owner]


async def send_in_parts(message: Message, send: Send) -> None:
    """Send a body as several messages, each once the server has room for it."""
    body = memoryview(message["body"])
    for start in range(0, len(body), PART):
        more = start + PART < len(body) or message.get("more_body", False)
        await send({"type": "http.response.body", "body": bytes(body[start : start + PART]), "more_body": more})
        await asyncio.sleep(0)  # others' turn, also if the client reads as fast as this writes
