"""Where the trials of a batch run: spread evenly over the devices of this process, such as the chips of a TPU host.

Trials do not exchange anything, so the axis of trials is the only one that is divided, and no device waits for another
within a step. What all trials share is copied to every device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "trials"
_spec: Callable[..., PartitionSpec] = PartitionSpec  # untyped in jax


@dataclass(frozen=True)
class Spread:
    """The devices of a batch, and how arrays lie on them."""

    devices: Sequence[jax.Device]

    @classmethod
    def here(cls) -> "Spread":
        """Return the spread over every device that this process has."""
        return cls(tuple(jax.local_devices()))

    @property
    def count(self) -> int:
        """The number of devices."""
        return len(self.devices)

    @property
    def trials(self) -> NamedSharding:
        """The layout of an array whose first axis is the trials."""
        return NamedSharding(self._mesh, _spec(AXIS))

    @property
    def copies(self) -> NamedSharding:
        """The layout of an array that all trials share."""
        return NamedSharding(self._mesh, _spec())

    @property
    def _mesh(self) -> Mesh:
        return Mesh(np.array(self.devices), (AXIS,))

    def whole(self, lanes: int) -> int:
        """Return the smallest number of lanes from this one on that gives every device equally many."""
        return -(-lanes // self.count) * self.count

    def half(self, lanes: int) -> int:
        """Return about half as many lanes, at least one for each device."""
        return max(self.count, lanes // 2 // self.count * self.count)

    def layout(self, axes: Any) -> Any:
        """Return layouts for `jax.jit` from the axes that `jax.vmap` takes: 0 for the axis of trials, None for none."""
        return jax.tree.map(
            lambda axis: self.trials if axis == 0 else self.copies, axes, is_leaf=lambda axis: axis is None
        )
