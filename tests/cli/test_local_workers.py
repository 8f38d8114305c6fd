"""The workers of `widthwise serve`: a child process that outlives neither it nor, for long, its own death."""

import os
import signal
import sys
from pathlib import Path

from structlog.testing import capture_logs

from service.commands.local_workers import STOP_SECONDS, LocalWorkers
from service.commands.serve import GRACEFUL_SECONDS
from service.settings import load_settings
from service.store import open_store
from service.store.database.schema import upgrade
from testbed.processes import processes_marked
from testbed.waiting import until
from widthwise.cli import local_service
from workers import pool

MARK = "WIDTHWISE_DATA_DIR"  # handed on to everything that a service starts


def test_a_pool_that_is_killed_is_started_again_and_all_end_with_the_service(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, workers=2)
    upgrade(settings.database_url)
    store = open_store(settings.database_url)
    with capture_logs() as logs:
        with LocalWorkers(settings, pause_seconds=0.1) as local:
            until(lambda: len(store.workers.all()) == 2)
            first = local.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            until(lambda: len(store.workers.all()) == 4)  # those of the first pool saw their parent's end
            assert local.pid != first
        assert processes_marked(MARK, tmp_path) == {}
    assert {worker.state.value for worker in store.workers.all()} == {"stopped"}
    assert [(line["event"], line["status"]) for line in logs] == [("local_workers_died", -signal.SIGKILL)]
    store.close()


def test_a_pool_that_can_not_be_started_is_tried_again(tmp_path: Path) -> None:
    program, note = tmp_path / "pool", tmp_path / "ran"
    program.write_text(f"#!{sys.executable}\nimport os\nos.unlink({str(program)!r})\n", encoding="utf-8")
    program.chmod(0o755)
    settings = load_settings(data_dir=tmp_path, workers=1)
    with capture_logs() as logs, LocalWorkers(settings, command=[str(program)], pause_seconds=0.05):
        until(lambda: "local_workers_not_started" in [line["event"] for line in logs])
        ready = tmp_path / "ready"
        ready.write_text(f"#!{sys.executable}\nopen({str(note)!r}, 'w').close()\n", encoding="utf-8")
        ready.chmod(0o755)
        ready.rename(program)
        until(note.exists)


def test_no_workers_are_no_process(tmp_path: Path) -> None:
    with LocalWorkers(load_settings(data_dir=tmp_path, workers=0)) as local:
        assert local.pid is None


def test_each_waits_for_those_that_it_stops() -> None:
    assert STOP_SECONDS > pool.STOP_SECONDS + pool.WATCH_SECONDS
    assert GRACEFUL_SECONDS + STOP_SECONDS < local_service.STOP_SECONDS
