"""The RMS norm, in which the theory states everything: the size of a typical entry."""

import jax
import jax.numpy as jnp


def rms(x: jax.Array) -> jax.Array:
    """√(mean of squares) over all entries; scaled first, so that small and large entries keep their squares.

    A float32 square is lost below 1e-19, where gradients of wide mean-field models may lie.
    """
    largest = jnp.max(jnp.abs(x))
    scale = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    return scale * jnp.sqrt(jnp.mean(jnp.square(x / scale)))
