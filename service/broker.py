"""The broker as a doorbell: Celery on Redis wakes workers, and the table of work stays the queue.

Every message may be lost or doubled. Celery is imported when it is first needed: without a broker nobody pays for it.
"""

import queue
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import structlog

from service.settings import Settings
from widthwise.errors import InvalidInputError

if TYPE_CHECKING:
    from celery import Celery

log = structlog.get_logger(__name__)

TASK = "widthwise.shard"  #: name of the one task; its argument is the shard's id
QUEUE = "widthwise"  #: name of the one queue, and of its list in Redis

RING_SECONDS = 2.0  # longest time that a request waits for the broker, so that POST answers within 3 s (chosen)
PUBLISH_SECONDS = 1.5  # for one connection or answer, so that a second try may still fit (chosen)
PAUSE_SECONDS = 5.0  # after a failure nothing is sent: requests must not queue up at a dead broker (chosen)
WAITING_MAXIMUM = 1000  # calls that wait for the publisher; beyond it they give up at once (chosen)


def make_celery(settings: Settings, *, socket_seconds: float = 5.0) -> "Celery":
    """Return a Celery application for the settings' broker; it connects when it is used.

    socket_seconds: for one answer of the broker. Raises InvalidInputError without a redis_url, or without Celery.
    """
    if settings.redis_url is None:
        raise InvalidInputError("WIDTHWISE_REDIS_URL is not set; name the broker.", field="WIDTHWISE_REDIS_URL")
    try:
        from celery import Celery
    except ImportError:
        raise InvalidInputError(
            "WIDTHWISE_REDIS_URL is set, but Celery is not installed; install widthwise[broker], or unset it.",
            field="WIDTHWISE_REDIS_URL",
        ) from None
    # set_as_current: two applications in one process (tests) must not find each other
    app = Celery("widthwise", broker=_verified(settings.redis_url), set_as_current=False)
    app.conf.update(
        # delivery: late, so that messages of a busy worker go to those that are idle
        task_acks_late=True,  # an early one parks a second message behind a running shard (measured)
        worker_prefetch_multiplier=1,  # with late acknowledgement: no message beyond the one at work
        task_reject_on_worker_lost=False,  # the table's lease gives the shard to another; no message need come back
        worker_cancel_long_running_tasks_on_connection_loss=False,  # likewise: a lost broker ends no training
        task_default_queue=QUEUE,
        # a message carries an identifier and brings nothing back
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],  # never pickle: whoever writes to Redis could run code
        # a worker outlives its broker, also when that is down at the start
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # 100 by default, and then it gives up
        broker_connection_timeout=socket_seconds,
        broker_transport_options={
            # redelivered only when the attempt must be over (1 h by default: a longer shard would be sent twice)
            "visibility_timeout": settings.shard_deadline_seconds + 600.0,
            "socket_timeout": socket_seconds,  # none by default: a silent Redis would block for ever
            "socket_connect_timeout": socket_seconds,
            "socket_keepalive": True,  # firewalls drop connections that are idle for long
            "health_check_interval": 25,  # seconds; finds a half-open connection (also the default)
            "max_retries": 0,  # of a publication: the store republishes (otherwise it blocks)
        },
        broker_pool_limit=1,  # one thread publishes, over one connection
        # a process of ours, with logs, signals and reports of its own
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,  # whoever reaches Redis could stop workers; we report to the database
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=10.0,  # a cold stop lets the shard be given back first, which takes 1 s
    )
    return app


def _verified(url: str) -> str:
    """Return a broker's URL that has the server's certificate checked: Kombu's default takes any (measured, 5.7)."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return url
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "ssl_cert_reqs=required")))))


class CeleryDoorbell:
    """Sends one message for each shard; safe to share between threads, not between processes.

    One daemon thread publishes over one connection. Whoever rings waits for it RING_SECONDS at most, whatever the
    broker does: a name that is looked up for long can't be bounded in any other way.
    """

    def __init__(
        self, settings: Settings, *, ring_seconds: float = RING_SECONDS, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._settings = settings
        self._ring_seconds, self._pause_seconds = ring_seconds, pause_seconds
        self._calls: queue.Queue[_Call] = queue.Queue(WAITING_MAXIMUM)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._silent_until = 0.0  #: by the monotonic clock; set after a failure

    def ring(self, shard_ids: Sequence[str]) -> Sequence[str]:
        """Announce the shards, within 2 seconds and without raising; give those whose message was sent."""
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

    def _begin(self) -> None:
        """Start the publisher, once."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._publish, daemon=True, name="doorbell")
                self._thread.start()

    def _publish(self) -> None:
        app: Celery | None = None
        while True:
            call = self._calls.get()
            try:
                if not call.abandoned and time.monotonic() >= self._silent_until:
                    app = app or make_celery(self._settings, socket_seconds=PUBLISH_SECONDS)
                    _send(app, call)
            except Exception as error:  # noqa: BLE001  # the caller's shards are stored, and will be announced again
                self._fail(type(error).__name__)  # its text may hold the URL
            finally:
                call.done.set()

    def _fail(self, reason: str) -> None:
        """Stay silent for a while, and say so once."""
        with self._lock:
            now = time.monotonic()
            if now < self._silent_until:
                return
            self._silent_until = now + self._pause_seconds
        log.warning("broker_unavailable", reason=reason, silent_seconds=self._pause_seconds)


class _Call:
    """One call of `ring`, handed to the publisher."""

    def __init__(self, shard_ids: tuple[str, ...]) -> None:
        self.shard_ids = shard_ids
        self.sent: list[str] = []
        self.done = threading.Event()
        self.abandoned = False  #: nobody waits for it any more


def _send(app: Any, call: _Call) -> None:
    """Send the messages in turn until all are sent or nobody waits; raises what the broker's client raises."""
    with app.producer_or_acquire() as producer:
        for shard_id in call.shard_ids:
            if call.abandoned:
                return
            app.send_task(TASK, args=[shard_id], producer=producer, retry=False)
            call.sent.append(shard_id)


def make_doorbell(settings: Settings) -> CeleryDoorbell | None:
    """Return the doorbell of the settings' broker, or None where there is none and workers poll."""
    return None if settings.redis_url is None else CeleryDoorbell(settings)
