"""How often a key may call and an address may be wrong: counted in Redis for all processes, else in this one.

Redis is a help and never a hindrance: where it does not answer at once, requests pass uncounted for a while, and how
many did is told (`Limits.unchecked`).
"""

import math
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import structlog
from anyio import CapacityLimiter, move_on_after, to_thread

from service.auth.windows import WINDOW_SECONDS, Windows, seconds_until_allowed
from widthwise.errors import InvalidInputError

SOCKET_SECONDS = 0.2  # for Redis to connect and to answer (chosen): it takes 1 ms where all is well
PATIENCE_SECONDS = 0.25  # of a request, whatever holds Redis up, a name server that hangs included (chosen)
PAUSE_SECONDS = 5.0  # after a failure Redis is not asked (chosen): a dead one holds up a request in so many seconds
THREADS = 8  # that wait for Redis at once (chosen): never all of those that routes run in

_log = structlog.get_logger(__name__)


class Counted(StrEnum):
    """Whose requests are counted."""

    KEY = "key"  #: by its id
    ADDRESS = "address"  #: by `guard`'s name of a network, for requests with a wrong key


class Counting(Protocol):
    """Something that counts requests of the last minute by name, and may fail."""

    def take(self, name: str, limit: int) -> float:
        """Count one request if `limit` a minute allow it and give 0, else give the seconds until they do."""
        ...

    def wait(self, name: str, limit: int) -> float:
        """Return the seconds until one more request is allowed, counting none."""
        ...


class Limits:
    """Limits of a minute by name, in memory or shared."""

    def __init__(
        self,
        shared: Counting | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """shared: what counts for every process, waited for as long as patience_seconds; else this one counts."""
        self.unchecked = 0  #: requests that passed uncounted because Redis did not answer
        self._shared = shared
        self._patience_seconds = patience_seconds
        self._clock = clock
        # apart, so that whoever has many addresses can't push a key's count out
        self._memory = {kind: Windows(clock) for kind in Counted}
        self._threads: CapacityLimiter | None = None  # belongs to an event loop, so it is made in one
        self._asked_again_at = -math.inf

    async def take(self, kind: Counted, name: str, limit: int) -> float:
        """Count one request and give 0, or give the seconds to wait; without Redis no other request runs meanwhile."""
        if self._shared is None:
            return self._memory[kind].take(name, limit)
        return await self._ask(self._shared.take, f"{kind}:{name}", limit)

    async def wait(self, kind: Counted, name: str, limit: int) -> float:
        """Return the seconds until one more is allowed, counting none."""
        if self._shared is None:
            return self._memory[kind].wait(name, limit)
        return await self._ask(self._shared.wait, f"{kind}:{name}", limit)

    async def _ask(self, question: Callable[[str, int], float], name: str, limit: int) -> float:
        if self._clock() >= self._asked_again_at:
            self._threads = self._threads or CapacityLimiter(THREADS)
            with move_on_after(self._patience_seconds):
                return await to_thread.run_sync(
                    self._guarded, question, name, limit, limiter=self._threads, abandon_on_cancel=True
                )
            self._pause("no answer in time")
        self.unchecked += 1
        return 0.0

    def _guarded(self, question: Callable[[str, int], float], name: str, limit: int) -> float:
        """Ask, in a thread: allowed where that fails."""
        if self._clock() >= self._asked_again_at:  # it may have failed while this one waited for its thread
            try:
                return question(name, limit)
            except Exception as error:  # noqa: BLE001  whatever is wrong with Redis or its client, requests pass
                self._pause(type(error).__name__)  # its text may name the address
        self.unchecked += 1
        return 0.0

    def _pause(self, why: str) -> None:
        if self._clock() >= self._asked_again_at:
            _log.warning("rate_limits_unchecked", why=why, pause_seconds=PAUSE_SECONDS)
        self._asked_again_at = self._clock() + PAUSE_SECONDS


class RedisWindows:
    """Sliding windows in Redis, of the `limits` library: one script of one round trip for a request."""

    def __init__(self, url: str, *, socket_seconds: float = SOCKET_SECONDS) -> None:
        """url: redis:// or rediss://; nothing is sent yet. socket_seconds: to connect, and for one answer.

        Raises InvalidInputError without Redis's client.
        """
        try:
            from limits.storage import RedisStorage
            from limits.strategies import SlidingWindowCounterRateLimiter
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise InvalidInputError(
                "WIDTHWISE_REDIS_URL is set, but Redis's client is missing; install widthwise-server[broker], "
                "or unset it.",
                field="WIDTHWISE_REDIS_URL",
            ) from None

        self._storage = RedisStorage(
            url,
            key_prefix="widthwise-limits",
            socket_timeout=socket_seconds,
            socket_connect_timeout=socket_seconds,
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # handed on to redis-py, which tries thrice else
        )
        self._strategy = SlidingWindowCounterRateLimiter(self._storage)

    def take(self, name: str, limit: int) -> float:
        """Count one request if allowed and give 0, else the seconds until one is."""
        from limits import RateLimitItemPerMinute

        if self._strategy.hit(RateLimitItemPerMinute(limit), name):
            return 0.0
        return self.wait(name, limit) or 1.0  # another request's count has just run out: soon

    def wait(self, name: str, limit: int) -> float:
        """Return the seconds until one more request is allowed, counting none."""
        from limits import RateLimitItemPerMinute

        item = RateLimitItemPerMinute(limit)
        previous, previous_ttl, current, current_ttl = self._storage.get_sliding_window(
            item.key_for(name), item.get_expiry()
        )
        # a count lives for the window after its own too
        return seconds_until_allowed(previous, previous_ttl, current, max(current_ttl - WINDOW_SECONDS, 0.0), limit)
