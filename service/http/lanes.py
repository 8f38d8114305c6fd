"""A lane for heavy requests: a few run at once, in threads that no light request needs; owners take turns.

request ─ a place is free, and its owner has fewer than `of_one` ─────────────── runs
        └ else it waits for its owner's turn, at most `patience_seconds`; then 429
"""

from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from service.errors import TooManyRequestsError

T = TypeVar("T")

IN_ALL = 3  # per process (chosen): they share one interpreter with every light request
OF_ONE = 1  # of an owner (chosen): two at once would take as long as one after the other
PATIENCE_SECONDS = 10.0  # chosen: a page's two pictures take turns; a client gives up after a minute
RETRY_SECONDS = 5  # chosen: most heavy requests take less


@dataclass(slots=True)
class _Waiting:
    """A request that waits for a place."""

    admitted: bool = False
    called: anyio.Event = field(default_factory=anyio.Event)


class Lane:
    """The places of one process; each step is one of the event loop, so no lock is needed."""

    def __init__(
        self, *, in_all: int = IN_ALL, of_one: int = OF_ONE, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """in_all, of_one: how many run at once, of everyone and of one owner. patience_seconds: how long one waits."""
        self.in_all = in_all
        self.of_one = of_one
        self.patience_seconds = patience_seconds
        self.refused = 0
        self._running: Counter[str] = Counter()
        #: by owner, in the order of their turns
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._threads = CapacityLimiter(in_all)

    @property
    def running(self) -> int:
        """How many run now."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return sum(map(len, self._waiting.values()))

    async def run(self, owner: str, work: Callable[[], T]) -> T:
        """Return what `work` returns, from a thread of the lane; TooManyRequestsError (429) if its turn never came."""
        async with self.place(owner):
            return await self.in_thread(work)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, from a thread of the lane, to who holds a place."""
        return await to_thread.run_sync(work, limiter=self._threads)

    @asynccontextmanager
    async def place(self, owner: str) -> AsyncIterator[None]:
        """Hold a place; TooManyRequestsError (429) if none became free in time."""
        await self._enter(owner)
        try:
            yield
        finally:
            self._leave(owner)

    async def _enter(self, owner: str) -> None:
        waiting = _Waiting()
        self._waiting.setdefault(owner, deque()).append(waiting)
        self._call_next()
        try:
            with anyio.move_on_after(self.patience_seconds):
                if not waiting.admitted:
                    await waiting.called.wait()
        except BaseException:
            if waiting.admitted:  # called and cancelled in the same step
                self._leave(owner)
            raise
        finally:
            if not waiting.admitted:
                self._forget(owner, waiting)
        if not waiting.admitted:
            self.refused += 1
            raise TooManyRequestsError(
                f"{self.running} heavy requests are in progress and this one's turn did not come within "
                f"{self.patience_seconds:g} s; an owner may have {self.of_one} at once, and the service {self.in_all}: "
                f"try again in {RETRY_SECONDS} s.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )

    def _leave(self, owner: str) -> None:
        self._running[owner] -= 1
        if not self._running[owner]:
            del self._running[owner]
        self._call_next()

    def _call_next(self) -> None:
        """Admit whoever's turn it is, while places are free."""
        while self.running < self.in_all:
            owner = next((one for one in self._waiting if self._running[one] < self.of_one), None)
            if owner is None:
                return
            first = self._waiting[owner].popleft()
            if self._waiting[owner]:
                self._waiting.move_to_end(owner)
            else:
                del self._waiting[owner]
            self._running[owner] += 1
            first.admitted = True
            first.called.set()

    def _forget(self, owner: str, waiting: _Waiting) -> None:
        self._waiting[owner].remove(waiting)
        if not self._waiting[owner]:
            del self._waiting[owner]


@dataclass(frozen=True, slots=True)
class HeavyWork:
    """The lane of the process, for one request."""

    request: Request

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, once it is the turn of the request's owner; TooManyRequestsError (429) else."""
        lane: Lane = self.request.app.state.lane
        # the owner is read now: the dependency that admits the request may be resolved after this one
        return await lane.run(sender_of(self.request), work)


#: For a route that reads thousands of rows or fits.
Heavy = Annotated[HeavyWork, Depends(HeavyWork)]


def sender_of(request: Request) -> str:
    """Return whose request it is: the owner of its key; without keys, the address.

    The two can't be confused: an owner's name has no space.
    """
    caller = getattr(request.state, "caller", None)
    client = request.client
    return caller.owner if caller is not None else f"address {client.host if client else None}"
