"""The README's first example: it runs as it stands there, with the PyTorch and the model that it names."""

import re
from pathlib import Path
from typing import Any

import pytest

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_pytorch_snippet() -> None:
    """Standard, AdamW, full alignment, ×4 as wide: η × ¼ and λ × 4 for all that reads the width."""
    names: dict[str, Any] = {}
    snippet = next(block for block in re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S) if "torch" in block)
    exec(snippet, names)  # noqa: S102
    groups = {name: group for (name, _), group in zip(names["model"].named_parameters(), _groups(names), strict=True)}
    expected = {
        "model.embed_tokens.weight": (0.003, 0.1),
        "model.layers.3.mlp.down_proj.weight": (0.00075, 0.4),
        "model.norm.weight": (0.003, 0.0),
        "lm_head.weight": (0.00075, 0.4),
    }
    found = {name: (groups[name]["lr"], groups[name]["weight_decay"]) for name in expected}
    assert found == {name: pytest.approx(values) for name, values in expected.items()}
    assert all(group["eps"] > 0 for group in groups.values())


def _groups(names: dict[str, Any]) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = names["optimizer"].param_groups
    return groups
