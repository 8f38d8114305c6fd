"""Rate limits of keys, and of wrong keys per address: counted in Redis across processes, or else in this process.

A failing Redis never blocks requests: if it does not answer promptly, requests pass uncounted for a while, and
`Limits.unchecked` counts them.
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

SOCKET_SECONDS = 0.2  # to connect to Redis, and for its answer (chosen): usually 1 ms
PATIENCE_SECONDS = 0.25  # that a request waits for Redis (chosen), even if resolving its name hangs
PAUSE_SECONDS = 5.0  # without Redis after a failure (chosen): a dead one delays one request in this time
THREADS = 8  # that may wait for Redis at once (chosen): fewer than routes run in

_log = structlog.get_logger(__name__)


class Counted(StrEnum):
    """Whose requests are counted."""

    KEY = "key"  #: by its id
    ADDRESS = "address"  #: by `guard`'s name of a network, for requests with a wrong key


class Counting(Protocol):
    """Counts the last minute's requests by name; may fail."""

    def take(self, name: str, limit: int) -> float:
        """Count one request and return 0 if `limit` per minute allows it, else return the seconds until it would."""
        ...

    def wait(self, name: str, limit: int) -> float:
        """Return the seconds until another request is allowed, without counting one."""
        ...


class Limits:
    """Per-minute limits by name, in memory or shared."""

    def __init__(
        self,
        shared: Counting | None = None,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """shared: counts across processes, waited for up to patience_seconds; without it this process counts alone."""
        self.unchecked = 0  #: requests that passed uncounted because Redis did not answer
        self._shared = shared
        self._patience_seconds = patience_seconds
        self._clock = clock
        # separate, so that a client with many addresses can't evict a key's count
        self._memory = {kind: Windows(clock) for kind in Counted}
        self._threads: CapacityLimiter | None = None  # bound to an event loop, so it is created inside one
        self._asked_again_at = -math.inf

    async def take(self, kind: Counted, name: str, limit: int) -> float:
        """Count one request and return 0, or return the seconds to wait; atomic without Redis."""
        if self._shared is None:
            return self._memory[kind].take(name, limit)
        return await self._ask(self._shared.take, f"{kind}:{name}", limit)

    async def wait(self, kind: Counted, name: str, limit: int) -> float:
        """Return the seconds until another request is allowed, without counting one."""
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
        """Ask Redis in a thread; allow the request if that fails."""
        if self._clock() >= self._asked_again_at:  # it may have failed while this request waited for a thread
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
    """Sliding windows in Redis by the `limits` library: one script and one round trip per request."""

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
            retry=Retry(NoBackoff(), 0),  # type: ignore[arg-type]  # passed to redis-py, which otherwise tries three times
        )
        self._strategy = SlidingWindowCounterRateLimiter(self._storage)

    def take(self, name: str, limit: int) -> float:
        """Count one request and return 0 if it is allowed, else return the seconds until it would be."""
        from limits import RateLimitItemPerMinute

        if self._strategy.hit(RateLimitItemPerMinute(limit), name):
            return 0.0
        return self.wait(name, limit) or 1.0  # another request's count has just expired: soon

    def wait(self, name: str, limit: int) -> float:
        """Return the seconds until another request is allowed, without counting one."""
        from limits import RateLimitItemPerMinute

        item = RateLimitItemPerMinute(limit)
        previous, previous_ttl, current, current_ttl = self._storage.get_sliding_window(
            item.key_for(name), item.get_expiry()
        )
        # a count also lives through the window after its own
        return seconds_until_allowed(previous, previous_ttl, current, max(current_ttl - WINDOW_SECONDS, 0.0), limit)
