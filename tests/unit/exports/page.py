"""The generated part of docs/exports.md: `python -m tests.unit.exports.page` writes it from the records."""

from pathlib import Path

from widthwise.exports.record import ExportRecord
from widthwise.exports.registry import EXPORTS

PAGE = Path(__file__).parents[3] / "docs" / "exports.md"
BEGIN = "<!-- from the records in widthwise/exports -->"
END = "<!-- up to here -->"
_QUANTITIES = ("learning_rate", "epsilon", "weight_decay", "init_std", "forward_multiplier")
#: Whose exports tests/trainers has a trainer's own code load; others are held to their documented form.
LOADED = ("torch", "optax", "hf_trainer", "torchtitan", "automodel", "megatron", "fairseq2", "olmo_core", "lightning")


def page(text: str) -> str:
    """Return the page with its generated part written again."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return "\n".join([f"{head}{BEGIN}", "", *_table(), "", *_sections(), f"{END}{tail}"])


def _table() -> list[str]:
    return [
        "| name | trainer, versions | learning rate | takes off W | finds a parameter by | loaded by its own code |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{each.name}` | {each.trainer} {each.versions} | {each.rate.value} | {each.decay.value} "
            f"| {each.matcher.value} | {'yes' if each.name in LOADED else 'no'} |"
            for each in EXPORTS.values()
            if not each.is_table
        ),
    ]


def _sections() -> list[str]:
    lines: list[str] = []
    for each in EXPORTS.values():
        lines += [
            f"### {each.name}",
            "",
            f"* Use: {each.use}.",
            f"* {_not_carried(each)}",
            f"* {each.scheduler}",
            "",
        ]
    return lines


def _not_carried(each: ExportRecord) -> str:
    if each.is_table:
        return "It carries everything of a plan." if each.name != "csv" else "It has no warnings and no provenance."
    missing = [name.replace("_", " ") for name in _QUANTITIES if name not in each.carries]
    once = [name.replace("_", " ") for name, carried in each.carries.items() if carried.value == "one for all"]
    said = f"It can't carry: {', '.join(missing) or 'nothing of a tensor'}."
    return said + (f" It has one {', '.join(once)} for all tensors." if once else "")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
