"""Python modules that hold a plan: the data as one literal, checked when the module is imported."""

import hashlib
import json
import pprint
from collections.abc import Mapping, Sequence
from typing import Any

from widthwise.exports.content import Content

_CHECK = """
if hashlib.sha256(json.dumps(PLAN, sort_keys=True).encode()).hexdigest() != CHECK:
    raise ImportError(f"{__name__}: PLAN was changed after it was written; export the plan again")
"""


def python_module(value: Content, body: str, data: Mapping[str, Any] | None = None, imports: Sequence[str] = ()) -> str:
    """Return a module: what it says of itself, its imports, `PLAN` with its check, and the code that uses it.

    data: entries of PLAN besides the groups. body: code, which refers to PLAN alone.
    """
    plan = {"digest": value.digest, "base_learning_rate": value.base_rate, "groups": plan_groups(value), **(data or {})}
    said = "\n".join(line.replace("\\", "\\\\").replace('"""', "'''") for line in value.heading())
    lines = sorted({"import hashlib", "import json", *(line for line in imports if line.startswith("import "))})
    others = [line for line in imports if not line.startswith("import ")]
    return "\n".join(
        [
            f'"""{said}\n\nUse: {value.export.use}\n"""',
            "",
            *lines,
            *others,
            "",
            f"PLAN = {pprint.pformat(plan, width=110, sort_dicts=False)}",
            f'CHECK = "{_digest(plan)}"',
            _CHECK,
            body.strip("\n"),
            "",
        ]
    )


def plan_groups(value: Content) -> list[dict[str, Any]]:
    """Return the groups as a module's PLAN has them."""
    return [
        {
            "name": row.name,
            "tensors": row.tensors,
            "patterns": list(row.patterns),
            "lr": row.learning_rate,
            **({} if row.epsilon is None else {"eps": row.epsilon}),
            "weight_decay": row.weight_decay,
        }
        for row in value.rows
    ]


def _digest(plan: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
