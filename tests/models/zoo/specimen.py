"""A model of the zoo: how to build it, what to feed it, and the truth about its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import nn

from tests.models.zoo.truth import Truths

Inputs = Mapping[str, Any] | tuple[Any, ...]  #: by name, or in the order of the forward pass


@dataclass(frozen=True, slots=True)
class Specimen:
    """One model with random weights and tiny sizes: different ones wherever the code allows it, so that no axis can
    be taken for another."""

    name: str
    build: Callable[[], tuple[nn.Module, Inputs]]
    truths: Truths
    wrappers: tuple[str, ...] = ()  #: parts of names that stand for wrappers, which a reading leaves out

    def parameters(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The model's parameters by the names that a reading has for them."""
        return {reduce(_without, self.wrappers, name): each for name, each in model.named_parameters()}

    def __str__(self) -> str:
        return self.name


def _without(name: str, wrapper: str) -> str:
    return name.replace(wrapper, "")
