"""JAX models: read from the jaxpr of one forward pass.

`trace(fn, params, *args)` needs the shapes of the parameters and inputs alone, so that a model of any size takes no
memory:

>>> import jax, jax.numpy as jnp
>>> def perceptron(params, x):
...     return jax.nn.relu(x @ params["first"]) @ params["last"]
>>> params = {"first": jax.ShapeDtypeStruct((5, 8), jnp.float32), "last": jax.ShapeDtypeStruct((8, 3), jnp.float32)}
>>> reading = trace(perceptron, params, jax.ShapeDtypeStruct((2, 5), jnp.float32))
>>> [(each.name, each.role.value, each.fan_in_axes) for each in reading.parameters]
[('first', 'embedding', (0,)), ('last', 'readout', (0,))]
"""

from widthwise.jax.trace import trace

__all__ = ["trace"]
