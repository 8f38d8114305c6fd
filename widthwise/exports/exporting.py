"""From a plan to the file that a trainer reads."""

from typing import Any, NamedTuple

from widthwise.errors import InvalidInputError
from widthwise.exports.content import content
from widthwise.exports.expressed import NotExpressed, not_expressed
from widthwise.exports.record import ExportRecord
from widthwise.exports.registry import EXPORTS
from widthwise.transfers.plan import Plan


class Exported(NamedTuple):
    """A plan in the form of one trainer."""

    name: str
    file_name: str
    media_type: str
    text: str
    digest: str  #: of the plan
    groups: tuple[tuple[str, int], ...]  #: each group with its number of tensors
    not_expressed: tuple[NotExpressed, ...]


def export(plan: Plan, to: str, *, allow_lossy: bool = False) -> Exported:
    """Return a plan as the file that a trainer reads.

    to: a name of `EXPORTS`. allow_lossy: also if the trainer's format can't carry a value that the plan moves by more
    than 1 %; the file lists what it leaves out either way.

    Raises InvalidInputError if it can't be written so, and says what to do.
    """
    record = find(to)
    left = not_expressed(plan, record)
    matter = [each for each in left if each.matters]
    if matter and not allow_lossy:
        raise InvalidInputError(_refused(plan, record, matter), field="allow_lossy")
    found = content(plan, record, left)
    return Exported(
        record.name,
        record.file_name,
        record.media_type,
        record.write(found),
        found.digest,
        tuple((row.name, row.tensors) for row in found.rows),
        left,
    )


def find(name: str) -> ExportRecord:
    """Return the record of an export; InvalidInputError that lists all for another name."""
    if name not in EXPORTS:
        raise InvalidInputError(f"export is {name!r}; give one of {', '.join(EXPORTS)}", field="export")
    return EXPORTS[name]


def listed() -> list[dict[str, Any]]:
    """Return what exists, as answers list it."""
    return [
        {
            "name": each.name,
            "trainer": each.trainer,
            "versions": each.versions,
            "file_name": each.file_name,
            "media_type": each.media_type,
            "carries": {name: carried.value for name, carried in each.carries.items()},
            "learning_rate": each.rate.value,
            "weight_decay": each.decay.value,
            "matcher": each.matcher.value,
            "optimizers": sorted(word.value for word in each.optimizers),
            "use": each.use,
            "scheduler": each.scheduler,
        }
        for each in EXPORTS.values()
    ]


def _refused(plan: Plan, record: ExportRecord, matter: list[NotExpressed]) -> str:
    lines = "; ".join(f"{each.quantity}: {each.reason}" for each in matter)
    hint = ""
    moved = {each.quantity for each in matter}
    if "forward_multiplier" in moved and plan.provenance.get("parameterization") == "mup":
        hint = " A plan with form 'table_3' has no forward multipliers."
    return (
        f"an export to {record.name} would lose {len(matter)} thing(s) that the plan changes: {lines}. Apply them "
        f"yourself and allow a lossy export (allow_lossy, --allow-lossy), or export to torch, which carries all of a "
        f"tensor's values.{hint}"
    )
