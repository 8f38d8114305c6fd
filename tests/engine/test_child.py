"""The child process over real pipes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from widthwise.calibration.memory import training_bytes
from widthwise.calibration.spec import CalibrationSpec
from workers.child import PARENT_GONE

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0  # for a process to end on a loaded machine
SHARD = {"width": 16, "learning_rates": [0.01, 1e38], "seeds": [0]}


class Child:
    """A running child and its pipes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin, self.stdout = process.stdin, process.stdout

    def send(self, line: str) -> None:
        self.stdin.write(line + "\n")
        self.stdin.flush()

    def shard(self) -> list[dict[str, Any]]:
        """Return the events of one shard without its progress."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["event"] not in ("finished", "error"):
            events.append(json.loads(self.stdout.readline(), parse_constant=_no_constant))
        return [event for event in events if event["event"] != "progress"]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line, parse_constant=_no_constant) for line in self.stdout]


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@contextmanager
def started(*arguments: str) -> Iterator[Child]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        yield Child(process)
        process.kill()


@pytest.fixture
def child() -> Iterator[Child]:
    with started("-m", "workers.child") as running:
        yield running


def job(spec: dict[str, Any], cache: Path | None = None, **changes: Any) -> str:
    whole = {"spec": spec, "shard": SHARD, "done": [], "cache_dir": None if cache is None else str(cache)}
    return json.dumps({**whole, **changes})


def test_a_job_in_gives_its_events_out_in_order(child: Child, spec: dict[str, Any], compile_cache: Path) -> None:
    child.send(job(spec, compile_cache))
    events = child.shard()
    assert [event["event"] for event in events] == ["started", "trial", "trial", "finished"]
    started, completed, diverged, _ = events
    assert started["device"] == "cpu"
    assert set(started["versions"]) == {"python", "jax", "optax", "numpy", "widthwise"}
    assert len(started["dataset_sha256"]) == 64
    assert started["optimizer_constants"] == {"b1": 0.9, "b2": 0.98}
    assert completed["trial"]["status"] == "completed"
    assert completed["trial"]["loss"] > 0
    assert (diverged["trial"]["status"], diverged["trial"]["loss"]) == ("diverged", None)
    child.stdin.close()
    assert child.process.wait(PATIENCE_SECONDS) == PARENT_GONE  # a child that waits ends with it, too
    assert list(compile_cache.iterdir()), "the compiled programs were not kept"


def test_a_child_that_lives_on_gives_the_losses_of_fresh_ones(spec: dict[str, Any], compile_cache: Path) -> None:
    """Bit for bit, at another width and at the first one again."""
    narrow = {**SHARD, "learning_rates": [0.01, 0.02]}
    shards = [narrow, {**narrow, "width": 32}, {**narrow, "seeds": [1]}]

    def losses(child: Child, shard: dict[str, Any]) -> list[float]:
        child.send(job(spec, compile_cache, shard=shard))
        return [event["trial"]["loss"] for event in child.shard() if event["event"] == "trial"]

    with started("-m", "workers.child") as one:
        lived_on = [losses(one, shard) for shard in shards]
    fresh = []
    for shard in shards:
        with started("-m", "workers.child") as child:
            fresh.append(losses(child, shard))
    assert lived_on == fresh


def test_the_memory_limit_follows_the_largest_job(child: Child, spec: dict[str, Any], compile_cache: Path) -> None:
    limits = []
    for width in (16, 64, 8):
        child.send(job(spec, compile_cache, shard={**SHARD, "width": width, "learning_rates": [0.01]}))
        assert child.shard()[-1]["event"] == "finished"
        lines = (Path("/proc") / str(child.process.pid) / "limits").read_text().splitlines()
        limits += [int(line.split()[3]) for line in lines if "Max data size" in line]
    needed = [training_bytes(CalibrationSpec.from_dict(spec), width) for width in (16, 64)]
    assert limits == [*needed, needed[-1]]


def test_a_program_is_compiled_for_a_later_shard(child: Child, spec: dict[str, Any], tmp_path: Path) -> None:
    child.send(job(spec, tmp_path, only_compile=True))
    assert [event["event"] for event in child.shard()] == ["started", "finished"]
    compiled = set(tmp_path.iterdir())
    assert compiled
    with started("-m", "workers.child") as other:
        other.send(job(spec, tmp_path, shard={**SHARD, "learning_rates": [0.01]}))
        assert [event["event"] for event in other.shard()] == ["started", "trial", "finished"]
    new = {path.name for path in set(tmp_path.iterdir()) - compiled}
    assert not [name for name in new if "advance" in name and name.endswith("-cache")]


def test_an_error_ends_a_child_that_lived_on(child: Child, spec: dict[str, Any], compile_cache: Path) -> None:
    child.send(job(spec, compile_cache, shard={**SHARD, "learning_rates": [0.01]}))
    assert child.shard()[-1]["event"] == "finished"
    child.send(job({**spec, "proxy": {**spec["proxy"], "dataset": "c4"}}))
    assert child.shard()[-1]["kind"] == "invalid_input"
    assert child.process.wait(PATIENCE_SECONDS) == 1


def test_an_orphan_exits_in_the_middle(child: Child, spec: dict[str, Any]) -> None:
    child.send(job({**spec, "steps": 1_000_000}, shard={**SHARD, "learning_rates": [0.01]}))
    assert json.loads(child.stdout.readline())["event"] == "started"
    child.stdin.close()
    # a child that had gone on to its end would give 0, and not before some minutes
    assert child.process.wait(PATIENCE_SECONDS) == PARENT_GONE


def test_its_memory_is_limited_and_it_is_the_first_to_go(child: Child, spec: dict[str, Any]) -> None:
    long = {**spec, "steps": 1_000_000}
    child.send(job(long, shard={**SHARD, "learning_rates": [0.01]}))
    assert json.loads(child.stdout.readline())["event"] == "started"
    process = Path("/proc") / str(child.process.pid)
    (limit,) = (line.split()[3] for line in (process / "limits").read_text().splitlines() if "Max data size" in line)
    assert int(limit) == training_bytes(CalibrationSpec.from_dict(long), SHARD["width"])
    assert int((process / "oom_score_adj").read_text()) == 1000


def test_more_memory_than_a_job_needs_is_an_error_event(spec: dict[str, Any]) -> None:
    """In place of the training, the child takes 4 GiB, of which no page is touched."""
    code = (
        "import sys, workers.child, workers.engine.dispatch as dispatch\n"
        "dispatch.run = lambda *_, **__: [bytearray(1 << 32)]\n"
        "sys.exit(workers.child.main())"
    )
    with started("-c", code) as child:
        child.send(job(spec))
        *_, error = child.events()
    assert (error["event"], error["kind"]) == ("error", "out_of_memory")


def test_a_bad_job_is_an_error_event(child: Child, spec: dict[str, Any]) -> None:
    child.send(job({**spec, "proxy": {**spec["proxy"], "dataset": "c4"}}))
    (error,) = child.events()
    assert (error["event"], error["kind"]) == ("error", "invalid_input")
    assert "python_docs" in error["message"]
    assert child.process.wait(PATIENCE_SECONDS) == 1


@pytest.mark.parametrize("line", ["", "{", "[]", '{"spec": {}}'])
def test_a_line_that_is_no_job_is_an_error_event(child: Child, line: str) -> None:
    child.send(line)
    (error,) = child.events()
    assert error["kind"] == "invalid_input"
    assert child.process.wait(PATIENCE_SECONDS) == 1


def test_the_child_holds_no_database_and_no_broker() -> None:
    code = (
        "import sys, workers.child, workers.engine.dispatch\n"
        "print(*sorted({'celery', 'sqlalchemy', 'service', 'fastapi', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
