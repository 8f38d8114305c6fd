"""Whether the broker answers: checked in at most a second, and at most once a second."""

import threading
import time
from typing import Literal

from service.settings import Settings

PATIENCE_SECONDS = 0.8  # chosen: /readyz answers within a second, and a healthy broker within milliseconds
SOCKET_SECONDS = 0.4  # to connect, and for one answer (chosen)
KEPT_SECONDS = 1.0  # an answer is reused for this long (chosen), so a burst of probes asks once

BrokerState = Literal["ok", "unreachable"]


class BrokerProbe:
    """Checks the settings' broker; one per process, safe to share between threads.

    A separate thread asks, since a DNS lookup can't be bounded in any other way; while it hangs no second one is
    started.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._state: BrokerState = "unreachable"
        self._known_until = 0.0  #: on the monotonic clock

    def state(self) -> BrokerState | None:
        """Return `ok` or `unreachable`, or None if the settings name no broker."""
        if self._url is None:
            return None
        with self._lock:
            if time.monotonic() < self._known_until:
                return self._state
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._ask, args=(self._url,), daemon=True, name="broker-probe")
                self._asking.start()
            asking = self._asking
        asking.join(PATIENCE_SECONDS)
        with self._lock:
            if asking.is_alive():
                self._keep("unreachable")
            return self._state

    def _ask(self, url: str) -> None:
        state: BrokerState = "unreachable"
        try:
            if _answers(url):
                state = "ok"
        finally:
            with self._lock:
                self._keep(state)

    def _keep(self, state: BrokerState) -> None:
        self._state, self._known_until = state, time.monotonic() + KEPT_SECONDS


def _answers(url: str) -> bool:
    """Whether the broker answers a PING, over a connection that is closed afterwards."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:  # the extra `broker` is missing, so nothing can be sent either
        return False
    try:
        with redis.Redis.from_url(
            url,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            retry=Retry(NoBackoff(), 0),  # three tries by default, each with its own timeout
        ) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError, ValueError):
        return False
