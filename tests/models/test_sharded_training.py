"""A plan under FSDP2 with two processes and torch.compile: the same weights and first steps as in one process."""

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.fsdp import fully_shard

import widthwise.torch
from widthwise import Base, Plan

PROCESSES = 2
BASE = Base(learning_rate=0.002, epsilon=1e-30, weight_decay=0.0, init_std=0.02)


IDS = torch.arange(24).reshape(4, 6)


class Model(nn.Module):
    """Embeddings, residual blocks with gains, and a tied head; the processes need not load transformers for it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(30, width)
        self.layers = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in range(2))
        self.head = nn.Linear(width, 30, bias=False)
        self.tie()

    def tie(self) -> None:
        self.head.weight = self.table.weight

    def forward(self, ids: torch.Tensor) -> Any:
        x = self.table(ids)
        for layer in self.layers:
            x = x + torch.tanh(layer(x))
        return self.head(x)


def loss_of(model: nn.Module) -> Any:
    return nn.functional.cross_entropy(model(IDS).flatten(0, 1), IDS.flip(1).flatten())


def planned(model: nn.Module) -> Plan:
    return widthwise.torch.plan(Model(32), model, IDS, parameterization="mup", optimizer="adamw", base=BASE)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def rates(plan: Plan) -> dict[str, Any]:
    return {tensor.name: tensor.learning_rate.value for tensor in plan.tensors if tensor.tied_to is None}


def in_one_process() -> tuple[float, dict[str, Any]]:
    """The loss at the plan's init, and the weights."""
    model = Model(64)
    for _, linear in model.layers:
        nn.init.zeros_(linear.bias)
    plan = widthwise.torch.apply_multipliers(model, planned(model), IDS)
    widthwise.torch.init_(model, plan, generator=seeded())
    return float(loss_of(model).detach()), {name: each.detach() for name, each in model.named_parameters()}


def whole(model: Any) -> dict[str, Any]:
    """Every weight, gathered from its shards."""
    return {name: each.full_tensor().detach().clone() for name, each in model.named_parameters()}


def _rank(rank: int, folder: str) -> None:
    """What one of the processes does: hooks on meta, shards, storage, weights, compile, groups, check, a step."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES)
    with torch.device("meta"):
        model = Model(64)
    for _, linear in model.layers:
        nn.init.zeros_(linear.bias)
    plan = widthwise.torch.apply_multipliers(model, planned(model), IDS)
    for layer in model.layers:
        fully_shard(layer)
    fully_shard(model)
    model.to_empty(device="cpu")
    model.tie()
    for norm, linear in model.layers:  # gains and biases keep what the model's own initialisers make
        norm.reset_parameters()
        nn.init.zeros_(linear.bias)
    torch.manual_seed(rank)  # processes with other seeds still draw one model
    widthwise.torch.init_(model, plan, generator=seeded() if rank == 0 else None)
    for layer in model.layers:
        layer.compile(backend="eager")
    optimizer = torch.optim.AdamW(widthwise.torch.param_groups(model, plan))
    widthwise.torch.attach(optimizer, plan)
    checked = widthwise.torch.check(model, optimizer, plan, file=io.StringIO())
    weights = whole(model)
    loss = loss_of(model)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    moved = {name: float((each - weights[name]).abs().max()) for name, each in whole(model).items()}
    if rank == 0:
        torch.save(
            {"loss": float(loss.detach()), "weights": weights, "moved": moved, "checked": len(checked)},
            f"{folder}/found",
        )
    distributed.destroy_process_group()


@pytest.mark.timeout(300)
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    multiprocessing.spawn(_rank, (str(tmp_path),), PROCESSES)
    found = torch.load(tmp_path / "found")
    loss, weights = in_one_process()
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert all(torch.equal(found["weights"][name], each) for name, each in weights.items())
    wanted = rates(planned(Model(64)))
    assert found["checked"] == len(wanted)
    assert found["moved"] == {name: pytest.approx(rate, rel=2e-3) for name, rate in wanted.items()}
