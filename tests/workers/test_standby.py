"""The child between two shards, with real processes that speak the protocol."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from testbed.waiting import LONG_SECONDS, is_alive, until
from tests.workers.conftest import SPEC, fake_child
from tests.workers.fake_child import PROGRAM_BYTES
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from workers.conversation import NEXT, ON_JOB, ON_PREPARATION, Phase, after
from workers.lifetime import Lifetime
from workers.preparing import preparation
from workers.process import ChildProcess
from workers.protocol import Finished, Job, ProtocolError, Started
from workers.standby import Standby, Ties

JOB = Job(CalibrationSpec.from_dict(SPEC), ShardSpec(32, (0.01,), (0,)))
TIES = Ties.of(JOB, owner="alice", calibration_id="c")
NEXT_WIDTH = 64
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


def compiles(place: Standby, ties: Ties = TIES) -> ChildProcess:
    """Run a shard, and let its child begin to compile the next width."""
    child = run(place, ties)
    assert place.prepare(preparation(ties, NEXT_WIDTH))
    return child


def heard_compiled(place: Standby) -> None:
    """Ask a place for its child until it has heard that this has compiled."""

    def heard() -> bool:
        with capture_logs() as logs:
            assert place.ties in (TIES, None)
        return [line["event"] for line in logs] == ["width_compiled"]

    until(heard)


def test_a_child_that_has_compiled_takes_the_next_shard(made: list[Standby]) -> None:
    place = standby(made)
    child = compiles(place)
    heard_compiled(place)
    assert child.phase is Phase.IDLE
    assert run(place).pid == child.pid
    assert child.jobs == 3


def test_no_shard_waits_while_a_child_compiles_another_width(made: list[Standby], gate: Path) -> None:
    """Of its own calibration or of another: the gate stays shut."""
    for ties in (TIES, OTHERS["calibration"]):
        place = standby(made)
        child = compiles(place)
        second = run(place, ties)
        assert second.pid != child.pid
        assert not is_alive(child.pid)


def test_a_shard_of_the_width_takes_the_child_that_compiles_it(made: list[Standby], gate: Path) -> None:
    """It hears nothing of the compilation."""
    place = standby(made)
    child = compiles(place)
    until((gate / str(NEXT_WIDTH)).exists)
    job = replace(JOB, shard=replace(JOB.shard, width=NEXT_WIDTH))
    assert place.take(job, TIES) is child
    assert (child.phase, child.unstarted, place.ties) == (Phase.AWAITED, True, None)
    (gate / "go").touch()
    heard = []
    while child.phase is not Phase.IDLE:
        if (event := child.next_event(WAIT_SECONDS)) is not None:
            heard.append(event.EVENT)
    assert heard == ["started", "trial", "finished"]
    place.keep(child, TIES)
    assert run(place) is child


FAILURES = {
    "unstarted": "pid",  # dies; the last lines of its stderr are the reason
    "killed": "pid",
    "no_memory": "out_of_memory: no memory is left",
    "invalid": "invalid_input: no such dataset",
    "garbage": "this is no JSON",
}


@pytest.mark.parametrize("behaviour", FAILURES)
def test_a_compilation_that_fails_ends_its_child_and_says_why(
    made: list[Standby], behaviour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FROM", "2")
    place = standby(made, behaviour)
    with capture_logs() as logs:
        child = compiles(place)
        until(lambda: place.ties is None)
    assert not is_alive(child.pid)
    (line,) = [line for line in logs if line["event"] == "width_not_compiled"]
    assert (line["calibration_id"], line["width"]) == (TIES.calibration_id, NEXT_WIDTH)
    assert FAILURES[behaviour] in line["reason"]
    assert run(place).pid != child.pid


def test_nothing_is_compiled_where_no_shard_would_find_the_child(made: list[Standby]) -> None:
    place = standby(made, shards=2)
    run(place)
    assert place.ties == TIES
    assert not place.prepare(preparation(TIES, NEXT_WIDTH))


def test_nothing_is_compiled_in_another_environment(made: list[Standby], monkeypatch: pytest.MonkeyPatch) -> None:
    place = standby(made)
    run(place)
    monkeypatch.setenv("JAX_PLATFORMS", "elsewhere")
    assert not place.prepare(preparation(TIES, NEXT_WIDTH))


def test_a_compilation_outlasts_the_limit_on_idle_time_and_its_child_does_not(made: list[Standby], gate: Path) -> None:
    place = standby(made, idle_seconds=1.0)
    child = compiles(place)
    time.sleep(1.2)
    assert place.ties == TIES
    assert is_alive(child.pid)
    (gate / "go").touch()
    heard_compiled(place)
    assert place.ties is None
    assert not is_alive(child.pid)


def test_a_compilation_ends_at_the_limit_on_age(made: list[Standby], gate: Path) -> None:
    place = standby(made, seconds=LONG_SECONDS, idle_seconds=LONG_SECONDS)
    child = run(place)
    child.born -= LONG_SECONDS - 2.0  # so old already
    assert place.prepare(preparation(TIES, NEXT_WIDTH))
    until(lambda: not is_alive(child.pid))
    assert place.ties is None


@pytest.mark.parametrize("ended", [False, True])
def test_a_child_that_grew_too_much_while_it_compiled_takes_no_shard(
    made: list[Standby], gate: Path, *, ended: bool
) -> None:
    """Neither before the compilation ends nor after."""
    place = standby(made, growth_bytes=PROGRAM_BYTES // 2)
    child = compiles(place)
    until((gate / str(NEXT_WIDTH)).exists)
    if ended:
        (gate / "go").touch()
        heard_compiled(place)
        assert place.ties is None
    assert place.take(replace(JOB, shard=replace(JOB.shard, width=NEXT_WIDTH)), TIES) is not child
    assert not is_alive(child.pid)


def test_the_table_of_the_conversation() -> None:
    assert set(NEXT) == set(Phase)
    assert {*ON_JOB, *ON_PREPARATION} == {Phase.IDLE, Phase.PREPARING}
    assert after(Phase.ASKED, Started({})) is Phase.RUNNING
    with pytest.raises(ProtocolError, match="'finished' came from a child that is asked"):
        after(Phase.ASKED, Finished())
    with pytest.raises(ProtocolError, match="'started' came from a child that is idle"):
        after(Phase.IDLE, Started({}))
