"""The README's first example: it runs as it stands there, with the PyTorch and the model that it names."""

import re
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_pytorch_snippet(capsys: pytest.CaptureFixture[str]) -> None:
    """muP, AdamW, ×4 as wide: it makes a training step, and the check that it prints finds all in force."""
    names: dict[str, Any] = {}
    snippet = next(block for block in re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S) if "torch" in block)
    exec(snippet, names)  # noqa: S102
    optimizer, model = names["optimizer"], names["model"]
    groups = {name: group for group in optimizer.param_groups for name in group["param_names"]}
    expected = {
        "model.embed_tokens.weight": (0.0015, 0.2),
        "model.layers.3.mlp.down_proj.weight": (0.00075, 0.4),
        "model.norm.weight": (0.003, 0.0),
        "lm_head.weight": (0.0015, 0.2),
    }
    found = {name: (groups[name]["lr"], groups[name]["weight_decay"]) for name in expected}
    assert found == {name: pytest.approx(values) for name, values in expected.items()}
    assert all(optimizer.state[parameter]["step"] == 1 for parameter in model.parameters())
    head = next(line for line in capsys.readouterr().out.splitlines() if "lm_head.weight" in line)
    assert head.split()[0] == "✓"
    assert head.split()[-1] == "0.5"
