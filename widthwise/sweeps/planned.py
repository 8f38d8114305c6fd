"""The runs that a sweep may ask for: its cells, the learning rates of each, and what a run costs."""

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from widthwise.errors import InvalidInputError
from widthwise.sweeps.cell import SAME, Floats
from widthwise.sweeps.run import SweepRun

Axes = Mapping[str, float | str]
Rates = Sequence[float] | Callable[[Axes], Sequence[float]]
Cost = Callable[[Axes], float] | str

OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True)
class PlannedCell:
    """One cell that may be run."""

    axes: Axes
    x: Floats  #: (L,), log2 of its learning rates, ascending
    cost: float  #: of one run

    def index(self, learning_rate: float) -> int | None:
        """Return which of the cell's rates this is, to 1 %; None if none of them."""
        if not self.x.size:
            return None
        apart = np.abs(self.x - math.log2(learning_rate))
        nearest = int(np.argmin(apart))
        return nearest if apart[nearest] <= math.log2(SAME) else None


def same_place(one: Axes, other: Axes) -> bool:
    """Return whether two places have equal axes: numbers to 1 %."""
    return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())


def _same(one: float | str, other: float | str) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return abs(math.log(one / other)) <= math.log(SAME)


def planned_cells(
    cells: Sequence[Axes] | None,
    axes: Mapping[str, Sequence[float | str]] | None,
    learning_rates: Rates,
    ratio: float | None,
    cost: Cost | None,
) -> tuple[PlannedCell, ...]:
    """Return the cells: those given, or all combinations of the values of the axes.

    Raises `InvalidInputError` for cells that can't be, and for rates or a cost out of range.
    """
    if (cells is None) == (axes is None):
        raise InvalidInputError("give either cells, a list of them, or axes, the values of each", field="cells")
    places = list(cells) if cells is not None else _combinations(axes or {})
    if not places:
        raise InvalidInputError("there are no cells to run; give at least one", field="cells")
    found: list[PlannedCell] = []
    for place in places:
        if place.keys() != places[0].keys():
            raise InvalidInputError(
                f"the cells {dict(places[0])} and {dict(place)} don't have the same axes; give every axis to each",
                field="cells",
            )
        if any(same_place(place, other.axes) for other in found):
            raise InvalidInputError(f"the cell {dict(place)} is given twice, or to within 1 %", field="cells")
        SweepRun(1.0, None, place)  # checks the ranges
        found.append(PlannedCell(dict(place), _rates(learning_rates, ratio, place), cost_of(cost, place)))
    return tuple(found)


def _combinations(axes: Mapping[str, Sequence[float | str]]) -> list[Axes]:
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _rates(learning_rates: Rates, ratio: float | None, place: Axes) -> Floats:
    """Return log2 of a cell's learning rates, ascending."""
    rates = list(learning_rates(place) if callable(learning_rates) else learning_rates)
    if not rates or not all(math.isfinite(rate) and rate > 0 for rate in rates):
        raise InvalidInputError(f"learning_rates is {rates!r}; give numbers above 0", field="learning_rates")
    if ratio is None:
        return np.asarray(np.log2(sorted(set(rates))))
    if len(rates) != 2 or not rates[0] < rates[1] or not ratio > SAME:
        raise InvalidInputError(
            f"learning_rates is {rates!r} with the ratio {ratio!r}; with a ratio above {SAME}, give the lowest and the "
            "highest rate",
            field="ratio",
        )
    low, step = math.log2(rates[0]), math.log2(ratio)
    return np.asarray(low + step * np.arange(math.floor((math.log2(rates[1]) - low) / step + 1e-6) + 1))


def cost_of(cost: Cost | None, place: Axes) -> float:
    """Return what one run of a cell costs.

    cost: a function of the axes, or an expression of them such as "width**2 * tokens". By default it is in proportion
        to operations: parameters, or else width² and depth, times tokens, or else batch_tokens, as far as the axes say.

    >>> cost_of(None, {"width": 8, "tokens": 100}), cost_of("width * 2", {"width": 8})
    (6400.0, 16.0)
    """
    if cost is None:
        found = _default(place)
    elif callable(cost):
        found = float(cost(place))
    else:
        found = _evaluated(cost, place)
    if not math.isfinite(found) or found <= 0:
        raise InvalidInputError(f"cost is {found!r} for the cell {dict(place)}; it must be above 0", field="cost")
    return found


def _default(place: Axes) -> float:
    def value(name: str) -> float:
        found = place.get(name, 1.0)
        return 1.0 if isinstance(found, str) else float(found)

    size = value("parameters") if "parameters" in place else value("width") ** 2 * value("depth")
    return size * (value("tokens") if "tokens" in place else value("batch_tokens"))


def _evaluated(text: str, place: Axes) -> float:
    """Return the value of an expression of numbers, axes, + - * / ** and brackets."""

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if isinstance(place.get(name, ""), int | float):
                return float(place[name])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
                return OPERATIONS[type(op)](value(left), value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
        numbers = [name for name, number in place.items() if not isinstance(number, str)]
        raise InvalidInputError(
            f"cost is {text!r}, where {ast.unparse(node)!r} can't be read; use numbers, + - * / ** and the axes "
            f"{numbers}, or give a function",
            field="cost",
        )

    try:
        return value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ArithmeticError) as error:
        raise InvalidInputError(f"cost is {text!r}, which has no value: {error}", field="cost") from None
