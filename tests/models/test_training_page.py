"""docs/training.md, block by block: a run of Trainer, a check that passes and one that fails, and what was measured."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)  # Trainer makes its folder
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 4
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102
    assert all(names["optimizer"].state[parameter]["step"] == 2 for parameter in names["model"].parameters())
    assert "coordinate check: pass (widths 32, 64, 128)" in capsys.readouterr().out
    hidden = names["plan"].tensor("model.layers.0.mlp.up_proj.weight").gradient_rms
    assert hidden.value == pytest.approx(names["gradients"].gradient_rms["hidden"] * hidden.multiplier)
