"""Wrappers around a model, and inside it, change neither the names nor what is read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import distributed, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DataParallel, DistributedDataParallel

from tests.models.test_trace_hugging_face import IDS, llama
from widthwise import Base, InvalidInputError, transfer
from widthwise.reading.parameter import ParameterUse
from widthwise.torch import trace


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8)) for _ in range(2))
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def checkpointed() -> nn.Module:
    model = Residual()
    model.blocks = nn.ModuleList(checkpoint_wrapper(block) for block in model.blocks)
    return model


def partly_compiled() -> nn.Module:
    model = Residual()
    model.blocks = nn.ModuleList(torch.compile(block, backend="eager") for block in model.blocks)
    return model


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def sharded() -> nn.Module:
    model = Residual()
    for block in model.blocks:
        fully_shard(block)
    return fully_shard(model)


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize(
    "wrap",
    [
        checkpointed,
        partly_compiled,
        sharded,
        lambda: torch.compile(Residual(), backend="eager"),
        lambda: DistributedDataParallel(Residual()),
        lambda: DataParallel(Residual()),
        lambda: torch.compile(DistributedDataParallel(checkpointed()), backend="eager"),
    ],
    ids=["checkpointed", "parts compiled", "fully_shard", "compiled", "DDP", "DataParallel", "all of them"],
)
def test_a_wrapped_model_reads_like_the_model(wrap: Callable[[], nn.Module]) -> None:
    x = torch.ones(2, 5)
    wrapped = wrap()
    plain, found = trace(Residual(), x), trace(wrapped, x)
    assert [(p.name, p.shape, p.use, p.role, p.fan_in_axes, p.block) for p in found.parameters] == [
        (p.name, p.shape, p.use, p.role, p.fan_in_axes, p.block) for p in plain.parameters
    ]
    assert found.source == "torch trace without entries"
    assert found.blocks == (2,)
    with torch.no_grad():
        assert wrapped(x).shape == (2, 3)


@pytest.mark.parametrize("dora", [False, True])
def test_adapters_of_peft(dora: bool) -> None:
    adapted = get_peft_model(llama(), LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj"], use_dora=dora))
    adapted.eval()
    with torch.no_grad():
        before = adapted(**IDS).logits
    reading = trace(adapted, IDS)
    query = reading["model.layers.0.self_attn.q_proj.weight"]
    assert query.use is ParameterUse.CONTRACTION
    for factor, shape in (("A", (3, 48)), ("B", (48, 3))):
        found = reading[f"model.layers.1.self_attn.q_proj.lora_{factor}.default.weight"]
        assert (found.use, found.shape) == (ParameterUse.LOW_RANK, shape)
        assert (found.fan_in_axes, found.fan_out_axes) == ((1,), (0,))
    with torch.no_grad():
        assert torch.equal(adapted(**IDS).logits, before)


def test_adapters_of_another_rank_need_a_rule_and_follow_it() -> None:
    """PEFT's own α/r stays out of it: at constant alpha the code computes it, and the rule knows."""
    small, large = (
        trace(get_peft_model(llama(), LoraConfig(r=rank, lora_alpha=6, target_modules=["q_proj"])), IDS)
        for rank in (3, 12)
    )
    words = {"parameterization": "mup", "optimizer": "adamw", "base": Base(learning_rate=1e-4)}
    models = {"base": small, "target": large}
    with pytest.raises(InvalidInputError, match="not a width"):
        transfer(**words, model=models)
    plan = transfer(**words, model=models, rules={"rank": "rank_slope"})
    for factor in ("A", "B"):
        found = plan.tensor(f"model.layers.1.self_attn.q_proj.lora_{factor}.default.weight")
        assert found.learning_rate.multiplier == pytest.approx(4**0.18)
        assert found.forward_multiplier.multiplier == pytest.approx(1)
    assert plan.tensor("model.layers.1.self_attn.q_proj.weight").learning_rate.multiplier == 1
