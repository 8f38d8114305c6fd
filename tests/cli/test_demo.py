"""`widthwise demo`: what it tells, and that it leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.processes import processes_marked
from testbed.waiting import until
from widthwise.cli import console
from widthwise.cli.demo import REQUEST, SWEEP, read_example, tour
from widthwise.client import Client
from widthwise.errors import WidthwiseError


@pytest.mark.usefixtures("worker")
def test_the_tour(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    tour(client, console.stdout(), read_example(REQUEST))
    out, err = capsys.readouterr()
    assert re.findall(r"^(\d)\. ", out, re.MULTILINE) == ["2", "3", "4"]
    assert "transformer.h.*.attn.c_attn.weight" in out
    assert "48/48 trials" in out
    rows = [line.split() for line in out.splitlines()]
    theory, measured = 6e-4 * 768 / 1600, 6e-4 * (768 / 1600) ** 1.25
    (hidden,) = [row for row in rows if row[:2] == ["hidden", "0.0006"]]
    assert hidden[2] == f"{theory:.4g}"
    assert float(hidden[3]) == pytest.approx(measured, rel=0.01)
    low, high = (float(hidden[i]) for i in (4, 6))
    assert low <= measured <= high
    (exponent,) = [float(row[3]) for row in rows if row[:3] == ["learning", "rate", "hidden"]]
    assert exponent == pytest.approx(1.25, abs=0.01)
    assert "Traceback" not in err
    assert max(map(len, out.splitlines())) < 150


def test_the_sweep_is_as_large_as_it_says() -> None:
    assert len(SWEEP["widths"]) * len(SWEEP["learning_rates"]) * SWEEP["seeds"] == 48  # README and `demo --help`


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_everything_is_stopped_when_it_is_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "widthwise.cli", "demo", "--data-dir", str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"DEMO_MARK": str(tmp_path)},
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if re.match("queued|running", line):
                break
        # the demo, the service, its pool and two workers
        until(lambda: len(processes_marked("DEMO_MARK", tmp_path)) >= 5)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 128 + number
        assert "Traceback" not in err
        assert processes_marked("DEMO_MARK", tmp_path) == {}
    finally:
        for pid in processes_marked("DEMO_MARK", tmp_path):
            os.kill(pid, signal.SIGKILL)


def test_it_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(WidthwiseError, match=r"gone\.json, which is only in the repository"):
        read_example(tmp_path / "gone.json")
