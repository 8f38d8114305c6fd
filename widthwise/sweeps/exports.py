"""Tables that other tools write, recognised by their columns: a study of Optuna, and the runs of a W&B project."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
#: Names that a field or an axis goes by, in the order in which they are looked for; letters and digits alone count.
NAMES: Mapping[str, tuple[str, ...]] = {
    "learning_rate": ("learning_rate", "lr", "peak_lr", "max_lr", "base_lr", "optimizer_lr", "optim_lr", "train_lr"),
    "loss": ("eval_loss", "val_loss", "valid_loss", "validation_loss", "test_loss", "final_loss", "loss", "train_loss"),
    "seed": ("seed", "random_seed"),
    "width": ("width", "d_model", "n_embd", "hidden_size", "hidden_dim", "embed_dim", "dim"),
    "depth": ("depth", "n_layer", "n_layers", "num_layers", "num_hidden_layers", "layers"),
    "parameters": ("parameters", "non_embedding_parameters", "n_params", "num_params", "num_parameters", "params"),
    "tokens": ("tokens", "total_tokens", "train_tokens", "n_tokens", "num_tokens", "max_tokens"),
    "batch_tokens": ("batch_tokens", "tokens_per_batch", "tokens_per_step", "batch_size_tokens"),
    "rank": ("rank", "lora_rank", "lora_r"),
}
ORDER = ("learning_rate", "loss", "status", *(name for name in NAMES if name not in ("learning_rate", "loss")))
PREFIXES = ("params_", "user_attrs_", "config.", "config/", "summary.", "summary/")
#: States of a run that didn't end by itself: its loss is not that of a whole run, and it didn't diverge.
UNFINISHED = ("running", "waiting", "pruned", "killed", "pending", "preempted", "preempting")


@dataclass(frozen=True)
class Export:
    """A table with what its columns mean."""

    tool: str  #: "" for a table that no tool is known to write
    rows: tuple[Row, ...]  #: of runs that ended
    columns: Mapping[str, str]  #: the column of each field and axis that was recognised or said
    left_out: int = 0  #: rows of runs that did not end by themselves, or that have no learning rate

    def described(self) -> str:
        """Return what was recognised and left out, in one sentence; empty if nothing was."""
        named = ", ".join(f"{name} from {column}" for name, column in self.columns.items())
        left = f"{self.left_out} runs that did not end by themselves or have no learning rate"
        if not self.tool:
            return f"Left out: {left}." if self.left_out else ""
        return f"Read as {self.tool}: {named}{f'; left out: {left}' if self.left_out else ''}."


def recognised(rows: Sequence[Row], said: Mapping[str, str] | None = None) -> Export:
    """Return the rows of an export with what its columns mean; of any other table those of runs that ended.

    Optuna's `study.trials_dataframe()` has `value`, `state` and `params_…`; a W&B export has `Name` and `State`, or
    `config` and `summary` as objects. said: the column of each field and axis that is known already, if the rows have
    it: it goes before what is recognised.
    """
    flat = [_flat(row) for row in rows]
    columns = dict.fromkeys(column for row in flat for column in row)
    known = {name: column for name, column in (said or {}).items() if name in ORDER and column in columns}
    if "value" in columns and "state" in columns and any(column.startswith("params_") for column in columns):
        return _read("a study of Optuna", flat, columns, {"loss": "value", "status": "state", **known})
    if "Name" in columns and "State" in columns:
        return _read("an export of W&B", flat, columns, {"status": "State", **known})
    nested = any(column.startswith("config.") for column in columns)
    if nested and any(column.startswith("summary.") for column in columns):
        status = {"status": "state"} if "state" in columns else {}
        return _read("an export of W&B", flat, columns, {**status, **known})
    plain = {name: known.get(name, name) for name in ("status", "learning_rate")}
    found = {name: column for name, column in plain.items() if column in columns}
    ended = [row for row in rows if "status" not in found or _ended(row, found)]
    return Export("", tuple(ended), {}, len(rows) - len(ended))


def _read(tool: str, rows: Sequence[Row], columns: Mapping[str, None], fixed: Mapping[str, str]) -> Export:
    found = dict(fixed)
    known: dict[str, str] = {}
    for column in columns:
        known.setdefault(_plain(column), column)
    for name, aliases in NAMES.items():
        there = [known[alias] for alias in aliases if alias in known]
        if name not in found and there:
            found[name] = there[0]
    ended = [row for row in rows if _ended(row, found)]
    order = sorted(found, key=ORDER.index)
    return Export(tool, tuple(ended), {name: found[name] for name in order}, len(rows) - len(ended))


def _ended(row: Row, found: Mapping[str, str]) -> bool:
    """Return whether a run ended by itself and has a learning rate, as far as the columns tell."""
    status = str(row.get(found.get("status", ""), "")).strip().lower()
    rate = found.get("learning_rate")
    return status not in UNFINISHED and (rate is None or str(row.get(rate) or "").strip() != "")


def _plain(column: str) -> str:
    """Return a column's name without its prefix, in lower case, with `_` for everything but letters and digits."""
    for prefix in PREFIXES:
        column = column.removeprefix(prefix)
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _flat(row: Row) -> dict[str, Any]:
    """Return a row whose objects (config, summary) are columns with a dot."""
    found: dict[str, Any] = {}
    for column, value in row.items():
        if isinstance(value, dict):
            found.update({f"{column}.{name}": inner for name, inner in value.items() if _simple(inner)})
        else:
            found[column] = value
    return found


def _simple(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)
