"""The YAML for llm-foundry, read as its documentation says: in order, by re.search, each parameter taken once."""

import re

import pytest
import yaml

from tests.unit.exports.plans import plan_of
from widthwise.exports.exporting import export


def test_every_parameter_is_taken_once_with_the_plans_values() -> None:
    plan = plan_of()
    section = yaml.safe_load(export(plan, "llm_foundry", allow_lossy=True).text)["optimizer"]
    assert section.pop("name") == "decoupled_adamw"
    left = [tensor.name for tensor in plan.tensors]
    for group in section.pop("param_groups"):
        assert set(group) == {"param_str_match", "lr", "eps", "weight_decay"}
        taken = [name for name in left if re.search(group["param_str_match"], name)]
        left = [name for name in left if name not in taken]
        for name in taken:
            tensor = plan.tensor(name)
            rate, epsilon, decay = tensor.learning_rate.value, tensor.epsilon, tensor.weight_decay.value
            assert rate is not None
            assert epsilon is not None
            assert decay is not None
            assert group["lr"] == pytest.approx(rate)
            assert group["eps"] == pytest.approx(epsilon.value)
            assert group["weight_decay"] == pytest.approx(rate * decay)  # it is not multiplied by the rate
    assert left == []
    assert section == {"lr": pytest.approx(0.003)}
