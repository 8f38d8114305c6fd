"""What both sides of the broker agree on: its address, the queue, the task's name and connection timeouts.

The service sends messages (service/doorbell.py) and the workers run them (workers/celery_app.py). Celery is imported
when it is first needed, so it costs nothing without a broker.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from service.settings import Settings
from widthwise.errors import InvalidInputError

if TYPE_CHECKING:
    from celery import Celery

TASK = "widthwise.shard"  #: name of the one task; its argument is the shard's id
QUEUE = "widthwise"  #: name of the one queue, and of its list in Redis


def connect(settings: Settings, *, socket_seconds: float = 5.0) -> "Celery":
    """Return a Celery application for the settings' broker, without tasks; it connects when first used.

    socket_seconds: timeout for one answer from the broker. Raises InvalidInputError if redis_url is not set or Celery
    is not installed.
    """
    if settings.redis_url is None:
        raise InvalidInputError("WIDTHWISE_REDIS_URL is not set; name the broker.", field="WIDTHWISE_REDIS_URL")
    try:
        from celery import Celery
    except ImportError:
        raise InvalidInputError(
            "WIDTHWISE_REDIS_URL is set, but Celery is not installed; install widthwise-server[broker], or unset it.",
            field="WIDTHWISE_REDIS_URL",
        ) from None
    # set_as_current: two applications in one process (in tests) must stay separate
    app = Celery("widthwise", broker=_verified(settings.redis_url), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        # a message carries an identifier and has no result
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],  # never pickle: whoever writes to Redis could run code
        broker_connection_timeout=socket_seconds,
        broker_transport_options={
            # redeliver only once the attempt must be over (the default of 1 h would send a longer shard twice)
            "visibility_timeout": settings.shard_deadline_seconds + 600.0,
            "socket_timeout": socket_seconds,  # no timeout by default: a silent Redis would block forever
            "socket_connect_timeout": socket_seconds,
            "socket_keepalive": True,  # firewalls drop connections that stay idle
            "health_check_interval": 25,  # seconds; finds a half-open connection (also the default)
            "max_retries": 0,  # no retries of a publication: they block, and the store republishes anyway
        },
        broker_pool_limit=1,  # one thread publishes, over one connection
    )
    return app


def _verified(url: str) -> str:
    """Return a broker's URL with certificate checks on: Kombu's default accepts any certificate (measured, 5.7)."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return url
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "ssl_cert_reqs=required")))))
