"""The RMS norm, in which the theory states everything: the size of a typical entry."""

import jax
import jax.numpy as jnp


def rms(x: jax.Array) -> jax.Array:
    """√(mean of squares) over all entries; scaled first, so that small and large entries keep their squares.

    The square of a float32 below 1e-19 is lost, and gradients of wide mean-field models may be that small.
    """
    largest = jnp.max(jnp.abs(x))
    scale = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    return scale * jnp.sqrt(jnp.mean(jnp.square(x / scale)))
