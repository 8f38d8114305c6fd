"""The whole service as a newcomer runs it: `widthwise serve` in a process, workers, the JAX engine, a real socket."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.processes import processes_marked
from widthwise.client import Client

#: In the environment of everything that one service starts, whichever session it puts itself in.
MARK = "WIDTHWISE_DATA_DIR"

TRANSFER = {
    "parameterization": "standard",
    "optimizer": "adam",
    "alignment": "full",
    "base": {"width": 256, "learning_rate": 0.003, "epsilon": 1e-8},
    "target": {"width": 4096},
}
WIDTHS = [8, 16, 32]
RATES = [0.003, 0.01, 0.03, 0.1, 0.3]
#: Three widths for an interval, and a grid wide enough to hold each optimum (measured: 0.03 to 0.1 after 40 steps).
SPEC = {
    "parameterization": "standard",
    "optimizer": "adam",
    "alignment": "full",
    "widths": WIDTHS,
    "learning_rates": RATES,
    "seeds": 1,
    "steps": 40,
    "search": "grid",
    "measure": ["learning_rate", "epsilon", "alignment", "coordinates"],
    "proxy": {"architecture": "mlp", "depth": 1, "batch_size": 64},
}
LONG = {**SPEC, "widths": [64, 128], "steps": 100_000, "measure": ["learning_rate"]}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Client, Path]]:
    """Our own service with two workers; killed at the end, should it still be there."""
    data_dir = tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "widthwise.cli", "serve", "--port", "0", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment | {MARK: str(data_dir)},
    )
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None, (tmp_path / "log").read_text()
        with Client(address[0]) as client:
            yield process, client, data_dir
    finally:
        for pid in processes_marked(MARK, data_dir):
            os.kill(pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        log.close()


def until_none_is_left(data_dir: Path, seconds: float) -> dict[int, str]:
    """Wait for every process of a service to end; give those that did not."""
    give_up = time.monotonic() + seconds
    while (left := processes_marked(MARK, data_dir)) and time.monotonic() < give_up:
        time.sleep(0.05)
    return left


def test_transfer_calibrate_query_and_transfer_again(service: tuple[subprocess.Popen[str], Client, Path]) -> None:
    process, client, data_dir = service
    assert client.health()["status"] == "ready"
    theory = client.transfer(TRANSFER).to_dict()

    submitted = client.submit_calibration(SPEC, idempotency_key="end-to-end")
    assert submitted["progress"]["trials_total"] == submitted["estimate"]["trials"] >= 15
    counts: list[int] = []
    done = client.wait(
        submitted["id"], timeout_seconds=100, on_progress=lambda c: counts.append(c["progress"]["trials_done"])
    )
    assert done["state"] == "succeeded", done["reason"]
    assert counts == sorted(counts)
    assert counts[-1] == done["progress"]["trials_total"]
    assert done["result"] is not None
    assert [optimum["width"] for optimum in done["result"]["optima"]] == WIDTHS

    trials = list(client.trials(submitted["id"]))
    ran = {(t["width"], t["learning_rate"], t["seed"]) for t in trials}
    assert ran >= {(width, rate, 0) for width in WIDTHS for rate in RATES}
    assert len(ran) == len(trials) == counts[-1]  # what later rounds asked for is there once too
    losses = [trial["loss"] for trial in trials if trial["status"] == "completed"]
    assert len(losses) > 9
    assert all(1.0 < loss < 11.1 for loss in losses)  # nats a byte: below twice a uniform guess, above what is possible
    assert min(losses) < 4.0  # it learned: a uniform guess is 5.5

    kinds = {(m["width"], m["kind"]) for m in client.measurements(submitted["id"])}
    assert kinds == {(width, kind) for width in WIDTHS for kind in ("epsilon", "alignment", "coordinates")}
    provenance = done["result"]["provenance"]
    assert (len(provenance["code_sha256"]), len(provenance["environments"])) == (1, 1)
    assert {"epsilon", "alignment", "coordinates"} <= done["result"].keys()

    measured = {e["role"]: e for e in client.exponents(calibration_id=submitted["id"], quantity="learning_rate")}
    drift = done["result"]["drift"]
    for role, theoretical in {"embedding": 0.0, "hidden": 1.0, "readout": 1.0, "vector": 0.0}.items():
        assert measured[role]["theory"] == theoretical
        assert measured[role]["value"] == pytest.approx(theoretical + drift["value"])
        interval = measured[role]["interval"]
        assert interval is not None
        assert interval[0] < measured[role]["value"] < interval[1]

    calibrated = client.transfer({**TRANSFER, "exponents": {"source": "calibration", "id": submitted["id"]}}).to_dict()
    assert calibrated["provenance"]["exponents"]["calibration_id"] == submitted["id"]
    for before, after in zip(theory["layers"], calibrated["layers"], strict=True):
        if after["role"] in measured:
            exponent = measured[after["role"]]["value"]
            assert after["learning_rate"]["value"] == pytest.approx(0.003 * 16**-exponent)
            moved = after["learning_rate"]["value"] != before["learning_rate"]["value"]
            assert moved is (drift["value"] != 0)  # 0 if the trials do not refute theory

    assert len(processes_marked(MARK, data_dir)) >= 4  # the service, its pool and two workers: the scan finds them
    process.terminate()
    assert process.wait(10) == 0
    assert processes_marked(MARK, data_dir) == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_stopped_at_work(
    service: tuple[subprocess.Popen[str], Client, Path], number: signal.Signals
) -> None:
    process, client, data_dir = service
    identifier = client.submit_calibration(LONG)["id"]
    give_up = time.monotonic() + 30
    while sum(command.endswith("workers.child ") for command in processes_marked(MARK, data_dir).values()) < 2:
        assert time.monotonic() < give_up, "the children did not start"
        time.sleep(0.05)
    assert client.calibration(identifier)["state"] == "running"
    process.send_signal(number)
    process.wait(10)
    assert until_none_is_left(data_dir, 20.0 if number is signal.SIGKILL else 0.0) == {}
