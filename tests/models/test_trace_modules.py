"""What a reading needs of a module, and that it leaves the module as it was."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.torch import trace
from widthwise.vocabulary import Role


class Asking(nn.Module):
    """Its code asks for an entry of a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.first(x)) if x.sum().item() > 0 else self.last(self.first(-x))


class Caching(nn.Module):
    """Keeps what it computed, as a cache of rotations does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        self.cached: Any = None
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> Any:
        self.cached = self.first(x)
        self.seen += 1
        return self.last(self.cached)


class Routed(nn.Module):
    """Experts in a list, of which each row takes one; its code leaves out those that no row takes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.heads = nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 2)])

    def forward(self, x: torch.Tensor) -> Any:
        hidden = self.first(x)
        out = torch.zeros_like(hidden)
        for number, expert in enumerate(self.experts):
            rows = (x[:, 0] == number).nonzero()[:, 0]
            if len(rows):
                out[rows] = torch.relu(expert(hidden[rows]))
        return self.last(out)


def test_an_expert_that_no_row_takes_is_read_as_the_others_are() -> None:
    inputs = torch.tensor([[1.0, 2, 3, 4, 5], [3, 2, 3, 4, 5]])
    reading = trace(Routed(), inputs)
    taken, left = reading["experts.1.weight"], reading["experts.2.weight"]
    assert taken.role is left.role is Role.HIDDEN
    assert (left.fan_in_axes, left.fan_out_axes) == ((1,), (0,))
    assert "it is read as experts.1.weight is" in left.evidence[-1]
    assert reading["experts.0.bias"].role is Role.VECTOR
    assert reading["heads.0.weight"].role is None  # nothing ran that it could be like


def test_a_model_that_asks_for_entries_runs_as_it_is_given() -> None:
    reading = trace(Asking(), torch.ones(2, 5))
    assert reading.source == "torch trace of the model as given"
    assert reading["last.weight"].role is Role.READOUT


def test_a_model_that_cannot_run_is_an_error_that_says_why() -> None:
    with torch.device("meta"):
        model = Asking()
    with pytest.raises(InvalidInputError, match=r"Asking could not run .* give a small instance"):
        trace(model, torch.ones(2, 5))
    with pytest.raises(InvalidInputError, match=r"mat1 and mat2|size"):
        trace(nn.Linear(5, 8), torch.ones(2, 6))


def test_a_missing_input_is_an_error_that_names_it() -> None:
    with pytest.raises(InvalidInputError, match=r'needs x; give them as \{"x": tensor\}'):
        trace(Asking())
    with pytest.raises(InvalidInputError, match="inputs is a str"):
        trace(Asking(), "text")


@pytest.mark.parametrize("inputs", [torch.ones(2, 5), (torch.ones(2, 5),), {"x": torch.ones(2, 5)}])
def test_inputs_are_a_tensor_a_tuple_or_a_mapping(inputs: Any) -> None:
    assert trace(Caching(), inputs)["first.weight"].role is Role.EMBEDDING


def test_the_model_stays_as_it_was() -> None:
    model = Caching().train()
    model.last.eval()
    before = copy.deepcopy(model.state_dict())
    parameters = dict(model.named_parameters())
    trace(model, torch.ones(2, 5))
    assert model.cached is None
    assert (model.training, model.first.training, model.last.training) == (True, True, False)
    assert all(parameters[name] is parameter for name, parameter in model.named_parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model(torch.ones(2, 5)).requires_grad


class TiedBackwards(nn.Module):
    """The head comes before the table whose weights it shares."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 11, bias=False)
        self.table = nn.Embedding(11, 8)
        self.middle = nn.Linear(8, 8, bias=False)
        self.table.weight = self.head.weight

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(torch.relu(self.middle(self.table(ids))))


class Transposing(nn.Linear):
    """A linear layer that sums over the other axis than nn.Linear does."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - its name in nn.Linear
        return input @ self.weight


IDS = torch.tensor([[1, 2], [3, 4]])


def test_tied_weights_follow_the_use_whichever_module_comes_first() -> None:
    reading = trace(TiedBackwards(), IDS)
    assert [(p.name, p.role, p.tied_to) for p in reading.parameters] == [
        ("head.weight", Role.EMBEDDING, None),
        ("table.weight", Role.READOUT, "head.weight"),
        ("middle.weight", Role.HIDDEN, None),
    ]
    assert reading.cautions == ()


def test_a_module_that_does_something_else_than_its_type_says_is_a_caution() -> None:
    model = nn.Sequential(nn.Linear(5, 8), Transposing(8, 8, bias=False), nn.Linear(8, 3))
    reading = trace(model, torch.ones(2, 5))
    assert reading["1.weight"].fan_in_axes == (0,)
    (caution,) = reading.cautions
    assert caution.code == "module_type_contradicted"
    assert "1.weight is the weight of an nn.Linear, and the forward pass sums it over axes [0]" in caution.message
