"""A calibration on this machine alone, in real child processes and in children that misbehave."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from workers.lifetime import Lifetime
from workers.local import ATTEMPTS, LocalRunError, run_calibration
from workers.protocol import Event, TrialDone

#: A child that reads its job, does what `{before}` says, starts, and does what `{body}` says with `job` and `say`.
FAKE = """
import json, os, sys, time
job = json.loads(sys.stdin.readline())
def say(event, **more): print(json.dumps(dict(event=event, **more)), flush=True)
{before}
say("started")
if job.get("only_compile"):
    say("finished")
    sys.exit()
{body}
"""
TRIALS = """
import math
for rate in job["shard"]["learning_rates"]:
    for seed in job["shard"]["seeds"]:
        if [rate, seed, None, 1.0, None] in job["done"]: continue
        x = math.log2(rate) + 6
        say("trial", trial=dict(width=job["shard"]["width"], learning_rate=rate, seed=seed, role=None, gamma=1.0,
            horizon=None, status="completed", loss=2 + .1 * x * x, seconds=.1, steps=30, flops=1.0))
"""


def fake(body: str, before: str = "") -> tuple[str, ...]:
    return (sys.executable, "-c", FAKE.format(body=body, before=before))


@pytest.fixture
def telescope(spec: dict[str, Any]) -> CalibrationSpec:
    rates = [2.0 ** (0.5 * k) for k in range(-15, -8)]
    whole = {**spec, "search": "telescope", "mesh": 0.5, "learning_rates": rates, "seeds": 2}
    return CalibrationSpec.from_dict(whole)


def test_a_telescope_runs_in_children_and_is_fitted(spec: dict[str, Any], compile_cache: Path) -> None:
    heard: list[Event] = []
    rates = [2.0**k for k in range(-6, 0)]  # the best is inside, and a mesh of 1 asks for nothing finer: two rounds
    small = CalibrationSpec.from_dict(
        {**spec, "search": "telescope", "mesh": 1.0, "learning_rates": rates, "seeds": 2, "steps": 20}
    )
    found = run_calibration(small, processes=2, cache_dir=compile_cache, on_event=lambda _, event: heard.append(event))
    assert found.rounds >= 2
    assert {trial.width for trial in found.trials} == {8, 16}
    assert found.result is not None
    assert len(found.environments) == 1
    assert [event.trial for event in heard if isinstance(event, TrialDone)] == list(found.trials)
    assert found.cpu_seconds > 0
    # the same again from what is known: nothing to run, the same result
    again = run_calibration(small, done=found.trials, command=fake("sys.exit(9)"))
    assert (again.rounds, again.trials) == (0, found.trials)
    assert again.result is not None
    assert again.result.to_dict() == found.result.to_dict()


def test_children_live_on_through_every_round(telescope: CalibrationSpec, tmp_path: Path) -> None:
    """A loop makes of the fake child one that takes a job after the other; each notes that it has come."""
    note = f"open({str(tmp_path)!r} + '/' + str(os.getpid()), 'w')\n"
    body = note + "while True:\n" + "".join(f"    {line}\n" for line in [*TRIALS.splitlines(), 'say("finished")'])
    body += "    job = json.loads(sys.stdin.readline())\n    say('started')\n"
    found = run_calibration(telescope, processes=1, command=fake(body))
    assert found.rounds > 1
    lived_on = len(list(tmp_path.iterdir()))
    assert lived_on < found.rounds  # each has a shard at least
    fresh = run_calibration(telescope, processes=1, command=fake(body), lifetime=Lifetime(shards=1))
    assert len(list(tmp_path.iterdir())) >= lived_on + fresh.rounds
    assert sorted(map(repr, fresh.trials)) == sorted(map(repr, found.trials))


def test_a_place_without_a_shard_compiles_for_a_later_round(telescope: CalibrationSpec, tmp_path: Path) -> None:
    """The first round has the smallest width alone, and the other place then compiles the next."""
    wider = replace(telescope, widths=(*telescope.widths, 8 * max(telescope.widths)))
    note = f"""
if job.get("only_compile"):
    open({str(tmp_path / "widths")!r}, "a").write(str(job["shard"]["width"]) + " ")
"""
    command = fake("time.sleep(.5)\n" + TRIALS + 'say("finished")', note)
    found = run_calibration(wider, processes=2, command=command)
    compiled = (tmp_path / "widths").read_text().split()
    assert compiled[0] == str(wider.widths[1])
    assert len(compiled) == len(set(compiled))
    assert {trial.width for trial in found.trials} == set(wider.widths)
    assert len({trial.identity for trial in found.trials}) == len(found.trials)


def test_what_an_interrupted_run_left_is_not_run_again(telescope: CalibrationSpec) -> None:
    whole = run_calibration(telescope, processes=2, command=fake(TRIALS + 'say("finished")'))
    rest = run_calibration(telescope, processes=1, done=whole.trials[:9], command=fake(TRIALS + 'say("finished")'))
    assert sorted(map(repr, rest.trials)) == sorted(map(repr, whole.trials))
    assert len({t.identity for t in rest.trials}) == len(rest.trials)


def test_a_child_that_dies_is_followed_by_another_with_the_rest(telescope: CalibrationSpec, tmp_path: Path) -> None:
    # the first to come dies after its trials; its outcomes are kept
    body = TRIALS + f"open({str(tmp_path / 'died')!r}, 'x'); os.kill(os.getpid(), 9)\n"
    body = f"if not os.path.exists({str(tmp_path / 'died')!r}):\n" + "".join(
        f"    {line}\n" for line in body.splitlines()
    )
    found = run_calibration(telescope, processes=1, command=fake(body + TRIALS + 'say("finished")'))
    assert (tmp_path / "died").exists()
    assert len({t.identity for t in found.trials}) == len(found.trials)
    assert found.result is not None


def test_a_shard_that_always_fails_ends_the_run_with_its_reason(telescope: CalibrationSpec, tmp_path: Path) -> None:
    log = tmp_path / "attempts"
    body = f"open({str(log)!r}, 'a').write('x'); say('error', kind='internal', message='out of paper')"
    with pytest.raises(LocalRunError, match=f"failed {ATTEMPTS} times.*out of paper"):
        run_calibration(replace(telescope, seeds=1), processes=1, command=fake(body))
    assert len(log.read_text()) == ATTEMPTS
    with pytest.raises(LocalRunError, match=r"\(protocol\): the child wrote"):
        run_calibration(telescope, command=fake('print("hello", flush=True); time.sleep(60)'))


def test_what_no_other_attempt_can_mend_is_not_attempted_again(telescope: CalibrationSpec) -> None:
    with pytest.raises(InvalidInputError, match="no such text"):
        run_calibration(telescope, command=fake('say("error", kind="invalid_input", message="no such text")'))


def test_a_round_without_outcome_ends_the_run(telescope: CalibrationSpec) -> None:
    with pytest.raises(LocalRunError, match="produced no outcome"):
        run_calibration(telescope, command=fake('say("finished")'))


def test_trials_without_an_optimum_are_kept_and_said(telescope: CalibrationSpec) -> None:
    body = TRIALS.replace("completed", "diverged").replace("2 + .1 * x * x", "None")
    found = run_calibration(telescope, command=fake(body + 'say("finished")'))
    assert found.result is None
    assert "no width has an optimum" in str(found.failure)
    assert found.trials


def test_no_child_outlives_a_run_that_is_stopped(telescope: CalibrationSpec, tmp_path: Path) -> None:
    def stop(shard: Any, event: Any) -> None:
        raise KeyboardInterrupt

    note = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    with pytest.raises(KeyboardInterrupt):
        run_calibration(telescope, processes=1, command=fake("time.sleep(60)", note), on_event=stop)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
