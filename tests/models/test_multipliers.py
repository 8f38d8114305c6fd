"""Forward multipliers: hooks that scale what the plan says, found out where they can't, and the same folded."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import widthwise.torch
from tests.models.small import IDS, llama, loss_of, plan_of
from tests.models.test_init import seeded
from widthwise import Base, InvalidInputError, Plan, UnplacedTensorsError

HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"


def mup(tied: bool = False) -> tuple[Any, Plan]:
    """A Llama, twice as wide, under muP: embeddings × √2, logits × 1/√2."""
    model = llama(64, tied=tied)
    return model, plan_of(llama(32, tied=tied), model, parameterization="mup")


def logits(model: nn.Module) -> Any:
    with torch.no_grad():
        return model(**IDS).logits


def test_hooks_scale_embeddings_and_logits() -> None:
    model, plan = mup()
    table, head = (plan.tensor(name).forward_multiplier.multiplier for name in (TABLE, HEAD))
    assert (table, head) == (pytest.approx(2**0.5), pytest.approx(2**-0.5))
    by_hand = copy.deepcopy(model)
    by_hand.model.embed_tokens.weight.data *= table
    by_hand.lm_head.weight.data *= head
    assert widthwise.torch.apply_multipliers(model, plan, IDS) is plan
    assert widthwise.torch.multipliers(model) == {TABLE: table, HEAD: head}
    torch.testing.assert_close(logits(model), logits(by_hand))


def test_a_tied_head_is_scaled_without_its_table() -> None:
    model, plan = mup(tied=True)
    plain = copy.deepcopy(model)
    widthwise.torch.apply_multipliers(model, plan, {**IDS, "labels": IDS["input_ids"]})
    ratio = plan.tensor(HEAD).forward_multiplier.multiplier
    table = plan.tensor(TABLE).forward_multiplier.multiplier
    plain.model.embed_tokens.register_forward_hook(lambda _module, _args, output: output * table)
    torch.testing.assert_close(logits(model), logits(plain) * ratio)


def test_a_bias_is_not_scaled() -> None:
    class Net(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, width), nn.Linear(width, 50)

        def forward(self, ids: torch.Tensor) -> Any:
            return self.head(input=self.table(ids))

    ids = torch.arange(8).reshape(2, 4)
    model = Net(64)
    plan = plan_of(Net(16), model, ids, parameterization="mean_field")
    widthwise.torch.apply_multipliers(model, plan, ids)
    expected = model.table.weight[ids] @ model.head.weight.T * 0.25 + model.head.bias
    torch.testing.assert_close(model(ids), expected)


def test_hooks_are_pickled_copied_and_compiled() -> None:
    model, plan = mup()
    model.eval()
    widthwise.torch.apply_multipliers(model, plan, IDS)
    expected = logits(model)
    assert torch.equal(logits(pickle.loads(pickle.dumps(model))), expected)  # noqa: S301
    torch.testing.assert_close(logits(torch.compile(model, backend="aot_eager", fullgraph=True)), expected)


def test_a_model_without_storage_is_hooked_and_filled_later() -> None:
    with torch.device("meta"):
        model = llama(64)
    plan = plan_of(llama(32), model, parameterization="mup")
    widthwise.torch.apply_multipliers(model, plan, IDS)
    assert model.training
    assert all(parameter.is_meta for parameter in model.parameters())
    model.to_empty(device="cpu")
    assert set(widthwise.torch.multipliers(model)) == {TABLE, HEAD}


def test_too_late_and_twice_are_refused() -> None:
    model, plan = mup()
    with pytest.raises(InvalidInputError, match="the model is compiled already, and hooks that come later are ignored"):
        widthwise.torch.apply_multipliers(torch.compile(model, backend="eager"), plan, IDS)
    compiled = copy.deepcopy(model)
    compiled.model.layers[0].compile(backend="eager")
    with pytest.raises(InvalidInputError, match=r"model\.layers\.0 is compiled already"):
        widthwise.torch.apply_multipliers(compiled, plan, IDS)
    widthwise.torch.apply_multipliers(model, plan, IDS)
    with pytest.raises(InvalidInputError, match=r"'model\.embed_tokens\.weight' has a hook; apply multipliers once"):
        widthwise.torch.apply_multipliers(model, plan, IDS)


class Fused(nn.Module):
    """A loss that reads the head's weight while training, as fused cross-entropy kernels do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(50, width), nn.Linear(width, 50, bias=False)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, ids: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        self.seen += 1
        x = nn.functional.dropout(self.table(ids), 0.5, self.training)
        if labels is None:
            return self.head(x)
        return nn.functional.cross_entropy((x @ self.head.weight.T).flatten(0, 1), labels.flatten())


def test_a_fused_loss_is_found_and_leaves_nothing_behind() -> None:
    ids = torch.arange(8).reshape(2, 4)
    model = Fused(64)
    plan = plan_of(Fused(16), model, ids, parameterization="mup")
    state = torch.random.get_rng_state()
    with pytest.raises(InvalidInputError, match=r"reads 'head\.weight' without running its module, as a fused loss"):
        widthwise.torch.apply_multipliers(model, plan, {"ids": ids, "labels": ids})
    assert widthwise.torch.multipliers(model) == {}
    assert model.seen == 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())
    widthwise.torch.apply_multipliers(model, plan, ids)


def test_a_module_that_does_not_run_is_found() -> None:
    class Skips(Fused):
        def forward(self, ids: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
            return self.table(ids) if labels is not None else super().forward(ids)

    ids = torch.arange(8).reshape(2, 4)
    model = Skips(64)
    plan = plan_of(Skips(16), model, ids, parameterization="mup")
    with pytest.raises(InvalidInputError, match=r"did not run the module of 'head\.weight'"):
        widthwise.torch.apply_multipliers(model, plan, {"ids": ids, "labels": ids})


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_folding_trains_the_same_function(optimizer: str) -> None:
    """Hooks with the plan, and the folded plan without hooks: the same losses, step by step, in double precision."""
    base, losses = Base(learning_rate=0.01, epsilon=1e-4, weight_decay=0.1, init_std=0.05), []
    for fold in (False, True):
        model = llama(64).double()
        plan = plan_of(llama(32), model, parameterization="mup", optimizer=optimizer, base=base)
        plan = widthwise.torch.apply_multipliers(model, plan, IDS, fold=fold)
        widthwise.torch.init_(model, plan, generator=seeded())
        assert bool(widthwise.torch.multipliers(model)) is not fold
        groups = widthwise.torch.param_groups(model, plan)
        trainer = torch.optim.AdamW(groups) if optimizer == "adamw" else torch.optim.SGD(groups)
        for _ in range(4):
            loss = loss_of(model)
            loss.backward()
            trainer.step()
            trainer.zero_grad()
            losses.append(float(loss.detach()))
    assert losses[:4] == pytest.approx(losses[4:], rel=1e-9)
    assert losses[3] < losses[0] - 0.01


def test_what_no_hook_can_scale_is_listed_and_folded() -> None:
    class Stacked(nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(50, width), nn.Linear(width, 50, bias=False)
            self.experts = nn.Parameter(torch.randn(3, width, width) / width**0.5)

        def forward(self, ids: torch.Tensor) -> Any:
            x = self.table(ids)
            return self.head(x + torch.einsum("btd,edo->bto", x, self.experts))

    ids = torch.arange(8).reshape(2, 4)
    model = Stacked(64)
    plan = plan_of(Stacked(16), model, ids, parameterization="ntk")
    with pytest.raises(UnplacedTensorsError, match=r"'experts': its forward multiplier 0\.5 needs a linear"):
        widthwise.torch.apply_multipliers(model, plan, ids)
    found = widthwise.torch.apply_multipliers(model, plan, ids, fold=True)
    assert {tensor.forward_multiplier.multiplier for tensor in found.tensors} == {1.0}


def wide_heads(width: int) -> Any:
    """A Llama whose heads grow with the width, so that its attention scale must change."""
    model = llama(width)
    config = copy.deepcopy(model.config)
    config.head_dim, config.num_attention_heads, config.num_key_value_heads = width // 4, 4, 2
    return type(model)(config)


def test_an_attention_scale_that_must_change_is_refused_until_it_is_set() -> None:
    model = wide_heads(64)
    plan = plan_of(wide_heads(32), model)
    scale = plan.model.attention_scale
    assert scale is not None
    with pytest.raises(InvalidInputError, match=r"multiplies query·key by 0\.25, and the plan wants 0\.176777: set it"):
        widthwise.torch.apply_multipliers(model, plan, IDS)
    widthwise.torch.apply_multipliers(model, plan, IDS, done=("attention_scale",))
    for layer in model.model.layers:
        layer.self_attn.scaling = scale.value
    widthwise.torch.apply_multipliers(model, plan, IDS)
    with pytest.raises(InvalidInputError, match="done has 'attention'; give some of attention_scale, residual"):
        widthwise.torch.apply_multipliers(model, plan, IDS, done=("attention",))


def test_a_residual_multiplier_is_asked_for() -> None:
    model = llama(64, depth=4)
    reading = {"base": widthwise.torch.trace(llama(32), IDS), "target": widthwise.torch.trace(model, IDS)}
    plan = widthwise.transfer(
        parameterization="mup", optimizer="adamw", base=Base(learning_rate=0.01), model=reading,
        rules={"depth": "completep"},
    )  # fmt: skip
    with pytest.raises(InvalidInputError, match=r"every residual branch by 0\.5 .* then say done="):
        widthwise.torch.apply_multipliers(model, plan, IDS)
    widthwise.torch.apply_multipliers(model, plan, IDS, done=("residual_multiplier",))
