"""The Celery application of a worker: one task, which wakes it, and no message that could run code."""

import pytest

from service.broker import QUEUE, TASK
from service.settings import load_settings
from widthwise.errors import InvalidInputError
from workers.celery_app import make_app


def test_its_one_task_wakes_the_worker_whatever_the_message_says() -> None:
    woken: list[int] = []
    app = make_app(load_settings(redis_url="redis://:correct-horse@broker:6379/0"), lambda: woken.append(1))
    assert [name for name in app.tasks if not name.startswith("celery.")] == [TASK]
    assert app.tasks[TASK]("any shard") is None
    assert woken == [1]
    assert "correct-horse" not in repr(app)


def test_two_applications_of_one_process_keep_their_own_task() -> None:
    woken: list[str] = []
    settings = load_settings(redis_url="redis://broker:6379/0")
    first, second = (make_app(settings, lambda name=name: woken.append(name)) for name in ("first", "second"))
    for app in (second, first):
        app.tasks[TASK]("shard")
    assert woken == ["second", "first"]


def test_how_messages_are_taken() -> None:
    app = make_app(load_settings(redis_url="rediss://broker:6379/0", shard_deadline_seconds=1000), lambda: None)
    assert (app.conf.task_default_queue, app.conf.accept_content) == (QUEUE, ["json"])
    assert (app.conf.task_acks_late, app.conf.worker_prefetch_multiplier) == (True, 1)
    assert app.conf.broker_transport_options["visibility_timeout"] == 1600
    assert "ssl_cert_reqs=required" in app.conf.broker_url


def test_it_needs_a_broker() -> None:
    with pytest.raises(InvalidInputError, match="WIDTHWISE_REDIS_URL"):
        make_app(load_settings(), lambda: None)
