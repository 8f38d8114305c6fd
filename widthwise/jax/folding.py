"""Constant scalars: what a primitive makes of known numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from widthwise.reading.dataflow.graph import Value

_RULES: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "max": max,
    "min": min,
    "pow": lambda a, b: a**b,
    "neg": lambda a: -a,
    "abs": abs,
    "square": lambda a: a * a,
    "sqrt": math.sqrt,
    "rsqrt": lambda a: 1 / math.sqrt(a),
    "exp": math.exp,
    "log": math.log,
    "lt": lambda a, b: float(a < b),
    "le": lambda a, b: float(a <= b),
    "gt": lambda a, b: float(a > b),
    "ge": lambda a, b: float(a >= b),
    "eq": lambda a, b: float(a == b),
    "ne": lambda a, b: float(a != b),
    "select_n": lambda which, *cases: cases[int(which)],
}


def folded(name: str, parameters: Mapping[str, Any], inputs: Sequence[Value], *, whole: bool) -> float | None:
    """The number that a primitive makes of operands that are one known number each; None if it is not known.

    whole: the result is an integer, so that a quotient is cut off.
    """
    numbers = [value.number for value in inputs]
    if not numbers or None in numbers:
        return None
    try:
        if name == "integer_pow":
            found = numbers[0] ** parameters["y"]
        elif name in _RULES:
            found = _RULES[name](*numbers)
        else:
            return None
    except (ArithmeticError, ValueError):
        return None
    return float(math.trunc(found)) if whole and math.isfinite(found) else float(found)
