"""The probe: an idle worker tells what it would compute on, and a shard never waits for that."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.settings import Settings
from service.store import Store
from testbed.waiting import is_alive, until
from tests.store.samples import sample_spec
from tests.workers.conftest import fake_child
from workers.probe import PROBE_COMMAND
from workers.worker import Worker

SPEC = sample_spec(widths=[32], seeds=1)
#: Leaves its process id, then waits for the end of its stdin.
HANGS = """
import os, pathlib, sys
note = pathlib.Path(sys.argv[1])
note.with_suffix(".half").write_text(str(os.getpid()))
note.with_suffix(".half").rename(note)
while os.read(0, 999):
    pass
"""
TELLS = """
import json, os
print(json.dumps({"event": "described", "device": "gpu", "device_kind": "NVIDIA H100", "versions": {"jax": "1"}}))
"""


@pytest.fixture
def make(store: Store, settings: Settings) -> Iterator[Callable[..., Worker]]:
    """Make workers with a probe of this command."""
    made: list[Worker] = []

    def build(probe: tuple[str, ...], *behaviour: str) -> Worker:
        worker = Worker(store, settings, "w", threading.Event(), command=fake_child(*behaviour), probe_command=probe)
        made.append(worker.__enter__())
        return worker

    yield build
    for worker in made:
        worker.__exit__()


def program(text: str, *arguments: str) -> tuple[str, ...]:
    return (PROBE_COMMAND[0], "-c", text, *arguments)


def idle(worker: Worker) -> bool:
    """Look for work as an idle worker does; whether its probe has ended."""
    assert not worker.work()
    return not worker.probing


def test_an_idle_worker_tells_its_device(store: Store, make: Callable[..., Worker]) -> None:
    worker = make(program(TELLS), "run")
    until(lambda: idle(worker))
    (told,) = store.workers.all()
    assert (told.device, told.versions) == ("gpu (NVIDIA H100)", {"jax": "1"})
    assert idle(worker)  # it is known: no other probe


def test_jax_is_asked_in_a_child(store: Store, make: Callable[..., Worker]) -> None:
    worker = make(PROBE_COMMAND, "run")
    until(lambda: idle(worker))
    (told,) = store.workers.all()
    assert told.device == "cpu"
    assert {"jax", "python", "widthwise"} <= set(told.versions)


def test_a_shard_ends_the_probe_before_its_child_starts(
    store: Store, make: Callable[..., Worker], tmp_path: Path
) -> None:
    """Some accelerators serve one program alone."""
    probe, shard = tmp_path / "probe", tmp_path / "shard"
    worker = make(program(HANGS, str(probe)), "pid", str(shard))
    until(lambda: not idle(worker) and probe.exists())
    store.calibrations.create(SPEC)
    begun = time.monotonic()
    thread = threading.Thread(target=worker.work)
    thread.start()
    until(shard.exists)
    assert not is_alive(int(probe.read_text()))
    assert time.monotonic() - begun < 20.0  # it was not waited for
    worker.stop.set()
    thread.join()
    assert store.workers.all()[0].device == "cpu"  # the shard's child has told it


@pytest.mark.parametrize(
    "text", ["raise SystemExit('no driver')", "print('not JSON')", 'print(\'{"event": "other"}\')']
)
def test_a_probe_that_fails_is_asked_once(store: Store, make: Callable[..., Worker], text: str) -> None:
    worker = make(program(text), "run")
    until(lambda: idle(worker))
    assert idle(worker)
    assert store.workers.all()[0].device is None
    store.calibrations.create(SPEC)
    assert worker.work()


def test_the_end_of_a_worker_ends_its_probe(make: Callable[..., Worker], tmp_path: Path) -> None:
    note = tmp_path / "note"
    worker = make(program(HANGS, str(note)), "run")
    until(lambda: not idle(worker) and note.exists())
    worker.__exit__()
    assert not is_alive(int(note.read_text()))
