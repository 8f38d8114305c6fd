"""The runs of a file: what a tool's export is known to mean, and what whoever reads it says besides."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.sweeps.exports import Export, recognised
from widthwise.sweeps.run import FIELDS, NUMBER_AXES, SweepRun, runs_from_rows
from widthwise.sweeps.table import read_rows
from widthwise.sweeps.upload import uploaded_rows

#: Fields that a table may lack: a run without a status ended by itself, one without a seed is a repeat.
OPTIONAL = ("seed", "status")


@dataclass(frozen=True)
class ReadFile:
    """The rows of a file with what its columns mean."""

    export: Export
    columns: Mapping[str, str]  #: the column of each field and axis that was recognised or said
    groups: tuple[str, ...]  #: axes of words
    without: tuple[str, ...]  #: axes that are left out

    def runs(self) -> tuple[SweepRun, ...]:
        """Return the runs; `InvalidInputError` names the row that is none."""
        return runs_from_rows(self.export.rows, columns=self.columns, groups=self.groups, without=self.without)

    def sent_rows(self) -> list[dict[str, Any]]:
        """Return the rows of which a service makes the same runs if it is told `columns`, `groups` and `without`."""
        return uploaded_rows(self.export.rows, self.columns, self.groups)


def read_file(
    path: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    groups: Sequence[str] = (),
    without: Collection[str] = (),
    study: str | None = None,
) -> ReadFile:
    """Return what a file holds, which may be an export of Optuna or W&B.

    columns, groups, without: as in `runs_from_rows`; what they say goes before what is recognised. study: as in
    `read_rows`. Raises `InvalidInputError` for a file that holds no run, or none that counts.
    """
    said = dict(columns or {})
    export = _counting(path, said, study)
    known = {name: column for name, column in export.columns.items() if name not in without}
    return ReadFile(export, {**known, **said}, tuple(groups), tuple(without))


def rows_to_add(
    path: Path | str,
    reading: Mapping[str, Any],
    axes: Collection[str],
    *,
    without: Collection[str] = (),
    study: str | None = None,
) -> tuple[Export, list[dict[str, Any]]]:
    """Return a file as an export, and its rows as a service reads those of a sweep that it has.

    reading, axes: of the sweep, which has no axes before its first runs. What the reading names goes before what is
    recognised; where the file has no such column, the one that is recognised gets its name. without: axes of the file
    that the sweep has not; `InvalidInputError` names one that is missing there.
    """
    export = _counting(path, reading["columns"], study)
    names = _names(path, export, reading, axes, {*reading["without"], *without})
    taken = {*names.values(), *without}
    blank = {column: None for name, column in reading["columns"].items() if name in OPTIONAL and column not in taken}

    def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
        stay = [column for column in row if column in names or column not in taken]
        return {**blank, **{names.get(column, column): row[column] for column in stay}}

    return export, uploaded_rows([renamed(row) for row in export.rows], reading["columns"], reading["groups"])


def _names(
    path: Path | str, export: Export, reading: Mapping[str, Any], axes: Collection[str], without: Collection[str]
) -> dict[str, str]:
    """Return by which name a sweep reads the column of each field, and of each axis that is not blank."""
    every = {column for row in export.rows for column in row}
    filled = {column for row in export.rows for column in row if str(row[column] or "").strip()}
    found: dict[str, str] = {}
    for name in (*FIELDS, *NUMBER_AXES):
        asked = reading["columns"].get(name, name)
        column = export.columns.get(name) or (asked if asked in every else name)
        is_axis = name in NUMBER_AXES
        if name in without or column not in (filled if is_axis else every):
            continue
        if is_axis and axes and name not in axes:
            raise InvalidInputError(
                f"{path}: column {column!r} is the axis {name}, which the sweep lacks (its axes: {', '.join(axes)}); "
                f"leave it out (--without {name}), or create a separate sweep",
                field=name,
            )
        found[column] = asked
    return found


def _counting(path: Path | str, said: Mapping[str, str], study: str | None) -> Export:
    """Return a file as an export without the runs that don't count; `InvalidInputError` if none does."""
    rows = read_rows(path, study=study)
    export = recognised(rows, said)
    if not export.rows:
        kind = f" ({export.tool})" if export.tool else ""
        raise InvalidInputError(
            f"{path}: none of its {len(rows)} runs{kind} ended by itself and has a learning rate; export it again when "
            "some have, or name the column of the rate (--column learning_rate=COLUMN)",
            field="file",
        )
    return export
