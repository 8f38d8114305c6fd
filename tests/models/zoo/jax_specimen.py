"""A JAX model of the zoo: its forward pass, the shapes that it takes, and the truth about its parameters."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from tests.models.zoo.truth import Truths
from widthwise.reading.model import Place

Built = tuple[Callable[..., Any], Any, tuple[Any, ...]]  #: the forward pass, the shapes of its parameters, its inputs


@dataclass(frozen=True, slots=True)
class JaxSpecimen:
    """One model at tiny sizes, different ones wherever the code allows it, so that no axis can be taken for another."""

    name: str
    build: Callable[[], Built]
    truths: Truths
    blocks: tuple[int, ...] = ()  #: residual blocks of each chain
    width: int | None = None  #: of the residual stream
    attentions: tuple[
        tuple[int, int], ...
    ] = ()  #: how many of each kind, and their head dimension; 1/√d is their scale
    multipliers: tuple[tuple[Place, float], ...] = ()
    boxes: str = ""  #: what ends the paths in the pytree that a reading leaves out

    def __str__(self) -> str:
        return self.name


def shapes_by_path(params: Any, boxes: str = "") -> dict[str, Any]:
    """The leaves of a pytree by the names that a reading has for them."""
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    return {jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(boxes): leaf for path, leaf in leaves}
