"""What a trainer's format can't say of a plan, and whether that matters."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from widthwise.exports.record import Carried, ExportRecord
from widthwise.transfers.plan import Plan, TensorPlan
from widthwise.vocabulary import QuantityName, Role

TOLERANCE = 0.01  # relative (chosen): below it a value that is left at the base's moves no result that anyone measures
#: Gains and biases start as the model makes them, whatever deviation the base names for its matrices.
_MATRICES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)
#: What belongs to the model; the multipliers of embeddings and logits are those of their tensors.
_OF_THE_MODEL = ("attention_scale", "residual_multiplier")


class NotExpressed(NamedTuple):
    """A quantity that an export leaves to the trainer."""

    quantity: str
    tensors: int  #: whose value then differs by more than 1 %; 0 for one of the whole model
    matters: bool
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as it stands in answers."""
        return self._asdict()


def not_expressed(plan: Plan, export: ExportRecord) -> tuple[NotExpressed, ...]:
    """Return everything that the export can't say of the plan, also what does not matter here."""
    if export.is_table:
        return ()
    return (*_of_tensors(plan, export), *_of_model(plan))


def _of_tensors(plan: Plan, export: ExportRecord) -> Iterator[NotExpressed]:
    owners = [tensor for tensor in plan.tensors if tensor.tied_to is None]
    names: tuple[QuantityName, ...] = ("learning_rate", "epsilon", "weight_decay", "init_std", "forward_multiplier")
    for name in names:
        tensors = plan.tensors if name == "forward_multiplier" else owners
        tensors = [t for t in tensors if name in t.quantities and (name != "init_std" or t.role in _MATRICES)]
        if not tensors:
            continue
        carried = export.carries.get(name)
        if carried is None:
            moved = _moved(tensors, name)
            yield _left(name, moved, f"{export.trainer} takes none from this file; it stays as at the base")
        elif any(t.quantities[name].value is None for t in tensors):
            if name == "weight_decay":
                continue  # none is written: see `Content`
            if moved := _moved(tensors, name):
                yield _left(name, moved, f"the base gave none: give base.{name}, so that the plan has values")
        elif name == "forward_multiplier":
            if apart := _not_by_a_hook(plan):
                reason = (
                    "a hook multiplies a module's whole output, and the module's tensors differ or are not its weight"
                )
                yield NotExpressed(name, apart, True, reason)
        elif carried is Carried.ONCE:
            values = [t.quantities[name].value or 0.0 for t in tensors]
            once = most_common(values)
            others = sum(not _close(value, once) for value in values)
            if others:
                yield NotExpressed(name, others, True, f"{export.trainer} has one for all tensors, {once:.4g}")


def most_common(values: Sequence[float]) -> float:
    """Return the value that most of them have, the larger of two."""
    return max(set(values), key=lambda value: (values.count(value), value))


def _moved(tensors: Sequence[TensorPlan], name: QuantityName) -> list[float]:
    multipliers = [tensor.quantities[name].multiplier for tensor in tensors]
    return [multiplier for multiplier in multipliers if not _close(multiplier, 1.0)]


def _not_by_a_hook(plan: Plan) -> int:
    """How many tensors have a multiplier that a hook on the module of a `.weight` can't apply, or would get one's."""
    by_module: dict[str, list[TensorPlan]] = {}
    for tensor in plan.tensors:
        by_module.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
    apart = 0
    for tensors in by_module.values():
        factors = {tensor.forward_multiplier.multiplier for tensor in tensors}
        plain = all(tensor.name.endswith((".weight", ".bias")) for tensor in tensors)
        if factors != {1.0} and not (plain and len(factors) == 1):
            apart += sum(not _close(tensor.forward_multiplier.multiplier, 1.0) for tensor in tensors)
    return apart


def _left(name: str, moved: Sequence[float], reason: str) -> NotExpressed:
    if not moved:
        return NotExpressed(name, 0, False, f"{reason}, and the plan does not change it")
    low, high = min(moved), max(moved)
    span = f"×{low:.4g}" if low == high else f"×{low:.4g} to ×{high:.4g}"
    return NotExpressed(name, len(moved), True, f"{reason}, and the plan has {span} on {len(moved)} tensors")


def _of_model(plan: Plan) -> Iterator[NotExpressed]:
    for name in _OF_THE_MODEL:
        quantity = getattr(plan.model, name)
        if quantity is not None and not _close(quantity.multiplier, 1.0):
            yield NotExpressed(name, 0, True, f"the model itself applies it: ×{quantity.multiplier:.4g} to the base's")


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * abs(other)
