"""What the `mup` package gives each tensor: run as a program, on stdin a JSON list of cases, on stdout its answers.

mup imports torch, but of all that it uses here only names matter: `zip_infshape` works on shapes, and MuAdamW and
MuSGD sort parameters by the `infshape` that they carry.  So an empty torch stands in, in this process alone.

A case is {"optimizer": "adamw" | "sgd", "learning_rate", "weight_decay", "tensors": [[name, base, target], …]}; its
answer is {name: [learning rate, weight decay]}.
"""

import json
import sys
from types import ModuleType
from typing import Any


class _Optimizer:
    """Keeps the groups that mup made, as torch.optim's optimizers do."""

    def __init__(self, groups: list[dict[str, Any]], **_: Any) -> None:
        self.param_groups = groups


def _torch() -> None:
    """Put an empty torch into sys.modules with the names that mup imports."""
    init = "_calculate_correct_fan _calculate_fan_in_and_fan_out _no_grad_fill_ _no_grad_normal_ _no_grad_uniform_"
    names: dict[str, dict[str, Any]] = {
        "torch": {},
        "torch.nn": {"Linear": type("Linear", (), {}), "Module": type("Module", (), {})},
        "torch.nn.init": dict.fromkeys([*init.split(), "_no_grad_trunc_normal_", "calculate_gain"]),
        "torch.nn.modules": {},
        "torch.nn.modules.conv": {"_ConvNd": type("_ConvNd", (), {})},
        "torch.optim": {name: type(name, (_Optimizer,), {}) for name in ("SGD", "Adam", "AdamW")},
    }
    for name, members in names.items():
        module = sys.modules[name] = ModuleType(name)
        module.__dict__.update(members)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)


class _Parameter:
    """Stands for a tensor: a name, and the shape pair that mup computes from."""

    def __init__(self, name: str, infshape: Any) -> None:
        self.name, self.infshape, self.shape = name, infshape, tuple(infshape.shape())


def answer(case: dict[str, Any]) -> dict[str, tuple[float, float]]:
    from mup import MuAdamW, MuSGD, zip_infshape  # type: ignore[import-untyped]  # after the stand-in

    parameters = [_Parameter(name, zip_infshape(base, target)) for name, base, target in case["tensors"]]
    make = {"adamw": MuAdamW, "sgd": MuSGD}[case["optimizer"]]
    made = make(parameters, lr=case["learning_rate"], weight_decay=case["weight_decay"])
    return {p.name: (group["lr"], group["weight_decay"]) for group in made.param_groups for p in group["params"]}


if __name__ == "__main__":
    _torch()
    json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
