"""The Celery application of a worker: its configuration and the one task, for which every message is a wake-up.

The service sends the task by its name (service/doorbell.py); workers/listener.py runs this application on a thread of
the worker. There is none at import: settings are read at the entry points, and the task wakes one worker.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from service.broker import TASK, connect
from service.settings import Settings

if TYPE_CHECKING:
    from celery import Celery


def make_app(settings: Settings, work: Callable[[], object]) -> "Celery":
    """Return the application for the settings' broker; its task calls `work`, which claims a shard and runs it.

    Raises InvalidInputError without a redis_url, or without Celery.
    """
    app = connect(settings)
    app.conf.update(
        # delivery: late, so that messages of a busy worker go to those that are idle
        task_acks_late=True,  # an early one parks a second message behind a running shard (measured)
        worker_prefetch_multiplier=1,  # with late acknowledgement: no message beyond the one at work
        task_reject_on_worker_lost=False,  # the table's lease gives the shard to another; no message need come back
        worker_cancel_long_running_tasks_on_connection_loss=False,  # likewise: a lost broker ends no training
        # a worker outlives its broker, also when that is down at the start
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # 100 by default, and then it gives up
        # a process of ours, with logs, signals and reports of its own
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,  # whoever reaches Redis could stop workers; we report to the database
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=10.0,  # a cold stop lets the shard be given back first, which takes 1 s
    )

    # not shared: Celery would give this task to every application that is made later, that of a restart among them
    @app.task(name=TASK, shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def shard(shard_id: str) -> None:
        del shard_id  # any shard that waits is as good: they are taken in the table's order
        work()

    return app
