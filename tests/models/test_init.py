"""Initial weights: each matrix with the plan's std, gains and biases as they were, once, whatever wraps the model."""

from typing import Any

import pytest
import torch
from torch import nn

import widthwise.torch
from tests.models.small import BASE, llama, plan_of
from widthwise import Base, ComputedMultiplier, InvalidInputError, UnplacedTensorsError

NO_STD = Base(learning_rate=0.002, epsilon=1e-8)


def rms(parameter: Any) -> float:
    return float(parameter.detach().double().square().mean().sqrt())


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


class Net(nn.Module):
    """A network with PyTorch's own initialisers: stds that follow the fan-in, biases that are drawn, a padding row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(50, width, padding_idx=2)
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.head = nn.Linear(width, 50)

    def forward(self, ids: torch.Tensor) -> Any:
        x = self.table(ids)
        for layer in self.hidden:
            x = x + layer(self.norm(x))
        return self.head(x)


BATCH = torch.arange(12).reshape(2, 6)


def test_every_matrix_has_the_plans_std() -> None:
    base, model = llama(32), llama(64)
    plan = plan_of(base, model)
    model.model.norm.weight.data.fill_(1.25)
    done = widthwise.torch.init_(model, plan, generator=seeded())
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert done[name] is None
        else:
            assert done[name] == plan.tensor(name).init_std.value
            assert rms(parameter) == pytest.approx(done[name], rel=5 / (2 * parameter.numel()) ** 0.5)
    assert torch.equal(model.model.norm.weight, torch.full((64,), 1.25))
    assert len({done[name] for name in done}) > 2


def test_the_same_seed_draws_the_same_and_transformers_leaves_it_alone() -> None:
    base, model, other = llama(32, tied=True), llama(64, tied=True), llama(64, tied=True)
    plan = plan_of(base, model)
    widthwise.torch.init_(model, plan, generator=seeded())
    widthwise.torch.init_(other, plan, generator=seeded())
    model.init_weights()
    for (name, one), (_, two) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(one, two), name
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_without_a_std_it_is_measured_in_the_base_and_not_in_the_target() -> None:
    """PyTorch's own init follows the fan-in already: what the plan multiplies is the base's std."""
    base, model = Net(64), Net(256)
    plan = plan_of(base, model, BATCH, base=NO_STD)
    with pytest.raises(UnplacedTensorsError, match=r"'hidden\.\*\.weight' \(×2\): the plan has no init std for it"):
        widthwise.torch.init_(model, plan)
    biases = {name: each.detach().clone() for name, each in model.named_parameters() if "bias" in name}
    done = widthwise.torch.init_(model, plan, base, generator=seeded())
    for name, own in base.named_parameters():
        if "weight" in name and "norm" not in name:
            expected = rms(own) * plan.tensor(name).init_std.multiplier
            assert done[name] == pytest.approx(expected)
            assert rms(model.get_parameter(name)) == pytest.approx(expected, rel=0.03)
    assert all(torch.equal(model.get_parameter(name), values) for name, values in biases.items())
    assert not model.table.weight[2].any()


def test_extra_blocks_are_drawn_as_the_bases_blocks() -> None:
    base, model = llama(32), llama(64, depth=3)
    plan = plan_of(base, model, base=NO_STD)
    done = widthwise.torch.init_(model, plan, base)
    ups = [layer.mlp.up_proj.weight for layer in base.model.layers]
    expected = (sum(rms(each) ** 2 for each in ups) / 2) ** 0.5 * 0.5**0.5
    assert done["model.layers.2.mlp.up_proj.weight"] == pytest.approx(expected)


def test_what_is_not_drawn_around_zero_stays() -> None:
    base, model = Net(64), Net(64)
    nn.init.ones_(base.hidden[1].weight)
    plan = plan_of(base, model, BATCH, base=NO_STD)
    before = model.hidden[1].weight.detach().clone()
    assert widthwise.torch.init_(model, plan, base)["hidden.1.weight"] is None
    assert torch.equal(model.hidden[1].weight, before)
    wider = Net(128)
    with pytest.raises(UnplacedTensorsError, match=r"'hidden\.1\.weight': the base's values are not drawn around 0"):
        widthwise.torch.init_(wider, plan_of(base, wider, BATCH, base=NO_STD), base)


#: The code multiplies what these make by √width, so that an equivalent model starts them smaller as it grows.
MULTIPLIED = [ComputedMultiplier(power=0.5, of="fan_out", tensors=["norm.weight", "hidden.0.bias"])]


def test_a_gain_that_the_plan_multiplies_starts_so_many_times_as_large() -> None:
    base, model = Net(64), Net(256)
    nn.init.constant_(model.norm.weight, 3.0)
    nn.init.zeros_(model.hidden[0].bias)
    plan = plan_of(base, model, BATCH, code_multipliers=MULTIPLIED)
    assert plan.tensor("norm.weight").init_std.multiplier == 0.5
    for _ in range(2):  # the second call finds what the first one wrote
        assert widthwise.torch.init_(model, plan)["norm.weight"] is None
        assert torch.equal(model.norm.weight, torch.full((256,), 1.5))
        assert not model.hidden[0].bias.any()
    nn.init.ones_(model.norm.weight)
    widthwise.torch.init_(model, plan)
    assert torch.equal(model.norm.weight, torch.full((256,), 0.5))


def test_a_bias_that_is_drawn_has_the_bases_std_times_the_plans_multiplier() -> None:
    """PyTorch draws biases by the fan-in: what the target has follows the width already."""
    base, model = Net(64), Net(256)
    plan = plan_of(base, model, BATCH, code_multipliers=MULTIPLIED)
    with pytest.raises(UnplacedTensorsError, match=r"'hidden\.0\.bias': its init × 0\.5 .* its entries differ"):
        widthwise.torch.init_(model, plan)
    done = widthwise.torch.init_(model, plan, base, generator=seeded())
    assert done["hidden.0.bias"] == pytest.approx(rms(base.hidden[0].bias) / 2)
    assert rms(model.hidden[0].bias) == pytest.approx(rms(base.hidden[0].bias) / 2, rel=0.2)


def test_frozen_parameters_stay_and_half_precision_is_drawn() -> None:
    base, model = llama(32), llama(64).to(torch.bfloat16)
    plan = plan_of(base, model)
    model.lm_head.requires_grad_(False)
    before = model.lm_head.weight.detach().clone()
    done = widthwise.torch.init_(model, plan)
    assert "lm_head.weight" not in done
    assert torch.equal(model.lm_head.weight, before)
    assert rms(model.model.embed_tokens.weight) == pytest.approx(BASE.init_std, rel=0.05)


def test_parameters_on_the_meta_device_are_refused() -> None:
    with torch.device("meta"):
        model = llama(64)
    plan = plan_of(llama(32), model)
    with pytest.raises(InvalidInputError, match=r"draw them after model\.to_empty"):
        widthwise.torch.init_(model, plan)
    model.to_empty(device="cpu")
    widthwise.torch.init_(model, plan)
    assert rms(model.lm_head.weight) == pytest.approx(plan.tensor("lm_head.weight").init_std.value, rel=0.05)
