"""A transfer plan as tables: by role, and by tensor with equal tensors of repeated blocks on one line."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from widthwise.cli import console

JsonObject = Mapping[str, Any]

#: Heading of each quantity, in the order of the columns; a column is left out where no row has anything to say.
_QUANTITIES = {
    "learning_rate": "learning rate",
    "epsilon": "epsilon",
    "init_std": "init std",
    "forward_multiplier": "forward",
    "weight_decay": "weight decay",
}
_NUMBER = re.compile(r"\d+")


def show_plan(plan: JsonObject, *, every_tensor: bool = False, layers: bool = True, rows: int | None = None) -> None:
    """Print a plan in the shape of POST /v1/transfers, without its warnings.

    every_tensor: a line for each tensor. layers: also the table by role. rows: at most so many lines of tensors.
    """
    out = console.stdout()
    if layers and plan["layers"]:
        out.print(_layer_table(plan["layers"]))
    if plan["tensors"]:
        out.print(_tensor_table(plan["tensors"], every_tensor=every_tensor, rows=rows))
    out.print(escape(provenance(plan["provenance"])), soft_wrap=True)


def provenance(of: JsonObject) -> str:
    """Give one line that says where the numbers come from."""
    setting = f"{of['parameterization']}, {of['optimizer']}, {of['alignment']} alignment"
    if of["parameterization"] == "mup":
        setting += f", form {of['form']}"
    exponents = of["exponents"]
    if exponents["source"] == "calibration":
        widths = ", ".join(map(str, exponents["widths"]))
        source = f"calibration {exponents['calibration_id']} ({exponents['architecture']}, widths {widths})"
    else:
        source = f"{exponents['source']} ({exponents.get('reference', 'your own')})"
    return f"Exponents from {source}. Setting: {setting}; weight decay {of['weight_decay_mode']}."


def _layer_table(layers: Iterable[JsonObject]) -> Table:
    rows = list(layers)
    shown = _shown(rows)
    columns = [heading for name in shown for heading in (_QUANTITIES[name], "×")]
    table = console.new_table("By role", "role", *columns, "lr ∝ width^")
    for row in rows:
        power = 0.0 - row["learning_rate"]["exponent"]
        table.add_row(row["role"], *_cells(row, shown), console.signed(power))
    return table


def _tensor_table(tensors: Iterable[JsonObject], *, every_tensor: bool, rows: int | None) -> Table:
    groups = [(tensor["name"], 1, tensor) for tensor in tensors] if every_tensor else _grouped(tensors)
    total = sum(count for _, count, _ in groups)
    title = f"By tensor ({total})"
    hidden = groups[rows:] if rows is not None else []
    if hidden:
        groups = groups[:rows]
    shown = _shown([tensor for _, _, tensor in groups])
    columns = [heading for name in shown for heading in (_QUANTITIES[name], "×")]
    table = console.new_table(title, "tensor", "role", "fan in → out", *columns, left=2)
    for name, count, tensor in groups:
        label = escape(name) + (f" [dim]({count})[/]" if count > 1 else "")
        role = tensor["role"] + (f" = {escape(tensor['tied_to'])}" if tensor.get("tied_to") else "")
        table.add_row(label, role, f"{tensor['fan_in']} → {tensor['fan_out']}", *_cells(tensor, shown))
    if hidden:
        table.add_row(f"… and {sum(count for _, count, _ in hidden)} more", "", "", *[""] * (2 * len(shown)))
    return table


def _grouped(tensors: Iterable[JsonObject]) -> list[tuple[str, int, JsonObject]]:
    """Give (name, how many, one of them) for tensors that differ only in the numbers in their names, in order."""
    groups: dict[tuple[Any, ...], list[JsonObject]] = {}
    for tensor in tensors:
        quantities = [tuple((tensor[name] or {}).values()) for name in _QUANTITIES]
        key = (_NUMBER.sub("*", tensor["name"]), tensor["role"], tensor["fan_in"], tensor["fan_out"], *quantities)
        groups.setdefault(key, []).append(tensor)
    return [
        (members[0]["name"] if len(members) == 1 else key[0], len(members), members[0])
        for key, members in groups.items()
    ]


def _shown(rows: Iterable[JsonObject]) -> list[str]:
    """Give the quantities to show: those that some row has a value for, and init and forward where they change."""
    shown = []
    rows = list(rows)
    for name in _QUANTITIES:
        found = [row[name] for row in rows if row[name] is not None]
        has_value = any(quantity["value"] is not None for quantity in found)
        changes = any(quantity["multiplier"] != 1 for quantity in found)
        if name == "forward_multiplier":
            has_value = changes  # its value is relative to the base's own: 1 says nothing
        if name == "learning_rate" or has_value or (changes and name == "init_std"):
            shown.append(name)
    return shown


def _cells(row: JsonObject, shown: Iterable[str]) -> list[str]:
    """Give value and multiplier of each quantity."""
    cells = []
    for name in shown:
        quantity = row[name]
        value = None if quantity is None or name == "forward_multiplier" else quantity["value"]
        cells += [console.number(value), "" if quantity is None else f"×{console.number(quantity['multiplier'])}"]
    return cells
