"""What a worker does besides its shards: it sweeps, and counts the messages that it sent again."""

import threading

import pytest

from service.settings import Settings
from service.store import CalibrationState, Store
from service.store.database.engine import create_store_engine
from service.store.database.tables import shards
from service.store.work.shards import UNHEARD_SECONDS
from testbed.waiting import until
from tests.store.samples import Bell, Crash, crashing_fit, fit_sample, pass_time, run_all, sample_spec
from tests.workers.conftest import PLANNER
from workers.worker import Worker

ONE = sample_spec(widths=[32], seeds=1)


def test_a_worker_sees_to_what_others_left_behind(settings: Settings) -> None:
    engine, bell = create_store_engine(settings.database_url), Bell()
    bell.works = False
    dying = Store(engine, fit=crashing_fit, planner=PLANNER)
    store = Store(engine, fit=fit_sample, planner=PLANNER, doorbell=bell)
    finished = dying.calibrations.create(ONE).calibration.id
    with pytest.raises(Crash):
        run_all(dying, "dead")
    unheard = store.calibrations.shards(store.calibrations.create(ONE).calibration.id)[0].id
    pass_time(settings.database_url, shards.c.queued_at, 2 * UNHEARD_SECONDS)
    bell.works = True
    with Worker(store, settings, "w", threading.Event(), probe_command=()) as worker:
        until(lambda: store.calibrations.get(finished).state is CalibrationState.SUCCEEDED)
        until(lambda: bell.rung == [unheard])
        until(lambda: worker.totals.to_dict()["republished"] == 1)
    store.close()
