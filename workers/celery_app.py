"""The Celery application of a worker: its configuration and its only task, which treats every message as a wake-up.

The service sends the task by name (service/doorbell.py); workers/listener.py runs this application on a thread of the
worker. Importing this module creates none: settings are read at the entry points, and the task wakes one worker.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from service.broker import TASK, connect
from service.settings import Settings

if TYPE_CHECKING:
    from celery import Celery


def make_app(settings: Settings, work: Callable[[], object]) -> "Celery":
    """Return the application for the settings' broker; its task calls `work`, which claims a shard and runs it.

    Raises InvalidInputError if redis_url is not set or Celery is not installed.
    """
    app = connect(settings)
    app.conf.update(
        # acknowledge late, so that messages of a busy worker go to idle ones
        task_acks_late=True,  # an early acknowledgement parks a second message behind a running shard (measured)
        worker_prefetch_multiplier=1,  # with late acknowledgement: no message beyond the current one
        task_reject_on_worker_lost=False,  # the lease gives the shard to another worker, so no message has to return
        worker_cancel_long_running_tasks_on_connection_loss=False,  # likewise: losing the broker does not end training
        # a worker survives without its broker, even if that is down at the start
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # by default it gives up after 100
        # our process has its own logs, signal handlers and reports
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,  # else anyone in Redis could stop workers; we report to the database
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=10.0,  # a cold stop waits for the shard to be returned, which takes 1 s
    )

    # not shared: Celery would add this task to every application made later, including the one after a restart
    @app.task(name=TASK, shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def shard(shard_id: str) -> None:
        del shard_id  # the id does not matter: shards are taken in the table's order
        work()

    return app
