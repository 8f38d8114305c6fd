"""Whether the broker answers: asked within a second, whatever it does, and at most once a second."""

import threading
import time
from typing import Literal

from service.settings import Settings

PATIENCE_SECONDS = 0.8  # chosen: /readyz answers within a second, and a broker that is well within milliseconds
SOCKET_SECONDS = 0.4  # to connect, and for one answer (chosen)
KEPT_SECONDS = 1.0  # an answer is given again for so long (chosen): a rush of probes is one question

BrokerState = Literal["ok", "unreachable"]


class BrokerProbe:
    """Asks the settings' broker; one for each process, safe to share between threads.

    The question is put by a thread of its own, since looking a name up can't be bounded in any other way; while one
    hangs there is no second.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.redis_url
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._state: BrokerState = "unreachable"
        self._known_until = 0.0  #: by the monotonic clock

    def state(self) -> BrokerState | None:
        """Give `ok` or `unreachable`, or None where the settings name no broker."""
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
    """Whether the broker answers a PING, over a connection that is closed again."""
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
