"""The plan's tensors as a table, one row each, for people and spreadsheets."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

from widthwise.errors import InvalidInputError
from widthwise.exports import plan_json
from widthwise.exports.content import Content
from widthwise.transfers.plan import LayerPlan, TensorPlan
from widthwise.vocabulary import QUANTITIES

COLUMNS = (
    *("name", "role", "fan_in", "fan_out", "tied_to"),
    *(f"{name}{part}" for name in QUANTITIES for part in ("", "_multiplier", "_exponent")),
    *("reason", "digest"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a cell that begins so


def write(value: Content) -> str:
    """Return the file: a row for each tensor, or for each role of a plan without tensors."""
    plan = value.plan
    if not plan.tensors and not plan.layers:
        raise InvalidInputError("the plan has neither tensors nor roles", field="tensors")
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for each in plan.tensors or plan.layers:
        head: tuple[object, ...] = (each.role.value, each.role.value, "", "", "")
        if isinstance(each, TensorPlan):
            head = (each.name, each.role.value, each.fan_in, each.fan_out, each.tied_to or "")
        table.writerow(map(_cell, (*head, *_numbers(each), each.reason, value.digest)))
    return out.getvalue()


def _numbers(of: TensorPlan | LayerPlan) -> Iterator[float | str]:
    for name in QUANTITIES:
        quantity = of.quantities.get(name)
        if quantity is None:
            yield from ("", "", "")
        else:
            yield from ("" if quantity.value is None else quantity.value, quantity.multiplier, quantity.exponent)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


EXPORT = replace(
    plan_json.EXPORT,
    name="csv",
    file_name="plan.csv",
    media_type="text/csv",
    write=write,
    use="any spreadsheet or `csv.DictReader`; it is not read back, since it has no provenance",
)
