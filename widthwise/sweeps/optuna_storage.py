"""A study in Optuna's SQLite storage, read without Optuna as the rows of its `trials_dataframe()`."""

import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from widthwise.errors import InvalidInputError

HEADER = b"SQLite format 3\x00"  # the first bytes of every SQLite database (sqlite.org/fileformat.html, 1.3)
INFINITE = {"INF_POS": float("inf"), "INF_NEG": float("-inf")}  # what `trial_values.value_type` says besides FINITE
TRIALS = """
    SELECT t.trial_id, t.number, t.state, v.value, v.value_type
    FROM trials t LEFT JOIN trial_values v ON v.trial_id = t.trial_id
    WHERE t.study_id = ? ORDER BY t.number
"""
PARAMS = """
    SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json
    FROM trial_params p JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = ?
"""
ATTRIBUTES = """
    SELECT a.trial_id, a.key, a.value_json
    FROM trial_user_attributes a JOIN trials t ON t.trial_id = a.trial_id WHERE t.study_id = ?
"""


def is_sqlite(path: Path) -> bool:
    """Return whether a file is a SQLite database."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEADER)) == HEADER
    except OSError:
        return False


def read_study(path: Path, study: str | None = None) -> list[dict[str, Any]]:
    """Return the trials of a study: value, state, `params_…` and `user_attrs_…`.

    study: its name; needed if the storage has several.

    Raises `InvalidInputError` for a database without studies, a name that none has, and a study that has several values
    or maximises.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return _trials(database, _study(database, path, study))
    except sqlite3.Error as error:
        raise InvalidInputError(f"{path} can't be read as Optuna's storage: {error}", field="file") from None


def _study(database: sqlite3.Connection, path: Path, study: str | None) -> int:
    known: dict[str, int] = dict(database.execute("SELECT study_name, study_id FROM studies ORDER BY study_id"))
    if study is None and len(known) == 1:
        study = next(iter(known))
    if study not in known:
        asked = "names no study" if study is None else f"names the study {study!r}"
        raise InvalidInputError(
            f"{path} has the studies {list(known)}, and the request {asked}; give one of them (--study NAME)",
            field="study",
        )
    asked_for = database.execute("SELECT direction FROM study_directions WHERE study_id = ?", (known[study],))
    directions = [direction for (direction,) in asked_for]
    if directions != ["MINIMIZE"]:
        raise InvalidInputError(
            f"the study {study!r} has the directions {directions}; give one that minimises one loss", field="study"
        )
    return known[study]


def _trials(database: sqlite3.Connection, study: int) -> list[dict[str, Any]]:
    columns: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial, name, value, distribution in database.execute(PARAMS, (study,)):
        choices = json.loads(distribution)["attributes"].get("choices")
        columns[trial][f"params_{name}"] = value if choices is None else choices[int(value)]
    for trial, name, value in database.execute(ATTRIBUTES, (study,)):
        columns[trial][f"user_attrs_{name}"] = json.loads(value)
    return [
        {"number": number, "value": INFINITE.get(kind or "", value), "state": state, **columns[trial]}
        for trial, number, state, value, kind in database.execute(TRIALS, (study,))
    ]
