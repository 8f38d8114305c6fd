"""Adam-atan2 against its formula, entry by entry."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

import widthwise.torch
from tests.models.small import first_steps, llama, plan_of
from widthwise import Base, InvalidInputError


def test_steps_follow_the_formula() -> None:
    torch.manual_seed(1)
    parameters = [
        nn.Parameter(torch.randn(3, 4, dtype=torch.float64)),
        nn.Parameter(torch.randn(5, dtype=torch.float64)),
    ]
    a, b, lr, decay, beta1, beta2 = 1.27, 0.8, 0.01, 0.1, 0.9, 0.95
    optimizer = widthwise.torch.AdamAtan2(parameters, lr, (beta1, beta2), a=a, b=b, weight_decay=decay)
    values: list[Any] = [each.detach().clone() for each in parameters]
    moments: list[tuple[Any, Any]] = [(torch.zeros_like(each), torch.zeros_like(each)) for each in values]
    for step in range(1, 6):
        for index, parameter in enumerate(parameters):
            if index == 1 and step == 2:
                parameter.grad = None  # its second step comes later, and is corrected as the second
                continue
            parameter.grad = torch.randn_like(parameter)
            count = step if index == 0 or step == 1 else step - 1
            mu = beta1 * moments[index][0] + (1 - beta1) * parameter.grad
            nu = beta2 * moments[index][1] + (1 - beta2) * parameter.grad**2
            moments[index] = mu, nu
            moved = a * torch.atan2(mu / (1 - beta1**count), b * (nu / (1 - beta2**count)).sqrt())
            values[index] = values[index] * (1 - lr * decay) - lr * moved
        assert optimizer.step(lambda: 3.0) == 3.0
        for parameter, value in zip(parameters, values, strict=True):
            torch.testing.assert_close(parameter.detach(), value)


def test_a_plan_trains_with_it_and_the_scale_of_gradients_does_not_matter() -> None:
    moves = []
    for scale in (1.0, 1e-6):
        torch.manual_seed(0)
        model = llama(64)
        plan = plan_of(llama(32), model, optimizer="adam_atan2", base=Base(learning_rate=0.002))
        for parameter in model.parameters():
            parameter.register_hook(lambda gradient, scale=scale: gradient * scale)
        moves.append(first_steps(model, widthwise.torch.AdamAtan2(widthwise.torch.param_groups(model, plan))))
        assert moves[-1] == {
            name: pytest.approx((plan.tensor(name).learning_rate.value or 0) * math.pi / 4, rel=2e-3)
            for name in moves[-1]
        }
    assert moves[0] == pytest.approx(moves[1], rel=1e-3)


def test_its_state_is_saved_and_what_it_cannot_do_is_refused() -> None:
    parameter = nn.Parameter(torch.ones(2))
    optimizer = widthwise.torch.AdamAtan2([parameter])
    parameter.grad = torch.tensor([0.0, 2.0])
    optimizer.step()
    assert parameter[0] == 1
    other = widthwise.torch.AdamAtan2([nn.Parameter(parameter.detach().clone())])
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    other.param_groups[0]["params"][0].grad = parameter.grad
    other.step()
    optimizer.step()
    assert torch.equal(other.param_groups[0]["params"][0], parameter)
    with pytest.raises(InvalidInputError, match="b is 0"):
        widthwise.torch.AdamAtan2([parameter], b=0)
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(InvalidInputError, match="needs dense gradients"):
        widthwise.torch.AdamAtan2(table.parameters()).step()
