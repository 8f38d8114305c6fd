"""Tensors that are spread over processes (DTensor), whole and in parts."""

import sys
from typing import Any


def is_sharded(tensor: Any) -> bool:
    """Whether a tensor is a DTensor."""
    module = _distributed_tensor()
    return module is not None and isinstance(tensor, module.DTensor)


def whole_of(tensor: Any) -> Any:
    """Return a tensor with all of its entries. A sharded one is gathered, for which every process must ask."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def sharded_like(tensor: Any, whole: Any) -> Any:
    """Return `whole` sharded as `tensor` is, from the first process; unchanged if that is not sharded."""
    module = _distributed_tensor()
    if module is None or not is_sharded(tensor):
        return whole
    return module.distribute_tensor(whole, tensor.device_mesh, tensor.placements)


def _distributed_tensor() -> Any:
    """PyTorch's module of sharded tensors; None if nobody has imported it, so that there are none."""
    return sys.modules.get("torch.distributed.tensor")
