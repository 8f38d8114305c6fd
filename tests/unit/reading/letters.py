"""Shapes for a trace of JAX, and the axes that it reads as letters."""

import jax
import jax.numpy as jnp

from widthwise.reading.model import ModelReading


def numbers(*shape: int) -> jax.ShapeDtypeStruct:
    """An array of real numbers, of which only the shape is known."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def letters(reading: ModelReading) -> dict[str, str]:
    """A letter for each axis of each parameter: i of the fan-in, o of the fan-out, s of a stack."""
    found = {}
    for each in reading.parameters:
        sides = {"i": each.fan_in_axes, "o": each.fan_out_axes, "s": each.stack_axes}
        found[each.name] = "".join(
            letter for axis in range(len(each.shape)) for letter, of in sides.items() if axis in of
        )
    return found
