"""What a check finds of each parameter, and its table."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

_SAME = 1e-6  # of two numbers in a cell

Pair = tuple[float | None, float | None]  #: planned, in force; None: not known, or not compared


@dataclass(frozen=True, slots=True)
class CheckedTensor:
    """One parameter: what the plan says, and what is in force."""

    name: str
    learning_rate: Pair
    epsilon: Pair
    weight_decay: Pair
    init: Pair  #: planned std, RMS of the weights
    forward: Pair  #: planned multiplier, multiplier of the hook
    problems: tuple[str, ...] = field(default=())  #: in words


def table(rows: Sequence[CheckedTensor]) -> Iterator[str]:
    """The lines of a table, one for like tensors; `≠` stands between what is in force and what the plan says."""
    head = ("", "tensor", "learning rate", "epsilon", "weight decay", "init RMS", "forward")
    cells: list[tuple[str, ...]] = [head]
    for like in alike(rows):
        first = like[0]
        settings = (first.learning_rate, first.epsilon, first.weight_decay)
        mark = "✗" if first.problems else "✓"
        cells.append((mark, named(like), *map(_cell, settings), _spread(like), _cell(first.forward)))
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        padded = [each.ljust(width) if at < 2 else each.rjust(width) for at, (each, width) in
                  enumerate(zip(row, widths, strict=True))]  # fmt: skip
        yield "  ".join(padded).rstrip()


def alike(rows: Sequence[CheckedTensor]) -> list[list[CheckedTensor]]:
    """Rows whose names differ in numbers alone and that say the same, but for the RMS of what was drawn."""
    found: dict[tuple[Any, ...], list[CheckedTensor]] = {}
    for row in rows:
        kinds = tuple("init RMS" if problem.startswith("init RMS") else problem for problem in row.problems)
        settings = (row.learning_rate, row.epsilon, row.weight_decay, row.forward)
        found.setdefault((re.sub(r"\d+", "*", row.name), settings, kinds), []).append(row)
    return list(found.values())


def named(rows: Sequence[CheckedTensor]) -> str:
    """The names of like tensors as one, with `*` for each number that differs."""
    if len(rows) == 1:
        return rows[0].name
    parts = [re.split(r"(\d+)", row.name) for row in rows]
    name = "".join(part if all(each[at] == part for each in parts) else "*" for at, part in enumerate(parts[0]))
    return f"{name} (×{len(rows)})"


def _cell(pair: Pair) -> str:
    planned, found = pair
    if planned is None or found is None or math.isclose(planned, found, rel_tol=_SAME):
        return number(found)
    return f"{found:.4g} ≠ {planned:.4g}"


def _spread(rows: Sequence[CheckedTensor]) -> str:
    """The RMS of like tensors, from the least to the most."""
    found = [row.init[1] for row in rows if row.init[1] is not None]
    if not found:
        return "–"
    least, most = f"{min(found):.3g}", f"{max(found):.3g}"
    return least if least == most else f"{least}…{most}"


def number(value: float | None) -> str:
    """A number in four digits; a dash for one that is not known."""
    return "–" if value is None else f"{value:.4g}"
