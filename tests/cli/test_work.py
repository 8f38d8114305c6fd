"""`widthwise work`: its health check, several processes, and what `serve` leaves to it."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from service.store import open_store
from service.store.database.schema import upgrade
from testbed.waiting import PATIENCE_SECONDS, until
from tests.cli.conftest import Run

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}


def test_a_host_is_healthy_while_a_worker_of_it_reports(run: Run, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'widthwise.db'}"
    upgrade(url)
    check = ("work", "--healthy", "--data-dir", tmp_path)
    none = run(*check)
    assert (none.code, none.out) == (1, "")
    assert "no worker on host" in none.err
    store = open_store(url)
    store.workers.report("elsewhere", host="another-host")
    assert run(*check).code == 1
    store.workers.report("w", host=socket.gethostname())
    good = run(*check)
    assert good.code == 0
    assert re.fullmatch(r"w: idle, reported \d s ago\n", good.err)
    store.workers.stop("w")
    stopped = run(*check)
    assert stopped.code == 1
    assert "the last report came" in stopped.err
    store.close()


def test_a_database_that_is_not_there_is_not_healthy(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDTHWISE_DATABASE_URL", "postgresql://nobody:hidden@127.0.0.1:1/none")
    ran = run("work", "--healthy", "--data-dir", tmp_path)
    assert ran.code == 1
    assert "hidden" not in ran.err


def test_several_workers_in_processes_of_their_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'widthwise.db'}"
    upgrade(url)
    line = [sys.executable, "-m", "widthwise.cli", "work", "--workers", "2", "--data-dir", str(tmp_path)]
    process = subprocess.Popen(line, env=CLEAN, stderr=subprocess.DEVNULL)
    store = open_store(url)
    until(lambda: len(store.workers.all()) == 2)
    names = sorted(worker.id for worker in store.workers.all())
    assert [name.rpartition("-")[2] for name in names] == ["0", "1"]
    assert all(name.startswith(f"{socket.gethostname()}-{process.pid}-") for name in names)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert {worker.state.value for worker in store.workers.all()} == {"stopped"}
    store.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "none here; the broker wakes each `widthwise work`"),
        (("--workers", "1"), "1 local process; the broker wakes each `widthwise work`"),
    ],
)
def test_with_a_broker_serve_is_the_api_alone_unless_told(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    line = [sys.executable, "-m", "widthwise.cli", "serve", "--port", "0", "--data-dir", str(tmp_path), *arguments]
    environment = CLEAN | {"WIDTHWISE_REDIS_URL": "redis://127.0.0.1:1/0"}
    with subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(7)]
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    (workers,) = (line for line in lines if line.startswith("  workers"))
    assert re.fullmatch(rf"  workers   {re.escape(said)}\n", workers)
