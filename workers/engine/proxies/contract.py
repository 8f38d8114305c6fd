"""The contract of a proxy: its tensors at a width, and its logits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import prod, sqrt
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from widthwise.vocabulary import Architecture, Role

Params = dict[str, jax.Array]  #: every tensor by name
Multipliers = Mapping[str, jax.Array]  #: the forward multiplier of every tensor: scalars

NORM_FLOOR = 1e-6  # added to the mean square, as in most decoders; activations here have mean square near 1


class Use(NamedTuple):
    """One use of a tensor in a forward pass."""

    input: jax.Array  #: (rows, fan-in); for a lookup table, the indices
    weight: jax.Array  #: (fan-in, fan-out), without its forward multiplier
    output: jax.Array  #: (rows, fan-out), with the multiplier, before any nonlinearity

    @property
    def is_product(self) -> bool:
        """Whether the tensor is a matrix that sums over its input, not a lookup table."""
        return jnp.issubdtype(self.input.dtype, jnp.floating)


Tape = dict[str, Use]  #: by the name of the tensor's multiplier; `Proxy.apply` fills it if one is passed


@dataclass(frozen=True)
class TensorSpec:
    """One tensor at one width; every axis is fan-in or fan-out."""

    shape: tuple[int, ...]
    fan_in_axes: tuple[int, ...]
    fan_out_axes: tuple[int, ...]
    role: Role
    in_block: bool = False  #: whether it stands in a residual block

    @property
    def fan_in(self) -> int:
        """Number of inputs that one output sums over."""
        return prod(self.shape[axis] for axis in self.fan_in_axes)

    @property
    def fan_out(self) -> int:
        """Number of outputs that one input enters."""
        return prod(self.shape[axis] for axis in self.fan_out_axes)

    @property
    def standard_init_std(self) -> float:
        """Init std of the standard parameterization: 1 for a lookup table, which sums over nothing, else 1/√fan_in.

        This is the *base model* of every parameterization (Everett et al. 2024, Table 1, row SP).
        """
        return 1.0 if self.role is Role.EMBEDDING else 1.0 / sqrt(self.fan_in)

    def as_readout(self) -> "TensorSpec":
        """The same table used the other way round: from its width to its entries."""
        return replace(self, fan_in_axes=self.fan_out_axes, fan_out_axes=self.fan_in_axes, role=Role.READOUT)


class Apply(Protocol):
    """The forward pass of a proxy."""

    def __call__(
        self, params: Params, multipliers: Multipliers, x_BxT: jax.Array, tape: Tape | None = None
    ) -> jax.Array:
        """(params, multipliers, x_BxT int) → logits_BxPxV; every use of a tensor is recorded on `tape`."""


@dataclass(frozen=True)
class Proxy:
    """A byte-level language model of any width."""

    architecture: Architecture
    sequence_length: int  #: T, bytes seen
    predictions: int  #: P: the last P positions of a window are predicted (1 ≤ P ≤ T)
    tensor_shapes: Callable[[int], dict[str, TensorSpec]]  #: width → tensors; raises InvalidInputError for a bad width
    apply: Apply
    #: a readout without a tensor → the table whose transpose it is; it has its own forward multiplier
    tied: Mapping[str, str] = field(default_factory=dict)

    def hidden_matrices(self, width: int) -> frozenset[str]:
        """The names of the hidden matrices, which some optimizers train in another way."""
        return frozenset(name for name, spec in self.tensor_shapes(width).items() if spec.role is Role.HIDDEN)

    def uses(self, width: int) -> dict[str, TensorSpec]:
        """Everything that has a forward multiplier and appears on a tape: each tensor, and each tied readout."""
        tensors = self.tensor_shapes(width)
        return tensors | {name: tensors[owner].as_readout() for name, owner in self.tied.items()}


def linear(
    name: str, params: Params, multipliers: Multipliers, h_RxI: jax.Array, tape: Tape | None = None
) -> jax.Array:
    """Return `h_RxI` times one matrix and its multiplier; the only place where matrices multiply activations."""
    y_RxO = multipliers[name] * (h_RxI @ params[name])
    if tape is not None:
        tape[name] = Use(h_RxI, params[name], y_RxO)
    return y_RxO


def look_up(
    name: str, params: Params, multipliers: Multipliers, index_R: jax.Array, tape: Tape | None = None
) -> jax.Array:
    """Return the rows of a table at `index_R`, times its multiplier."""
    y_RxO = multipliers[name] * params[name][index_R]
    if tape is not None:
        tape[name] = Use(index_R, params[name], y_RxO)
    return y_RxO


def rms_norm(x: jax.Array) -> jax.Array:
    """Scale the last axis to RMS 1; without a gain, so that every tensor has a role in the theory."""
    mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(mean_square + NORM_FLOOR)
