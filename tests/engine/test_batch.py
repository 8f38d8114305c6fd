"""A batch of trials as one program gives what one trial at a time gives, in whatever batches memory allows."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import pytest

from tests.engine.jobs import job_of, run_sweep
from widthwise.calibration.trial import Trial, TrialIdentity
from workers.engine.batch import MEMORY_SHARE, BatchProgram, run_batches
from workers.engine.data import load_corpus
from workers.engine.order import in_order
from workers.engine.spread import Spread
from workers.engine.width_program import WidthProgram

SHARD: dict[str, Any] = {"width": 16, "learning_rates": [0.003, 0.01, 0.04, 1e38], "seeds": [0, 1]}
ROUNDING = 2e-3  # nats after 30 steps: a last bit grows with every step


@pytest.fixture(autouse=True)
def relaxed_promotion(strict_promotion: None) -> Any:
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        yield


def by_setting(trials: Any) -> dict[tuple[Any, ...], Trial]:
    return {(t.seed, t.learning_rate, t.role, t.gamma): t for t in trials}


def check_equal(batched: dict[tuple[Any, ...], Trial], one_by_one: dict[tuple[Any, ...], Trial]) -> None:
    assert batched.keys() == one_by_one.keys()
    for key, trial in batched.items():
        other = one_by_one[key]
        assert (trial.status, trial.steps, trial.flops) == (other.status, other.steps, other.flops)
        if trial.loss is None:
            assert other.loss is None
        else:
            assert trial.loss == pytest.approx(other.loss, abs=ROUNDING)


def test_a_batch_gives_what_one_trial_at_a_time_gives(spec: dict[str, Any]) -> None:
    heard: list[tuple[int, ...]] = []
    batched = run_sweep(spec, SHARD, batched=True, on_progress=lambda *progress: heard.append(progress))
    one_by_one = by_setting(run_sweep(spec, SHARD))
    check_equal(by_setting(batched), one_by_one)
    assert {trial.status for trial in one_by_one.values()} == {"completed", "diverged"}
    assert heard == [(1, 8, step, 30) for step in range(3, 31, 3)]


def test_the_gammas_of_a_role_are_lanes_too(spec: dict[str, Any]) -> None:
    shard = {**SHARD, "kind": "gamma", "learning_rates": [0.01], "role": "hidden", "gammas": [0.5, 1.0, 2.0, 4.0]}
    batched, one_by_one = (by_setting(run_sweep(spec, shard, batched=batched)) for batched in (True, False))
    check_equal(batched, one_by_one)
    assert len({trial.loss for trial in batched.values()}) == 8


@pytest.fixture
def shared(spec: dict[str, Any]) -> WidthProgram:
    return WidthProgram.of(job_of(spec, SHARD).spec, 16, load_corpus("python_docs"))


@pytest.fixture
def trials(spec: dict[str, Any]) -> list[TrialIdentity]:
    return in_order(job_of(spec, SHARD).shard)


class Refusing(BatchProgram):
    """A device that has room for two lanes."""

    tried: list[int]

    def run(self, trials: Sequence[TrialIdentity], report: Callable[[int], None] = lambda _: None) -> list[Trial]:
        self.tried.append(self.lanes)
        if self.lanes > 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes")
        return super().run(trials, report)


def test_a_refused_batch_is_halved_until_it_fits(shared: WidthProgram, trials: list[TrialIdentity]) -> None:
    Refusing.tried = []
    found = by_setting(run_batches(shared, trials[:4], trials, lambda *_: None, build=Refusing))
    assert Refusing.tried == [4, 2, 2]
    check_equal(found, by_setting(run_batches(shared, trials[:4], trials, lambda *_: None)))


def test_other_errors_of_the_device_are_not_memory(shared: WidthProgram, trials: list[TrialIdentity]) -> None:
    tried: list[int] = []

    class Broken(BatchProgram):
        def run(self, trials: Sequence[TrialIdentity], report: Callable[[int], None] = lambda _: None) -> list[Trial]:
            report(0)
            tried.append(len(trials))
            raise RuntimeError(f"INTERNAL: the device fell off the bus after {len(trials)} trials")

    with pytest.raises(RuntimeError, match="fell off"):
        list(run_batches(shared, trials[:2], trials, lambda *_: None, build=Broken))
    assert tried == [2]


def test_a_batch_fits_the_memory_that_the_compiler_counts(shared: WidthProgram, trials: list[TrialIdentity]) -> None:
    built: list[BatchProgram] = []

    def build(shared: WidthProgram, lanes: int) -> BatchProgram:
        built.append(BatchProgram(shared, lanes))
        return built[-1]

    each = BatchProgram(shared, 2).bytes_needed
    limit = int(1.5 * each / MEMORY_SHARE)  # room for two lanes and not for four
    found = list(run_batches(shared, trials, trials, lambda *_: None, memory_bytes=limit, build=build))
    assert len(found) == 8
    assert built[-1].bytes_needed <= MEMORY_SHARE * limit
    assert built[-1].lanes in (2, 3)


def test_a_stored_trial_changes_no_other_and_a_whole_stored_batch_does_not_run(
    shared: WidthProgram, trials: list[TrialIdentity]
) -> None:
    class Counting(BatchProgram):
        runs = 0

        def run(self, trials: Sequence[TrialIdentity], report: Callable[[int], None] = lambda _: None) -> list[Trial]:
            Counting.runs += 1
            return super().run(trials, report)

    def build(shared: WidthProgram, lanes: int) -> BatchProgram:
        return Counting(shared, min(lanes, 4))

    everything = by_setting(run_batches(shared, trials, trials, lambda *_: None, build=build))
    Counting.runs = 0
    rest = by_setting(run_batches(shared, trials, trials[5:], lambda *_: None, build=build))
    assert Counting.runs == 1
    assert len(rest) == 3
    for key, trial in rest.items():
        assert (trial.status, trial.loss) == (everything[key].status, everything[key].loss)


def test_a_batch_over_several_devices_gives_what_one_device_gives(spec: dict[str, Any], compile_cache: Path) -> None:
    """Four devices of the host stand for the chips of a TPU host; of their eight lanes two are left over."""
    asked = {**SHARD, "learning_rates": [0.003, 0.01, 1e38]}
    code = (
        "import json, sys\n"
        "from tests.engine.jobs import run_sweep\n"
        "from workers.engine.device import describe_device, use_compile_cache\n"
        f"use_compile_cache({str(compile_cache)!r})\n"
        "spec, shard = json.loads(sys.stdin.read())\n"
        "assert describe_device()['device_count'] == 4\n"
        "print(json.dumps([trial.to_dict() for trial in run_sweep(spec, shard, batched=True)]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([spec, asked]),
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    spread = [Trial.from_dict(trial) for trial in json.loads(ran.stdout)]
    check_equal(by_setting(spread), by_setting(run_sweep(spec, asked)))


def test_lanes_are_divided_evenly_over_devices() -> None:
    place = Spread(tuple(jax.devices()) * 4)
    assert [place.whole(lanes) for lanes in (1, 4, 9)] == [4, 4, 12]
    assert [place.half(lanes) for lanes in (4, 8, 12, 24)] == [4, 4, 4, 12]
