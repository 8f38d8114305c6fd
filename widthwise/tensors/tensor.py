"""One parameter of a model, with its shape at both sizes and what was declared of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from widthwise.vocabulary import Role, TensorPart


@dataclass(frozen=True, slots=True)
class Tensor:
    """One parameter of the model, with its unsharded shape in the base and in the target."""

    name: str
    base_shape: Sequence[int]
    target_shape: Sequence[int]
    fan_in_axes: Sequence[int] | None = None  #: axes summed over in the forward pass; [] for gains and biases
    fan_out_axes: Sequence[int] | None = None  #: axes of the output; axes in neither are stacks (layers, experts)
    role: Role | str | None = None
    tied_to: str | None = None  #: name of the tensor that owns the weights which this one reuses
    decayed: bool = True  #: False keeps weight decay away from it, whatever its role has
    in_block: bool | None = None  #: whether it stands in a residual block; rules of depth need to know
    part: TensorPart | str | None = None  #: what it is within experts, an adapter or a state space


def changed_axes(tensor: Tensor) -> list[int]:
    """Axes whose sizes differ between base and target."""
    pairs = zip(tensor.base_shape, tensor.target_shape, strict=False)
    return [axis for axis, (base, target) in enumerate(pairs) if base != target]


def shapes_of(tensor: Tensor) -> str:
    """Both shapes, as messages show them."""
    return f"{list(tensor.base_shape)} → {list(tensor.target_shape)}"
