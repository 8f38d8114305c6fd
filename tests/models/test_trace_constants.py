"""Constants and numbers of a model's code, which a trace keeps although its tensors have no entries."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from widthwise.reading.dataflow.graph import Graph
from widthwise.reading.model import Place
from widthwise.torch import trace
from widthwise.torch.recorder import Recorder
from widthwise.torch.running import OnMeta
from widthwise.vocabulary import Role


class Halving(nn.Module):
    """Multiplies by numbers that its code writes out, for the device of its data."""

    def __init__(self, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        self.make = make

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.first(x)) * self.make(x)


NUMBERS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "on the data's device": lambda x: torch.tensor(0.5, device=x.device),
    "from the data": lambda x: x.new_tensor(0.5),
    "computed": lambda x: torch.tensor(4.0, device=x.device).rsqrt(),
    "on the CPU": lambda _: torch.tensor(0.5),
}


class Looking(nn.Module):
    """Its code looks at constants, which do not depend on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        places = torch.arange(x.shape[1], device=x.device)
        return self.last(self.first(x)) if (places.diff() == 1).all() else x


class Writing(nn.Module):
    """Writes data into a tensor that it makes on the CPU, whatever device its input has."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> Any:
        kept = torch.zeros(x.shape[0], 8)
        kept[:] = self.first(x)
        return self.last(kept)


@pytest.mark.parametrize("make", NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_the_code_writes_out_are_known(make: Callable[[torch.Tensor], torch.Tensor]) -> None:
    (multiplier,) = trace(Halving(make), torch.ones(2, 5)).multipliers
    assert (multiplier.place, multiplier.value) == (Place.LOGITS, 0.5)


@pytest.mark.parametrize("model", [Looking(), Writing()], ids=["looking", "writing"])
def test_what_the_code_does_with_constants_needs_no_entries_of_the_data(model: nn.Module) -> None:
    reading = trace(model, torch.ones(2, 5))
    assert reading.source == "torch trace without entries"
    assert (reading["first.weight"].role, reading["last.weight"].role) == (Role.EMBEDDING, Role.READOUT)


def test_constants_keep_their_entries_unless_they_are_large() -> None:
    with Recorder(Graph(), {}, None, OnMeta()).recording():
        assert [torch.ones(size, size).is_meta for size in (100, 10**6)] == [False, True]


def test_an_operator_that_is_known_returns_what_it_did() -> None:
    run, data = OnMeta(), torch.empty(3, 4, dtype=torch.long, device="meta")
    turned = data.T
    for tensor, factor in ((data, 2), (data, 2.0), (turned, 2), (data.short(), 2)):
        for _ in range(2):
            found = run(torch.ops.aten.mul.Tensor, (tensor, factor), {}, [tensor])
            expected = tensor * factor
            assert (found.shape, found.stride(), found.dtype) == (expected.shape, expected.stride(), expected.dtype)
    first, second = (run(torch.ops.aten.mul.Tensor, (data, 2), {}, [data]) for _ in range(2))
    assert first.untyped_storage()._cdata != second.untyped_storage()._cdata
