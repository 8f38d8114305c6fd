"""The judge of the zoo sees every kind of fault."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from torch import nn

from tests.models.zoo.judge import faults
from tests.models.zoo.truth import BIAS, HEAD, LINEAR, TABLE, UNUSED, Truth, matrix
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.vocabulary import Role

TRUTHS = {"embed.weight": TABLE.tied(HEAD), "open.weight": matrix(role=None), "idle": UNUSED, "*.bias": BIAS}
TRUTHS["*.weight"] = LINEAR


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.middle = nn.Linear(4, 6)
        self.open = nn.Linear(6, 4, bias=False)
        self.idle = nn.Parameter(self.open.weight[0].detach().clone())


def placed(name: str, shape: tuple[int, ...], truth: Truth, **changes: object) -> Parameter:
    axes = {
        side: tuple(index for index, letter in enumerate(truth.axes or "s" * len(shape)) if letter == side)
        for side in "ios"
    }
    question = "what is it?" if truth.role is None else None
    parameter = Parameter(name, shape, truth.use, truth.role, axes["i"], axes["o"], axes["s"], question=question)
    return replace(parameter, **changes)  # type: ignore[arg-type]  # whatever a test plants


def right() -> Iterator[Parameter]:
    yield placed("idle", (6,), UNUSED)
    yield placed("embed.weight", (5, 4), TABLE)
    yield placed("middle.weight", (6, 4), LINEAR)
    yield placed("middle.bias", (6,), BIAS)
    yield placed("open.weight", (4, 6), matrix(role=None))
    yield placed("embed.weight (readout)", (5, 4), HEAD, tied_to="embed.weight")


def judged(parameters: list[Parameter]) -> dict[str, list[str]]:
    return faults(dict(Model().named_parameters()), TRUTHS, ModelReading("test", tuple(parameters)))


def test_the_truth_has_no_fault() -> None:
    assert judged(list(right())) == {}


@pytest.mark.parametrize(
    ("index", "change", "name", "words"),
    [
        (2, {"role": Role.READOUT}, "middle.weight", "role readout instead of hidden"),
        (2, {"role": None, "question": "which?"}, "middle.weight", "role open instead of hidden"),
        (2, {"use": ParameterUse.LOOKUP}, "middle.weight", "use lookup instead of contraction"),
        (2, {"fan_in_axes": (0,), "fan_out_axes": (1,)}, "middle.weight", "axes 'io' instead of 'oi'"),
        (2, {"fan_in_axes": ()}, "middle.weight", "not each of"),
        (2, {"stack_axes": (1,)}, "middle.weight", "not each of"),
        (2, {"shape": (6, 5)}, "middle.weight", "shape (6, 5) instead of (6, 4)"),
        (2, {"name": "other.weight"}, "middle.weight", "placed 0 times"),
        (2, {"name": "other.weight"}, "other.weight", "no such parameter"),
        (4, {"role": Role.HIDDEN}, "open.weight", "role hidden instead of open"),
        (4, {"question": None}, "open.weight", "without a question"),
        (5, {"tied_to": None}, "embed.weight", "0 tied to it instead of 1"),
        (5, {"tied_to": "middle.weight"}, "middle.weight", "1 tied to it instead of 0"),
        (5, {"role": Role.HIDDEN}, "embed.weight", "tied: role hidden instead of readout"),
    ],
)
def test_a_planted_fault_is_seen(index: int, change: dict[str, object], name: str, words: str) -> None:
    parameters = list(right())
    parameters[index] = replace(parameters[index], **change)  # type: ignore[arg-type]  # whatever a test plants
    assert words in "; ".join(judged(parameters)[name])


def test_a_parameter_that_is_placed_twice_is_seen() -> None:
    assert "placed 2 times" in judged([*right(), next(right())])["idle"][0]


def test_an_axis_of_size_one_may_stand_anywhere() -> None:
    assert list(BIAS.faults(placed("bias", (1,), BIAS, fan_out_axes=(), stack_axes=(0,)))) == []
