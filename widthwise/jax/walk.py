"""The walk over a jaxpr, equation by equation, and into those that other equations hold."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from widthwise.jax import control
from widthwise.jax.call import PrimitiveCall
from widthwise.jax.folding import folded
from widthwise.jax.primitives import apply
from widthwise.reading.dataflow.elementwise import opaque
from widthwise.reading.dataflow.graph import Graph, Kind, Value

#: Results through which no gradient passes although they are not integers.
_STEPS = frozenset({"ceil", "floor", "round", "sign"})
#: Primitives whose result depends on no entry of what goes in: random numbers, with those that make their keys.
_CREATING = frozenset({"threefry2x32", "rng_bit_generator", "rng_uniform", "iota", "empty", "empty2", "create_token"})


class Walk:
    """Reports everything that a jaxpr computes to a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def closed(self, closed: ClosedJaxpr, inputs: Sequence[Value]) -> list[Value]:
        """The values of a jaxpr's results for those of its inputs."""
        return self._run(closed.jaxpr, [self._constant(each) for each in closed.consts], inputs)

    def inner(self, jaxpr: Any, inputs: Sequence[Value]) -> list[Value]:
        """The same of a jaxpr that an equation holds, with constants or without."""
        if isinstance(jaxpr, ClosedJaxpr):
            return self.closed(jaxpr, inputs)
        return self._run(jaxpr, (), inputs)

    def _run(self, jaxpr: Jaxpr, constants: Sequence[Value], inputs: Sequence[Value]) -> list[Value]:
        known = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *inputs], strict=True))

        def value(variable: Any) -> Value:
            return self._constant(variable.val) if isinstance(variable, Literal) else known[variable]

        outside = self._graph.where
        for equation in jaxpr.eqns:
            self._graph.where = _where(outside, equation)
            results = self._results(equation, tuple(value(each) for each in equation.invars))
            known.update(zip(equation.outvars, results, strict=True))
        self._graph.where = outside
        return [value(each) for each in jaxpr.outvars]

    def _results(self, equation: JaxprEqn, inputs: tuple[Value, ...]) -> list[Value]:
        name, avals = equation.primitive.name, [each.aval for each in equation.outvars]
        shapes = tuple(_shape(aval) for aval in avals)
        if name in _CREATING or name.startswith("random_"):
            found = [self._graph.constant(shape) for shape in shapes]
        else:
            call = PrimitiveCall(self._graph, name, equation.params, inputs, shapes)
            inside = control.apply(call, self.inner)
            if inside is not None:
                return inside
            found = self._applied(call)
        for result, aval in zip(found, avals, strict=True):
            result.discrete = result.discrete or is_discrete(aval) or name in _STEPS
            if result.kind is Kind.CONSTANT and result.number is None:
                result.number = folded(name, equation.params, inputs, whole=is_discrete(aval))
        return found

    def _applied(self, call: PrimitiveCall) -> list[Value]:
        try:
            results = apply(call)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            results = None  # an unusual call that its rule does not fit: no claim, and a caution names the primitive
        found = [] if results is None else [results] if isinstance(results, Value) else list(results)
        rest = call.shapes[len(found) :]
        return [*found, *(opaque(self._graph, call.name, call.values, shape) for shape in rest)]

    def _constant(self, array: Any) -> Value:
        array = array if hasattr(array, "shape") else np.asarray(array)
        is_key = jax.numpy.issubdtype(array.dtype, jax.dtypes.extended)
        number = float(np.asarray(array).real.reshape(-1)[0]) if array.size == 1 and not is_key else None
        found = self._graph.constant(tuple(array.shape), number)
        found.discrete = is_discrete(array)
        return found


def is_discrete(aval: Any) -> bool:
    """Whether an array, or what stands for one, holds no real numbers: no gradient passes through it."""
    dtype = getattr(aval, "dtype", None)
    return dtype is None or not jax.numpy.issubdtype(dtype, jax.numpy.inexact)


def _shape(aval: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in getattr(aval, "shape", ()))


def _where(outside: str, equation: JaxprEqn) -> str:
    """The scopes that an equation was made in (jax.named_scope, modules of Flax), with dots between them."""
    inside = str(equation.source_info.name_stack).replace("/", ".")
    return f"{outside}.{inside}" if outside and inside else outside or inside
