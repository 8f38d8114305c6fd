"""One worker for each GPU: which ones there are, and what binds a worker to its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from testbed.waiting import until
from widthwise.errors import InvalidInputError
from workers.gpus import choose_gpus, gpu_environment
from workers.pool import WorkerPool

TWO = (
    "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-4a0ee3ec-3c43-e71e-8bc2-6a4ba91d3f65)\n"
    "GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-0d4b8ba1-8ab4-bfe4-1d1e-8a0d7a7b3fa2)\n"
)


def driver(folder: Path, says: str, status: int = 0) -> dict[str, str]:
    """An environment whose nvidia-smi says this."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = -L ] || exit 9\ncat <<'END'\n{says}END\nexit {status}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_all_are_those_that_the_driver_names(tmp_path: Path) -> None:
    assert choose_gpus("all", driver(tmp_path, TWO)) == ("0", "1")


def test_or_those_that_this_process_was_given(tmp_path: Path) -> None:
    environment = driver(tmp_path, TWO) | {"CUDA_VISIBLE_DEVICES": "1"}
    assert choose_gpus("all", environment) == ("1",)
    environment["CUDA_VISIBLE_DEVICES"] = "GPU-4a0ee3ec-3c43-e71e-8bc2-6a4ba91d3f65,MIG-f00"
    assert choose_gpus("all", environment) == ("GPU-4a0ee3ec-3c43-e71e-8bc2-6a4ba91d3f65", "MIG-f00")


def test_some_by_number() -> None:
    assert choose_gpus("0, 3", {}) == ("0", "3")


@pytest.mark.parametrize("asked", ["", "0,", "0,0", "first", "-1", "0;rm"])
def test_what_is_no_list_of_gpus_is_refused(asked: str) -> None:
    with pytest.raises(InvalidInputError, match="give numbers or UUIDs"):
        choose_gpus(asked, {})


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no nvidia-smi on the PATH"):
        choose_gpus("all", {"PATH": str(tmp_path)})
    failed = driver(tmp_path, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9)
    with pytest.raises(InvalidInputError, match="lists no GPU: NVIDIA-SMI has failed"):
        choose_gpus("all", failed)
    with pytest.raises(InvalidInputError, match="it printed nothing"):
        choose_gpus("all", driver(tmp_path, ""))


def test_the_pool_starts_one_worker_for_each_and_names_it(settings: Settings, tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, pathlib, sys, threading\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "name = sys.argv[sys.argv.index('--id') + 1]\n"
        "told = {key: os.environ.get(key) for key in ('CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER', 'JAX_PLATFORMS')}\n"
        "(folder / f'{name}.half').write_text(json.dumps(told))\n"
        "(folder / f'{name}.half').rename(folder / f'{name}.json')\n"
        "threading.Event().wait()\n"
    )
    with WorkerPool(settings, gpus=("0", "3"), command=[sys.executable, str(script)]) as pool:
        assert len(pool.pids()) == 2
        until(lambda: len(list(tmp_path.glob("*.json"))) == 2)
    told = {path.stem.rpartition("-")[2]: path.read_text() for path in tmp_path.glob("*.json")}
    assert set(told) == {"gpu0", "gpu3"}
    assert '"CUDA_VISIBLE_DEVICES": "3"' in told["gpu3"]
    assert gpu_environment("3").items() >= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "JAX_PLATFORMS": "cuda"}.items()


def command(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "widthwise.cli", "work", *arguments]
    return subprocess.run(line, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("settings")
def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    none = command("--gpus", "all", PATH=str(tmp_path))
    assert (none.returncode, "no nvidia-smi" in none.stderr) == (1, True)
    both = command("--gpus", "0", "--workers", "2")
    assert (both.returncode, "give only one of" in both.stderr) == (1, True)
    # this machine's JAX has no plugin for GPUs: its children would fail one by one
    plain = command("--gpus", "all", **driver(tmp_path, TWO))
    assert (plain.returncode, "CUDA plugin" in plain.stderr) == (1, True)
