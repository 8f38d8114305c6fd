"""What both ends of the broker agree on: its address, the queue, the task's name and how long a connection may take.

The service's end sends messages (service/doorbell.py), the workers' end runs them (workers/celery_app.py). Celery is
imported when it is first needed: without a broker nobody pays for it.
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
    """Return a Celery application for the settings' broker, without a task; it connects when it is used.

    socket_seconds: for one answer of the broker. Raises InvalidInputError without a redis_url, or without Celery.
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
    # set_as_current: two applications in one process (tests) must not find each other
    app = Celery("widthwise", broker=_verified(settings.redis_url), set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        # a message carries an identifier and brings nothing back
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],  # never pickle: whoever writes to Redis could run code
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
    )
    return app


def _verified(url: str) -> str:
    """Return a broker's URL that has the server's certificate checked: Kombu's default takes any (measured, 5.7)."""
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs=" in parts.query:
        return url
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, "ssl_cert_reqs=required")))))
