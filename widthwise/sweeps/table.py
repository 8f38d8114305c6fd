"""The rows of a sweep's file: CSV, JSON lines, a JSON list of objects, or Optuna's SQLite storage."""

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.jsontext import json_fault
from widthwise.sweeps.optuna_storage import is_sqlite, read_study

Row = Mapping[str, Any]


def read_rows(path: Path | str, *, study: str | None = None) -> list[Row]:
    """Return the rows of a file, each a mapping by column.

    study: the name of the study, if the file is Optuna's SQLite storage and has several.

    A SQLite database is Optuna's storage. A file that begins with "[" is a JSON list, one that begins with "{" has an
    object on each line, and any other is CSV with a header; commas, semicolons and tabs are told apart, and rows in
    which everything is blank are left out. Raises `InvalidInputError` for a file that can't be read, holds no row, or
    holds something else.
    """
    file = Path(path)
    if is_sqlite(file):
        return list(read_study(file, study))
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InvalidInputError(f"{file} can't be read: {reason}", field="file") from None
    begins = text.lstrip()[:1]
    rows = _json_list(text, file) if begins == "[" else _json_lines(text, file) if begins == "{" else _csv(text, file)
    if not rows:
        raise InvalidInputError(f"{file} holds no run; give a header and one row for each run", field="file")
    return rows


def _json_list(text: str, file: Path) -> list[Row]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f"{file} can't be read: {json_fault(text, error)}", field="file") from None
    return [_object(row, file, number) for number, row in enumerate(found, start=1)]


def _json_lines(text: str, file: Path) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(_object(json.loads(line), file, number))
            except ValueError as error:
                fault = json_fault(line, error).replace("line 1, ", "")
                raise InvalidInputError(f"{file}, line {number}: {fault}", field="file") from None
    return rows


def _object(row: Any, file: Path, number: int) -> Row:
    if not isinstance(row, dict):
        raise InvalidInputError(f"{file}: row {number} is {row!r}; give an object with a value by column", field="file")
    return row


def _csv(text: str, file: Path) -> list[Row]:
    text = re.sub(r"\A\s*\n", "", text)  # a tab before the first name is a column without one
    separator = max(",;\t", key=text.partition("\n")[0].count)
    read = csv.DictReader(io.StringIO(text), delimiter=separator)
    rows = [row for row in read if any(str(cell or "").strip() for cell in row.values())]
    for number, row in enumerate(rows, start=1):
        if None in row:
            raise InvalidInputError(f"{file}: row {number} has more values than the header has columns", field="file")
    return list(rows)
