"""Gradients and alignment of a model: the numbers that the theory defines, and a plan that follows them."""

import copy
import random
from math import log
from typing import Any

import pytest
import torch
from torch import nn

import widthwise.torch
from tests.models.small import IDS, llama, plan_of
from widthwise import Base, InvalidInputError, Plan, TransferRequest
from widthwise.sweeps.exponents import SweepSetting
from widthwise.theory.stability import theoretical_exponents
from widthwise.transfers.transfer import plan_of as answer

TEXT = {**IDS, "labels": IDS["input_ids"]}
OTHER = {name: values + 30 for name, values in TEXT.items()}
TENSORS = [
    {"name": "table", "base_shape": [97, 64], "target_shape": [97, 1024], "role": "embedding"},
    {"name": "inner", "base_shape": [64, 64], "target_shape": [1024, 1024], "role": "hidden"},
    {"name": "head", "base_shape": [97, 64], "target_shape": [97, 1024], "role": "readout"},
]


class Net(nn.Module):
    """Statistics that change in place, random numbers, an attribute that counts, and a table used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 8)
        self.norm = nn.BatchNorm1d(8)
        self.inner = nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.table.weight
        self.calls = 0

    def forward(self, ids: torch.Tensor) -> Any:
        self.calls += 1
        if random.random() < 2:
            x = self.dropout(self.inner(self.norm(self.table(ids))))
        return self.head(x)


def loss(outputs: Any, ids: torch.Tensor) -> Any:
    return nn.functional.cross_entropy(outputs, ids)


def rms(values: Any) -> float:
    return float(values.detach().double().square().mean().sqrt())


@pytest.fixture
def trained() -> tuple[Any, Any]:
    """A Llama after three steps, and as it was before."""
    torch.manual_seed(0)
    model = llama(64, depth=1)
    initial = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(3):
        model(**TEXT).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, initial


def test_a_gradients_rms_is_over_all_batches_and_by_role_the_smallest() -> None:
    model = llama(64, depth=1)
    squares: dict[str, float] = {}
    for batch in (TEXT, OTHER):
        model(**batch).loss.backward()
        for name, parameter in model.named_parameters():
            squares[name] = squares.get(name, 0.0) + rms(parameter.grad) ** 2 / 2
        model.zero_grad()
    found = widthwise.torch.measure(model, [TEXT, OTHER])
    by_name = {tensor.name: tensor.gradient_rms for tensor in found.tensors}
    assert by_name == {name: pytest.approx(square**0.5, rel=1e-4) for name, square in squares.items()}
    hidden = [size for name, size in by_name.items() if "proj" in name]
    assert found.gradient_rms["hidden"] == min(hidden)
    assert found.gradient_rms["readout"] == by_name["lm_head.weight"]
    assert found.alignment is None
    assert found.to_dict() == {"base": {"gradient_rms": found.gradient_rms}}


def test_alignment_is_everetts(trained: tuple[Any, Any]) -> None:
    model, initial = trained
    found = {tensor.name: tensor for tensor in widthwise.torch.measure(model, TEXT, initial=initial).tensors}
    seen: list[torch.Tensor] = []
    for each in (initial, model):
        handle = each.lm_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
        each(**TEXT)
        handle.remove()
    before = initial.lm_head.weight.detach()
    change, moved = model.lm_head.weight.detach() - before, seen[1] - seen[0]

    def exponent(weight: torch.Tensor, inputs: torch.Tensor) -> float:
        return log(rms(inputs @ weight.T) / (rms(weight) * rms(inputs))) / log(64)

    head = found["lm_head.weight"]
    assert head.alpha == pytest.approx(exponent(change, seen[0]), rel=1e-4)
    assert head.omega == pytest.approx(exponent(before, moved), rel=1e-4)
    assert head.u == pytest.approx(exponent(change, moved), rel=1e-4)
    assert found["model.embed_tokens.weight"].alpha is None


def test_a_plan_follows_what_was_measured(trained: tuple[Any, Any]) -> None:
    """By the library, and by the JSON of a transfer request."""
    model, initial = trained
    found = widthwise.torch.measure(model, TEXT, initial=initial)
    measured = found.to_dict()
    alpha = measured["alignment"]["hidden"]["alpha"]
    assert 0.5 <= alpha < 0.9

    base = {"width": 64, "learning_rate": 0.002, "epsilon": 1e-8}
    words = {"parameterization": "standard", "optimizer": "adamw", "layout": "out_in"}
    request = {**words, "base": base, "target": {"width": 1024}, "tensors": TENSORS}
    plain = planned(request)
    followed = planned({**request, **measured, "base": {**base, **measured["base"]}})
    assert plain.tensor("inner").learning_rate.multiplier == 1 / 16
    exponent = float(theoretical_exponents("standard", "adamw", measured["alignment"])["hidden"].c)
    assert alpha <= exponent < 0.9
    assert followed.tensor("inner").learning_rate.multiplier == pytest.approx(16**-exponent)
    assert followed.tensor("inner").gradient_rms.value == pytest.approx(
        found.gradient_rms["hidden"] * plain.tensor("inner").gradient_rms.multiplier
    )
    assert plain.tensor("inner").gradient_rms.value is None

    target = llama(128, depth=1)
    by_library = plan_of(
        initial, target, base=Base(learning_rate=0.002, gradient_rms=found.gradient_rms), alignment=found.alignment
    )
    name = "model.layers.0.mlp.up_proj.weight"
    assert by_library.tensor(name).learning_rate.multiplier == pytest.approx(2**-exponent)
    setting = SweepSetting.of("standard", "adamw", alignment=measured["alignment"])
    assert float(setting.alignment.hidden.alpha) == alpha


def planned(request: dict[str, Any]) -> Plan:
    return answer(TransferRequest.from_dict(request))


def test_epsilon_is_held_against_the_measured_gradient(trained: tuple[Any, Any]) -> None:
    found = widthwise.torch.measure(trained[1], TEXT)
    words = {"parameterization": "mup", "optimizer": "adam", "layout": "out_in"}
    sizes = {"width": 64, "learning_rate": 0.002, "epsilon": found.gradient_rms["hidden"] / 2}
    plan = planned(
        {**words, "base": {**sizes, **found.to_dict()["base"]}, "target": {"width": 1024}, "tensors": TENSORS}
    )
    said = {caution.code: caution.message for caution in plan.warnings}
    assert "measured at the base" in said["epsilon_near_gradient"]


@pytest.mark.parametrize("training", [True, False])
def test_the_model_stays_as_it_was(*, training: bool) -> None:
    torch.manual_seed(1)
    random.seed(1)
    model, ids = Net().train(training), torch.arange(12)
    initial = copy.deepcopy(model).train(not training)
    with torch.no_grad():
        model.inner.weight.add_(0.1)
    loss(model(ids), ids).backward()
    model.calls = 1
    before = copy.deepcopy(model.state_dict())
    gradients = {name: each.grad.clone() for name, each in model.named_parameters()}
    numbers, drawn = torch.random.get_rng_state(), random.getstate()
    hooks = len(model.inner._forward_hooks)
    found = widthwise.torch.measure(model, [ids, ids + 3], initial=initial, loss=loss)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert {name: torch.equal(each.grad, gradients[name]) for name, each in model.named_parameters()} == dict.fromkeys(
        gradients, True
    )
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert random.getstate() == drawn
    assert (model.training, model.inner.training, initial.training, model.calls) == (
        training,
        training,
        not training,
        1,
    )
    assert len(model.inner._forward_hooks) == hooks
    # a tied weight stands for both of its uses
    by_name = {tensor.name: (tensor.role.value, tensor.gradient_rms) for tensor in found.tensors}
    assert by_name["table.weight"] == ("embedding", by_name["head.weight"][1])
    assert by_name["head.weight"][0] == "readout"
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_convolution_is_read_and_a_frozen_parameter_is_not() -> None:
    model = nn.Sequential(nn.Conv1d(4, 8, 3), nn.Conv1d(8, 8, 3), nn.Flatten(), nn.Linear(32, 5))
    initial = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    model[3].bias.requires_grad_(requires_grad=False)
    found = widthwise.torch.measure(
        model, torch.randn(3, 4, 8), initial=initial, loss=lambda outputs, _: outputs.square().mean()
    )
    by_name = {tensor.name: tensor for tensor in found.tensors}
    assert "3.bias" not in by_name
    assert 0.3 < by_name["1.weight"].alpha < 0.8
    assert by_name["1.weight"].fan_in == 24
    assert by_name["0.weight"].omega is None  # its input is the data, which stays


def test_it_is_a_table_in_print_and_in_a_notebook(trained: tuple[Any, Any]) -> None:
    found = widthwise.torch.measure(trained[0], TEXT)
    assert str(found).splitlines()[0].split() == ["tensor", "role", "gradient", "RMS", "α", "ω", "u"]
    assert len(str(found).splitlines()) == len(found.tensors) + 1 == found._repr_html_().count("<tr>")


def test_what_cannot_be_measured_is_said() -> None:
    model, ids = Net(), torch.arange(12)
    with pytest.raises(InvalidInputError, match="batches is empty"):
        widthwise.torch.measure(model, [], loss=loss)
    with pytest.raises(InvalidInputError, match="Net returns no loss"):
        widthwise.torch.measure(model, ids)
    with pytest.raises(InvalidInputError, match="no linear or convolution layer of initial"):
        widthwise.torch.measure(model, ids, initial=nn.Sequential(nn.Embedding(20, 4)), loss=loss)
    with pytest.raises(InvalidInputError, match=r"the gradient of 'table\.weight' is not finite"):
        widthwise.torch.measure(model, ids, loss=lambda outputs, batch: loss(outputs, batch) * float("nan"))
