"""Modules for trainers that do not install here, with a stand-in for the one class of the trainer that each uses."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jax.numpy as jnp
import pytest

from tests.trainers.model import LanguageModel, loaded, plan, values_in, values_of
from tests.unit.exports.page import LOADED


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **classes: type) -> None:
    """Put a module with these classes where an import finds it."""
    parts = name.split(".")
    for at in range(1, len(parts) + 1):
        path = ".".join(parts[:at])
        if path not in sys.modules:
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
    for each, value in classes.items():
        monkeypatch.setattr(sys.modules[name], each, value, raising=False)


def test_axolotls_plugin_builds_the_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "axolotl.integrations.base", BasePlugin=type("BasePlugin", (), {}))
    module, model = load("axolotl", tmp_path), LanguageModel()
    module.multiply_(model)
    optimizer = module.WidthwisePlugin().create_optimizer({}, SimpleNamespace(model=model))
    assert values_in(optimizer, model) == pytest.approx(values_of(plan()))


def test_the_bridges_provider_returns_the_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import megatron.core  # noqa: F401  the stand-in is for a package in the same namespace

    provider = type("OptimizerConfigOverrideProvider", (), {})
    stand_in(monkeypatch, "megatron.bridge.training.config", OptimizerConfigOverrideProvider=provider)
    module = load("megatron_bridge", tmp_path)
    found = module.WidthwiseOverrides(min_lr_ratio=0.2).build_config_overrides(None)
    assert found == module.config_overrides(0.2)
    assert [each["min_lr"] / each["max_lr"] for each in found.values()] == pytest.approx([0.2] * len(found))


def test_levanters_optimizer_follows_its_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered: dict[str, Any] = {}

    class OptimizerConfig:
        @classmethod
        def register_subclass(cls, name: str) -> Any:
            return lambda found: registered.setdefault(name, found)

        def lr_scheduler(self, steps: int) -> Any:
            return lambda step: self.learning_rate * (1 - step / steps)  # type: ignore[attr-defined]

    stand_in(monkeypatch, "levanter.optim", OptimizerConfig=OptimizerConfig)
    load("levanter", tmp_path)
    transform = registered["widthwise"](max_grad_norm=None).build(2)
    params: dict[str, Any] = {name: jnp.ones((2, 2)) for name, what in values_of(plan()) if what == "lr"}
    gradients = {name: jnp.ones((2, 2)) for name in params}
    state = transform.init(params)
    for factor in (1.0, 0.5):
        updates, state = transform.update(gradients, state, params)
        wanted = values_of(plan(), factor)
        for name, update in updates.items():
            rate, epsilon, decay = (wanted[name, what] for what in ("lr", "eps", "weight_decay"))
            assert float(update[0, 0]) == pytest.approx(-rate * (1 / (1 + epsilon) + decay), rel=1e-4)


def load(name: str, folder: Path) -> ModuleType:
    assert name not in LOADED
    return loaded(plan(), name, folder)
