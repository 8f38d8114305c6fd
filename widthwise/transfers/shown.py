"""A plan as a notebook shows it: its figure, and each role's and tensor's numbers next to their ratio to the base."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from widthwise import notebook
from widthwise.vocabulary import QUANTITIES, QuantityName

if TYPE_CHECKING:
    from widthwise.transfers.plan import LayerPlan, Plan, Quantity, TensorPlan

_LEFT_OUT = {"gradient_rms"}  # it is measured, not set


def plan_html(plan: "Plan") -> str:
    """Return a plan as HTML: its rules, a table of roles, one of tensors, what belongs to the model, its warnings."""
    rules = "; ".join(f"{note.name} ({note.source})" for note in plan.rules)
    parts = [notebook.heading("Plan"), notebook.paragraph(f"Rules: {rules}")] if rules else [notebook.heading("Plan")]
    if plan.layers and "widths" in plan.provenance:
        from widthwise.figures.transfer import transfer_plot  # when a notebook asks: figures draw plans

        parts.append(notebook.picture(transfer_plot(plan).svg()))
    if plan.layers:
        parts.append(_table("By role", ("role",), [((layer.role.value,), layer) for layer in plan.layers]))
    if plan.tensors:
        named = [
            ((tensor.name, tensor.role.value, f"{tensor.fan_in} → {tensor.fan_out}"), tensor) for tensor in plan.tensors
        ]
        parts.append(_table("By tensor", ("tensor", "role", "fan-in → fan-out"), named))
    rest = [
        (name.replace("_", " "), notebook.number(each.value), each.reason)
        for of in (plan.model, plan.training)
        for name, each in of._asdict().items()
        if each is not None
    ]
    if rest:
        parts.append(notebook.table("Model and training", ("quantity", "value", "reason"), rest, words=3))
    return "".join(parts) + notebook.warnings(plan.warnings)


def _table(caption: str, names: Sequence[str], rows: Sequence[tuple[Sequence[str], "LayerPlan | TensorPlan"]]) -> str:
    shown = _moving(of for _, of in rows)
    head = (*names, *(name.replace("_", " ") for name in shown), "reason")
    cells = [(*place, *(_cell(of.quantities.get(name)) for name in shown), of.reason) for place, of in rows]
    return notebook.table(caption, head, cells, words=len(names))


def _moving(rows: Iterable["LayerPlan | TensorPlan"]) -> list[QuantityName]:
    """Return the quantities that have a value or change somewhere."""
    found = {
        name
        for of in rows
        for name, quantity in of.quantities.items()
        if quantity.value is not None or quantity.multiplier != 1
    }
    return [name for name in QUANTITIES if name in found and name not in _LEFT_OUT]


def _cell(quantity: "Quantity | None") -> str:
    if quantity is None:
        return "–"
    value = "" if quantity.value is None else f"{quantity.value:.4g} "
    return f"{value}(×{quantity.multiplier:.4g})"
