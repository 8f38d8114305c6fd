"""Which tensors stand in the residual blocks: as declared, or as a stack of as many layers as the model is deep."""

from widthwise.tensors.placement import Placement, Tensor
from widthwise.tensors.widths import Pair
from widthwise.vocabulary import Role

_ENDS = (Role.EMBEDDING, Role.READOUT)  # of the model: outside every block, unless declared otherwise


def in_block(tensor: Tensor, placement: Placement, depth: Pair | None) -> bool | None:
    """Whether a tensor stands in a residual block; None if nothing in the request tells.

    depth: of base and target. A tensor with one axis of these sizes, other than its fan axes, is a stack of layers.
    """
    if tensor.in_block is not None:
        return tensor.in_block
    if depth is not None and _is_stack(tensor, depth):
        return True
    return False if placement.role in _ENDS else None


def _is_stack(tensor: Tensor, depth: Pair) -> bool:
    dimensions = len(tensor.base_shape)
    fans = {axis % dimensions for axis in (*(tensor.fan_in_axes or ()), *(tensor.fan_out_axes or ()))}
    sizes = zip(tensor.base_shape, tensor.target_shape, strict=True)
    return [size for axis, size in enumerate(sizes) if axis not in fans].count(depth) == 1
