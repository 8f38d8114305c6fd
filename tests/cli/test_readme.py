"""The README: its table, its demo and what its snippet for optax comes to; tests/docs runs every block of it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.cli.test_help import COMMANDS
from widthwise.folding import folded

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_it_opens_with_the_two_commands() -> None:
    assert re.match(r"# Widthwise\n\n    make demo .*\n    make test .*\n", TEXT)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", TEXT.replace("and make, and", ""))) <= targets


def test_the_table_of_commands_is_whole() -> None:
    listed = re.findall(r"^\| `widthwise ([a-z]+)`", TEXT, re.MULTILINE)
    assert listed == COMMANDS


def test_files_that_it_names_exist() -> None:
    for path in re.findall(r"\]\(([a-z][^:)]*)\)", TEXT) + re.findall(
        r"(?:python |@)((?:benchmarks|examples)/\S+?)[`\s]", TEXT
    ):
        assert (ROOT / path).exists(), path


def test_the_demos_table_is_what_the_command_prints(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    printed = [line.split() for line in run("transfer", "examples/gpt2_small_to_xl.json").out.splitlines()]
    shown = [line.split() for line in TEXT.splitlines() if re.match(r"    (role|embedding|hidden|readout) ", line)]
    assert len(shown) == 4
    assert all(line in printed for line in shown)


def test_the_optax_snippet() -> None:
    names: dict[str, Any] = {}
    exec(next(block for block in blocks("python") if "optax" in block), names)  # noqa: S102
    params, optimizer, state = names["params"], names["optimizer"], names["state"]
    gradients = {name: np.full(value.shape, 0.5, np.float32) for name, value in params.items()}
    for made in range(2):  # the schedule starts at 0
        updates, state = optimizer.update(gradients, state, params)
        for tensor in folded(names["plan"]).tensors:
            # Adam's step of an unchanging gradient is the learning rate itself
            step = -made / 100 * tensor.learning_rate.value * (1 + tensor.weight_decay.value * params[tensor.name])
            np.testing.assert_allclose(updates[tensor.name], step, rtol=1e-4)
            assert np.std(params[tensor.name]) == pytest.approx(tensor.init_std.value, rel=0.02)
