"""The small language model whose plan the tests export, in PyTorch, and files of an export as a trainer loads them."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from tests.unit.exports.plans import plan_of
from widthwise import Plan
from widthwise.exports.exporting import export

WIDTH, VOCABULARY, BLOCKS = 16, 11, 3
#: By name and what: lr, eps, weight_decay.
Values = dict[tuple[str, str], float]


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.wq = nn.Linear(width, width, bias=False)
        self.wo = nn.Linear(width, width, bias=False)

    def forward(self, x: Any) -> Any:
        return self.wo(self.wq(x))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = Attention(width)
        self.norm = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Any) -> Any:
        return x + self.down(torch.relu(self.up(self.attention(self.norm(x)))))


class LanguageModel(nn.Module):
    """Its parameters are those of `tests.unit.exports.plans.language_model`."""

    def __init__(self, width: int = WIDTH, *, tied: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        self.layers = nn.ModuleList(Block(width) for _ in range(BLOCKS))
        self.norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, input_ids: Any, labels: Any = None) -> dict[str, Any]:
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x)
        logits = self.head(self.norm(x))
        found = {"logits": logits}
        if labels is not None:
            found["loss"] = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return found


def plan(base: int = 4, **words: Any) -> Plan:
    """The plan of that model, from a base of a quarter of its width."""
    return plan_of(base, WIDTH, blocks=BLOCKS, **words)


def written(of: Plan, name: str, folder: Path) -> Path:
    """The file of an export."""
    found = export(of, name, allow_lossy=True)
    path = folder / found.file_name
    path.write_text(found.text, encoding="utf-8")
    return path


def loaded(of: Plan, name: str, folder: Path) -> ModuleType:
    """The module of an export, imported."""
    path = written(of, name, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def values_in(optimizer: Any, model: nn.Module) -> Values:
    """Rate, epsilon and decay of every parameter in an optimizer, by its name; each parameter stands once."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: Values = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = ".".join(part for part in names[id(parameter)].split(".") if not part.startswith("_"))
            assert (name, "lr") not in found
            for key in ("lr", "eps", "weight_decay"):
                found[name, key] = float(group[key])
    return found


def values_of(of: Plan, factor: float = 1.0) -> Values:
    """Rate, epsilon and decay of every parameter in the plan."""
    found: Values = {}
    for tensor in of.tensors:
        if tensor.tied_to is None:
            rate, epsilon, decay = tensor.learning_rate.value, tensor.epsilon, tensor.weight_decay.value
            assert rate is not None
            assert epsilon is not None
            assert epsilon.value is not None
            assert decay is not None
            found[tensor.name, "lr"] = rate * factor
            found[tensor.name, "eps"] = epsilon.value
            found[tensor.name, "weight_decay"] = decay
    return found


def batch() -> dict[str, Any]:
    ids = torch.arange(20).reshape(4, 5) % VOCABULARY
    return {"input_ids": ids, "labels": ids}
