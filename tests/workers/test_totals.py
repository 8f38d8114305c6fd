"""What a worker says of itself: its totals, and log lines that name calibration, shard and request."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from service.store import Claim, Lease, Store
from testbed.waiting import PATIENCE_SECONDS, until
from tests.store.samples import sample_spec
from tests.workers.conftest import Spawn, fake_child
from workers.pool import WORKER_COMMAND
from workers.supervisor import Supervisor
from workers.totals import Outcome, Totals

Make = Callable[..., Supervisor]


def shards(totals: Totals) -> dict[str, int]:
    """Those outcomes that happened."""
    counted: dict[str, int] = totals.to_dict()["shards"]
    return {outcome: count for outcome, count in counted.items() if count}


def test_buckets_are_cumulative() -> None:
    totals = Totals()
    for status, seconds in (("completed", 0.05), ("completed", 0.3), ("diverged", 20.0), ("stopped", 5000.0)):
        totals.count_trial({"status": status, "seconds": seconds})
    totals.count_trial({"status": "failed", "seconds": None})
    told = totals.to_dict()
    assert told["trials"] == {"completed": 2, "diverged": 1, "stopped": 1, "failed": 1}
    assert told["trial_seconds"]["buckets"] == {
        "0.1": 1,
        "0.3": 2,
        "1": 2,
        "3": 2,
        "10": 2,
        "30": 3,
        "100": 3,
        "300": 3,
        "1000": 3,
    }
    assert (told["trial_seconds"]["count"], told["trial_seconds"]["sum"]) == (4, pytest.approx(5020.35))
    json.dumps(told, allow_nan=False)


def test_threads_count_together() -> None:
    totals = Totals()

    def count() -> None:
        for _ in range(1000):
            totals.count_trial({"status": "completed", "seconds": 1.0})

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals.to_dict()["trial_seconds"]["count"] == 8000


def test_a_supervisor_counts_shards_and_stored_trials(store: Store, claim: Claim, supervise: Make) -> None:
    supervisor = supervise("run")
    assert supervisor.run(claim) is Outcome.SUCCEEDED
    told = supervisor.totals.to_dict()
    assert shards(supervisor.totals) == {"succeeded": 1}
    assert told["trials"]["completed"] == told["trial_seconds"]["count"] == 2
    assert told["lease_losses"] == 0
    supervisor.heartbeat()
    assert store.workers.all()[0].totals == told


def test_a_lost_lease_is_counted_and_its_trials_are_not(store: Store, claim: Claim, supervise: Make) -> None:
    store.workers.abandon("w")
    assert store.work.claim("thief") is not None
    supervisor = supervise("run")
    assert supervisor.run(claim) is Outcome.LOST
    told = supervisor.totals.to_dict()
    assert (shards(supervisor.totals), told["lease_losses"], told["trials"]["completed"]) == ({"lost": 1}, 1, 0)


def test_a_mistake_of_ours_fails_the_attempt_at_once(store: Store, claim: Claim, supervise: Make) -> None:
    class Broken(Supervisor):
        def heartbeat(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("a mistake")

    supervisor = Broken(**vars(supervise("run")))
    assert supervisor.run(claim) is Outcome.FAILED
    (shard,) = store.calibrations.shards(claim.calibration_id)
    assert shard.reason is not None
    assert "RuntimeError('a mistake')" in shard.reason
    assert store.work.check(claim) is Lease.LOST  # it is in the queue again


@pytest.mark.usefixtures("settings")
def test_every_line_of_a_shard_says_whose_it_is(store: Store, spawn: Spawn) -> None:
    identifier = store.calibrations.create(sample_spec(widths=[32], seeds=1), request_id="req-7").calibration.id
    worker = spawn(
        [*WORKER_COMMAND, "--id", "w", "--child", *fake_child("abort")],
        env={**os.environ, "WIDTHWISE_LOG_FORMAT": "json", "WIDTHWISE_LOG_LEVEL": "debug"},
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: store.calibrations.get(identifier).progress.trials_done > 1)  # the second attempt
    worker.terminate()
    assert worker.wait(PATIENCE_SECONDS) == 0
    assert worker.stderr is not None
    lines = [json.loads(line) for line in worker.stderr]
    (shard,) = store.calibrations.shards(identifier)
    whose = {"calibration_id": identifier, "shard_id": shard.id, "request_id": "req-7", "worker_id": "w"}
    events = [line["event"] for line in lines if line.items() >= whose.items()]
    assert events[:3] == ["shard_started", "shard_failed", "shard_ended"]
    outside = [line["event"] for line in lines if "shard_id" not in line]
    assert not {"shard_started", "shard_failed", "shard_ended", "lease_lost"} & set(outside)
    assert {"worker_started", "worker_stopped"} <= set(outside)


def test_the_host_process_and_chance_make_a_name() -> None:
    program = "from workers.identity import machine_id; print(machine_id(), machine_id())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert len(set(said)) == 2
    assert len({name.rpartition("-")[0] for name in said}) == 1
