"""The service's doorbell: one broker message per shard wakes workers; the table of work is the queue.

Any message may be lost or duplicated.
"""

import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import structlog

from service.broker import TASK, connect
from service.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger(__name__)

RING_SECONDS = 2.0  # a request waits no longer for the broker, so that POST answers within 3 s (chosen)
PUBLISH_SECONDS = 1.5  # for one connection or answer, so that a second try still fits (chosen)
PAUSE_SECONDS = 5.0  # without messages after a failure (chosen): requests must not pile up at a dead broker
WAITING_MAXIMUM = 1000  # calls that may wait for the publisher; any beyond that give up at once (chosen)


class CeleryDoorbell:
    """Sends one message for each shard; safe to share between threads, not between processes.

    One daemon thread publishes over one connection. A caller waits for it at most RING_SECONDS, whatever the broker
    does; a slow DNS lookup can't be bounded in any other way.
    """

    def __init__(
        self, settings: Settings, *, ring_seconds: float = RING_SECONDS, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._settings = settings
        self._ring_seconds, self._pause_seconds = ring_seconds, pause_seconds
        self._calls: queue.Queue[_Call] = queue.Queue(WAITING_MAXIMUM)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._silent_until = 0.0  #: on the monotonic clock; set after a failure

    def ring(self, shard_ids: Sequence[str]) -> Sequence[str]:
        """Announce the shards within 2 seconds, without raising; return those whose message was sent."""
        if not shard_ids or time.monotonic() < self._silent_until:
            return ()
        call = _Call(tuple(shard_ids))
        self._begin()
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            return ()
        if not call.done.wait(self._ring_seconds):
            call.abandoned = True
            self._fail("it does not answer")
        return tuple(call.sent)

    def prepare(self) -> None:
        """Start the publisher, which imports Celery: on a busy machine that takes longer than a request may wait."""
        self._begin()

    def _begin(self) -> None:
        """Start the publisher, once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._publish, daemon=True, name="doorbell")
                self._thread.start()

    def _publish(self) -> None:
        app = self._connected()
        while True:
            call = self._calls.get()
            try:
                if not call.abandoned and time.monotonic() >= self._silent_until:
                    app = app or connect(self._settings, socket_seconds=PUBLISH_SECONDS)
                    _send(app, call)
            except Exception as error:  # noqa: BLE001  # the caller's shards are stored and will be announced again
                self._fail(type(error).__name__)  # its text may contain the URL
            finally:
                call.done.set()

    def _connected(self) -> "Celery | None":
        """Return the application before the first call, or None: that call meets the same error, and reports it."""
        try:
            return connect(self._settings, socket_seconds=PUBLISH_SECONDS)
        except Exception:  # noqa: BLE001  # see above
            return None

    def _fail(self, reason: str) -> None:
        """Send nothing for a while, and log that once."""
        with self._lock:
            now = time.monotonic()
            if now < self._silent_until:
                return
            self._silent_until = now + self._pause_seconds
        log.warning("broker_unavailable", reason=reason, silent_seconds=self._pause_seconds)


class _Call:
    """One call of `ring`, passed to the publisher."""

    def __init__(self, shard_ids: tuple[str, ...]) -> None:
        self.shard_ids = shard_ids
        self.sent: list[str] = []
        self.done = threading.Event()
        self.abandoned = False  #: nobody is waiting for it any more


def _send(app: Any, call: _Call) -> None:
    """Send the messages one by one until all are sent or nobody waits; raises what the broker's client raises."""
    with app.producer_or_acquire() as producer:
        for shard_id in call.shard_ids:
            if call.abandoned:
                return
            app.send_task(TASK, args=[shard_id], producer=producer, retry=False)
            call.sent.append(shard_id)


def make_doorbell(settings: Settings) -> CeleryDoorbell | None:
    """Return the doorbell of the settings' broker, ready to ring, or None if there is no broker and workers poll."""
    if settings.redis_url is None:
        return None
    doorbell = CeleryDoorbell(settings)
    doorbell.prepare()
    return doorbell
