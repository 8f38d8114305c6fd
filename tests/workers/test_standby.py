"""The child between two shards, with real processes that speak the protocol."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed.waiting import is_alive, until
from tests.workers.conftest import SPEC, fake_child
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from workers.conversation import NEXT, Phase, after
from workers.lifetime import Lifetime
from workers.process import ChildProcess
from workers.protocol import Finished, Job, ProtocolError, Started
from workers.standby import Standby, Ties

JOB = Job(CalibrationSpec.from_dict(SPEC), ShardSpec(32, (0.01,), (0,)))
TIES = Ties.of(JOB, owner="alice", calibration_id="c")
WAIT_SECONDS = 0.1


@pytest.fixture
def made() -> Iterator[list[Standby]]:
    """Standbys whose children end with the test."""
    every: list[Standby] = []
    yield every
    for standby in every:
        standby.end()


def standby(made: list[Standby], *behaviour: str, **limits: Any) -> Standby:
    made.append(Standby(fake_child(*(behaviour or ("run",))), Lifetime(**limits)))
    return made[-1]


def run(place: Standby, ties: Ties = TIES, *, fresh: bool = False) -> ChildProcess:
    """Run a shard to its end, and let its child wait."""
    child = place.take(JOB, ties, fresh=fresh)
    while child.phase is not Phase.IDLE:
        child.next_event(WAIT_SECONDS)
    place.keep(child, ties)
    return child


def test_a_child_takes_the_next_shard_of_its_calibration(made: list[Standby]) -> None:
    place = standby(made)
    assert place.calibration_id is None
    assert len({run(place).pid for _ in range(3)}) == 1
    assert place.calibration_id == TIES.calibration_id


OTHERS = {
    "owner": TIES._replace(owner="bob"),
    "calibration": TIES._replace(calibration_id="d"),
    "specification": TIES._replace(spec=replace(JOB.spec, steps=JOB.spec.steps + 1)),
    "cache": TIES._replace(cache_dir="/elsewhere"),
    "texts": TIES._replace(corpora_dir="/elsewhere"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_nothing_is_inherited_beyond_a_calibration(made: list[Standby], other: str) -> None:
    place = standby(made)
    first = run(place)
    second = run(place, OTHERS[other])
    assert second.pid != first.pid
    assert not is_alive(first.pid)  # before the next began: an accelerator may serve only one program


def test_another_environment_gets_a_fresh_child(made: list[Standby], monkeypatch: pytest.MonkeyPatch) -> None:
    place = standby(made)
    first = run(place)
    monkeypatch.setenv("JAX_PLATFORMS", "elsewhere")
    assert run(place).pid != first.pid
    assert not is_alive(first.pid)


def test_a_shard_that_failed_before_gets_a_fresh_child(made: list[Standby]) -> None:
    place = standby(made)
    first = run(place)
    assert run(place, fresh=True).pid != first.pid
    assert not is_alive(first.pid)


@pytest.mark.parametrize("limits", [{"shards": 2}, {"seconds": 0.001}, {"growth_bytes": 0}])
def test_limits_replace_a_child(made: list[Standby], limits: dict[str, Any]) -> None:
    place = standby(made, **limits)
    pids = [run(place).pid for _ in range(4)]
    shards = limits.get("shards", 1)
    assert len(set(pids)) == 4 // shards
    assert not any(is_alive(pid) for pid in pids)


def test_a_child_that_waits_too_long_ends(made: list[Standby]) -> None:
    place = standby(made, idle_seconds=0.2)
    child = run(place)
    assert is_alive(child.pid)
    until(lambda: not is_alive(child.pid))
    assert run(place).pid != child.pid


def test_one_that_ended_or_was_killed_while_it_waited_is_not_taken(made: list[Standby]) -> None:
    place = standby(made)
    first = run(place)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not first.lives)
    second = run(place)
    assert second.pid != first.pid
    leaving = standby(made, "leaves")
    gone = run(leaving)
    until(lambda: not gone.lives)
    assert run(leaving).pid != gone.pid


def test_the_end_of_a_standby_ends_its_child(made: list[Standby]) -> None:
    place = standby(made)
    child = run(place)
    place.end()
    assert not is_alive(child.pid)


def test_a_busy_child_takes_no_job(made: list[Standby], tmp_path: Path) -> None:
    child = standby(made, "pid", str(tmp_path / "note")).take(JOB, TIES)
    with pytest.raises(AssertionError, match="takes no job"):
        child.send(JOB)
    child.kill()


def test_the_table_of_the_conversation() -> None:
    assert set(NEXT) == set(Phase)
    assert after(Phase.ASKED, Started({})) is Phase.RUNNING
    with pytest.raises(ProtocolError, match="'finished' came from a child that is asked"):
        after(Phase.ASKED, Finished())
    with pytest.raises(ProtocolError, match="'started' came from a child that is idle"):
        after(Phase.IDLE, Started({}))
