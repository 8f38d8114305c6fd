"""Reads a JAX model from the jaxpr of one forward pass."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from widthwise.errors import InvalidInputError
from widthwise.jax.parameters import named_leaves
from widthwise.jax.walk import Walk, is_discrete
from widthwise.reading.dataflow.graph import Graph
from widthwise.reading.dataflow.reading import read
from widthwise.reading.model import ModelReading


def trace(fn: Callable[..., Any], params: Any, *args: Any) -> ModelReading:
    """Return every parameter of a model with its axes, role, use, tie and block, and what its code multiplies by.

    fn: the forward pass, called as fn(params, *args). params: a pytree of the trained arrays; args: the inputs. Shapes
    are enough (`jax.ShapeDtypeStruct`, as `jax.eval_shape` returns), and nothing is computed. A parameter is named by
    its path in the pytree, with dots between the keys; a stack of layers stands in the block of its first.
    Constants, statistics and flags belong in a closure. Turn dropout off, as for an evaluation.

    * Flax linen: `trace(model.apply, jax.eval_shape(model.init, key, x), x)`; statistics of a BatchNorm in a closure.
    * Flax nnx: `graph, params, rest = nnx.split(model, nnx.Param, ...)`, then
      `trace(lambda params, x: nnx.merge(graph, params, rest)(x), params, x)`.
    * Equinox: `params, static = eqx.partition(model, eqx.is_inexact_array)`, then
      `trace(lambda params, x: jax.vmap(eqx.combine(params, static))(x), params, x)`.

    Raises InvalidInputError if params holds no arrays of numbers, or if fn fails on these shapes.
    """
    leaves = named_leaves(params)
    closed, outputs = _jaxpr(fn, params, args)
    graph = Graph()
    values = []
    for variable, leaf in zip(closed.jaxpr.invars, [*leaves, *[None] * len(closed.jaxpr.invars)], strict=False):
        shape, discrete = tuple(variable.aval.shape), is_discrete(variable.aval)
        if leaf is None:
            value = graph.data(shape)
        elif discrete:
            value = graph.constant(shape)  # a counter or a key: nothing trains it
        else:
            value = graph.parameter(leaf, shape)
        value.discrete = discrete
        values.append(value)
    found = Walk(graph).closed(closed, values)
    graph.outputs = [value for value, _ in zip(found, outputs, strict=True)]
    return read(graph, "jax trace")


def _jaxpr(fn: Callable[..., Any], params: Any, args: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    try:
        closed, shapes = jax.make_jaxpr(fn, return_shape=True)(params, *args)
    except Exception as failure:  # whatever the model's own code raises
        said = (str(failure).splitlines() or [""])[0][:300]
        sizes = ", ".join(str(list(np.shape(leaf))) for leaf in jax.tree_util.tree_leaves(args)) or "no inputs"
        raise InvalidInputError(
            f"fn failed on the shapes of params and of its inputs ({sizes}): {type(failure).__name__}: {said}. Check "
            "that fn(params, *args) runs; put what is not an array (flags, sizes, functions) into a closure",
            field="args",
        ) from failure
    return closed, jax.tree_util.tree_leaves(shapes)
