"""A transfer plan as tables: by role, and by tensor with equal tensors of repeated blocks on one line."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape

from widthwise.cli import console
from widthwise.cli.tables import Table
from widthwise.theory.optimizers import OPTIMIZERS, Optimizer, WeightDecayMode

JsonObject = Mapping[str, Any]

#: Heading of each quantity in a wide and in a narrow table, in the order of the columns; a column is left out where no
#: row has anything to say.
_QUANTITIES = {
    "learning_rate": ("learning rate", "lr"),
    "epsilon": ("epsilon", "eps"),
    "init_std": ("init std", "init"),
    "forward_multiplier": ("forward", "fwd"),
    "weight_decay": ("weight decay", "decay"),
}
_NUMBER = re.compile(r"\d+")


def show_plan(plan: JsonObject, *, every_tensor: bool = False) -> None:
    """Print a plan in the shape of POST /v1/transfers, without its warnings; every_tensor: a line for each tensor."""
    out = console.stdout()
    if plan["layers"]:
        console.show("By role", *(_layer_table(plan["layers"], wide=wide) for wide in (True, False)))
    if tensors := plan["tensors"]:
        tables = (_tensor_table(tensors, every_tensor=every_tensor, wide=wide) for wide in (True, False))
        console.show(f"By tensor ({len(tensors)})", *tables)
    for line in (*_model_lines(plan.get("model") or {}), *_training_lines(plan.get("training") or {})):
        out.print(escape(line))
    out.print(escape(provenance(plan["provenance"])), soft_wrap=True)


def _model_lines(model: JsonObject) -> Iterator[str]:
    """What the model multiplies by, where that differs from the base."""
    for name, quantity in model.items():
        if quantity is not None and quantity["multiplier"] != 1:
            words = name.replace("_", " ").capitalize()
            yield f"{words} ×{console.number(quantity['multiplier'])}: {quantity['reason']}."


def _training_lines(training: JsonObject) -> Iterator[str]:
    """What a rule changes of the whole training."""
    for name, quantity in training.items():
        if quantity is not None:
            value = "" if quantity["value"] is None else f" {console.number(quantity['value'])}"
            words = name.replace("_", " ").capitalize()
            yield f"{words}{value}: {quantity['reason']}."


def provenance(of: JsonObject) -> str:
    """Return lines that say where the numbers come from, and for which setting."""
    setting = f"{of['parameterization']}, {_label(of['optimizer'])}, {of['alignment']} alignment"
    if of["parameterization"] == "mup":
        setting += f", form {of['form']}"
    exponents = of["exponents"]
    if exponents["source"] == "calibration":
        widths = ", ".join(map(str, exponents["widths"]))
        source = f"calibration {exponents['calibration_id']} ({exponents['architecture']}, widths {widths})"
    elif exponents["source"] == "sweep":
        over = exponents["over"]["width"]
        source = (
            f"sweep {exponents['sweep_id']} (revision {exponents['revision']}, width^{console.signed(over['value'])}, "
            f"95 % interval {console.between(over['interval'])})"
        )
    else:
        source = f"{exponents['source']} ({exponents.get('reference', 'your own')})"
    rules = "".join(f"\nRule of {about}: {_rule(choice)}." for about, choice in of.get("rules", {}).items())
    return f"Exponents from {source}.\nSetting: {setting}; weight decay {_decay(of['weight_decay_mode'])}.{rules}"


def _rule(choice: JsonObject) -> str:
    """A rule with the parameters that it has."""
    given = ", ".join(f"{name} {value}" for name, value in choice.items() if name != "rule" and value is not None)
    return f"{choice['rule']} ({given})" if given else str(choice["rule"])


def _label(optimizer: str) -> str:
    """The optimizer as people write it; the word alone if a newer service knows more of them."""
    return OPTIMIZERS[Optimizer(optimizer)].label if optimizer in set(Optimizer) else optimizer


def _decay(mode: str) -> str:
    """The mode with what the trainer does."""
    return f"{mode}, {WeightDecayMode(mode).meaning}" if mode in set(WeightDecayMode) else mode


def _layer_table(rows: Sequence[JsonObject], *, wide: bool) -> Table:
    shown = _shown(rows)
    columns = [heading for name in shown for heading in (_QUANTITIES[name][0], "×")]
    columns = columns if wide else [_QUANTITIES[name][1] for name in shown]
    table = console.new_table("role", *columns, "lr ∝ width^")
    for row in rows:
        pairs = _cells(row, shown)
        cells = [cell for pair in pairs for cell in pair] if wide else ["\n".join(filter(None, p)) for p in pairs]
        table.add_row(row["role"], *cells, console.signed(0.0 - row["learning_rate"]["exponent"]))
    return table


def _tensor_table(tensors: Sequence[JsonObject], *, every_tensor: bool, wide: bool) -> Table:
    groups = [(tensor["name"], 1, tensor) for tensor in tensors] if every_tensor else _grouped(tensors)
    shown = _shown([tensor for _, _, tensor in groups])
    headings = [_QUANTITIES[name][0 if wide else 1] for name in shown]
    table = console.new_table("tensor", "role", "fan in → out", *headings, left=2)
    for name, count, tensor in groups:
        label = f"{name} (×{count})" if count > 1 else name
        role = tensor["role"] + (" (tied)" if tensor.get("tied_to") else "")
        cells = [value or multiplier for value, multiplier in _cells(tensor, shown)]
        table.add_row(label, role, f"{tensor['fan_in']} → {tensor['fan_out']}", *cells)
    return table


def _grouped(tensors: Sequence[JsonObject]) -> list[tuple[str, int, JsonObject]]:
    """Give (name, how many, one of them) for tensors that differ only in the numbers in their names, in order."""
    groups: dict[tuple[Any, ...], list[JsonObject]] = {}
    for tensor in tensors:
        quantities = [_numbers(tensor[name]) for name in _QUANTITIES]
        key = (_NUMBER.sub("*", tensor["name"]), tensor["role"], tensor["fan_in"], tensor["fan_out"], *quantities)
        groups.setdefault(key, []).append(tensor)
    return [
        (members[0]["name"] if len(members) == 1 else key[0], len(members), members[0])
        for key, members in groups.items()
    ]


def _numbers(quantity: JsonObject | None) -> tuple[Any, ...]:
    return () if quantity is None else (quantity["value"], quantity["multiplier"], quantity["exponent"])


def _shown(rows: Sequence[JsonObject]) -> list[str]:
    """Return the quantities to show: those that some row has a value for, and init and forward where they change."""
    shown = []
    for name in _QUANTITIES:
        found = [row[name] for row in rows if row[name] is not None]
        has_value = any(quantity["value"] is not None for quantity in found)
        changes = any(quantity["multiplier"] != 1 for quantity in found)
        if name == "forward_multiplier":
            has_value = changes  # its value is relative to the base's own: 1 says nothing
        if name == "learning_rate" or has_value or (changes and name == "init_std"):
            shown.append(name)
    return shown


def _cells(row: JsonObject, shown: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Return value and multiplier of each quantity; a forward multiplier's value is the multiplier itself."""
    for name in shown:
        quantity = row[name]
        if quantity is None:
            yield "", ""
        else:
            value = None if name == "forward_multiplier" else quantity["value"]
            yield console.number(value), f"×{console.number(quantity['multiplier'])}"
