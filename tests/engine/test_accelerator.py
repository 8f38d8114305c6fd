"""The script for an accelerator, at toy size on the CPU: every part runs, with the engine's packages alone."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from benchmarks.accelerator import PARTS, ROUNDING, TOY, lines, measure

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def relaxed_promotion(strict_promotion: None) -> object:
    with jax.numpy_dtype_promotion("standard"):  # optax's own counters
        yield


def test_every_part_runs_and_the_page_says_that_it_was_a_toy() -> None:
    found = measure(replace(TOY, widths=(8,), exponent_widths=(8,)), say=lambda _: None)
    assert all(found[name] for name in PARTS)
    assert found["equality"]["states_agree"]
    assert found["equality"]["largest_difference"] < ROUNDING
    assert [row["width"] for row in found["speed"]] == [8]
    assert found["memory"]["lanes"] < found["memory"]["lanes_without_limit"] == found["memory"]["trials"]
    assert found["memory"]["largest_difference"] < ROUNDING
    assert len(found["exponents"]) == 8
    page = "\n".join(lines(found, toy=True))
    assert "This was not run at full size on an accelerator" in page
    assert all(f"| {kind} | global |" in page for kind in ("standard", "ntk", "mup", "mean_field"))
    assert "-0.95" in page


def test_no_part_begins_when_the_time_is_up() -> None:
    found = measure(replace(TOY, seconds=0.0), say=lambda _: None)
    assert [found[name] for name in PARTS] == [None] * len(PARTS)
    assert "Left out, because the time was up: equality, speed, memory, exponents." in lines(found, toy=True)


def test_the_script_needs_no_package_of_the_service() -> None:
    code = (
        "import sys, benchmarks.accelerator, workers.engine.sweep, workers.engine.device\n"
        "known = {'celery', 'sqlalchemy', 'fastapi', 'pydantic', 'structlog', 'httpx', 'typer', 'torch'}\n"
        "print(*sorted(known & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
