"""Secrets that came from files stay in files: no environment of a worker or a child holds one."""

from pathlib import Path

import pytest

from service.settings import Settings, load_settings
from service.store import Store
from testbed.waiting import until
from tests.store.samples import sample_spec
from tests.workers.conftest import fake_child
from workers.pool import WORKER_COMMAND, WorkerPool


def environment(pid: int) -> dict[str, str]:
    """What a process was started with, as anybody of its user may read."""
    entries = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
    return {name: value for name, _, value in (entry.partition("=") for entry in entries if entry)}


def test_neither_a_worker_nor_its_child_has_a_secret_in_its_environment(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secrets = {
        "DATABASE_URL": settings.database_url,
        "DATABASE_PASSWORD": "correct-horse",
        "REDIS_PASSWORD": "battery-staple",
        "PEPPER": "0123456789abcdef" * 2,
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
        monkeypatch.setenv(f"WIDTHWISE_{name}", "")
        monkeypatch.setenv(f"WIDTHWISE_{name}_FILE", str(tmp_path / name))
    monkeypatch.setenv("WIDTHWISE_API_KEY", secrets.setdefault("API_KEY", "ww_key_of_the_shell"))
    store.calibrations.create(sample_spec(widths=[32], seeds=1))
    note = tmp_path / "pid"
    with WorkerPool(
        load_settings(), count=1, command=[*WORKER_COMMAND, "--child", *fake_child("pid", str(note))]
    ) as pool:
        until(note.exists)  # so the worker has read its database's URL
        worker, child = environment(pool.pids()[0]), environment(int(note.read_text()))
    for name, value in secrets.items():
        assert not any(value in text for text in (*worker.values(), *child.values())), name
    assert worker["WIDTHWISE_DATABASE_URL_FILE"] == str(tmp_path / "DATABASE_URL")
    assert worker["WIDTHWISE_PEPPER_FILE"] == ""
    assert {name for name in child if name.startswith("WIDTHWISE_")} == {"WIDTHWISE_DATA_DIR"}
