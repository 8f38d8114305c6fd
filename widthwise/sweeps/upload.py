"""A sweep's runs as the service takes them."""

import json
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from widthwise.errors import InvalidInputError
from widthwise.sweeps.planned import Axes
from widthwise.sweeps.run import FIELDS, NUMBER_AXES, SweepRun

MOST_UNUSED = 32  # columns of a run that are not axes (chosen): the settings that a sweep may have varied by accident
MOST_BYTES = 2_000  # of their JSON, in ASCII (chosen): a sweep of 5,000 runs stores 10 MB of them
LONGEST_NAME, LONGEST_WORD = 100, 300  # characters of a column and of a word in it
FEWEST_RUNS = 2  # with one value of a column, on average (chosen): an id or a time has another one in every run


class SweepService(Protocol):
    """What an upload asks of `widthwise.client.Client`."""

    def create_sweep(
        self, name: str, rows: Sequence[Mapping[str, Any]] = (), *, idempotency_key: str | None = None, **settings: Any
    ) -> Mapping[str, Any]:
        """Make a sweep and return it with its "id"; the same one if the key was used before."""
        ...

    def add_runs(self, sweep_id: str, rows: Sequence[Mapping[str, Any]]) -> object:
        """Add the runs that the sweep lacks."""
        ...


def settings_of(place: Axes, prescribed: Sequence[str]) -> dict[str, Any]:
    """Return how the service is to read the rows: which columns are axes, and which of them hold words."""
    words = [name for name, value in place.items() if isinstance(value, str)]
    others = {name: name for name in place if name not in NUMBER_AXES and name not in words}
    left_out = [name for name in NUMBER_AXES if name not in place]
    return {"columns": others, "groups": words, "without": left_out, "prescribed": list(prescribed)}


def row_of(run: SweepRun) -> dict[str, Any]:
    """Return a run as a row that `runs_from_rows` reads."""
    others = {name: value for name, value in run.unused.items() if name not in FIELDS}
    return {**others, "learning_rate": run.learning_rate, "loss": run.loss, "seed": run.seed, **run.axes}


def check_unused(unused: Mapping[str, float | str], where: str = "") -> None:
    """Raise `InvalidInputError`, which begins with `where`, for more columns that are not axes than a run may have."""
    if len(unused) > MOST_UNUSED:
        raise InvalidInputError(
            f"{where}{len(unused)} columns are not axes, and a run may have {MOST_UNUSED}; leave out those that say "
            f"nothing about its learning rate, such as {list(unused)[-1]!r}",
            field="runs",
        )
    size = _size(unused)
    if size > MOST_BYTES:
        longest = max(unused, key=lambda name: _size({name: unused[name]}))
        raise InvalidInputError(
            f"{where}the columns that are not axes have {size:,} bytes as JSON, and a run may have {MOST_BYTES:,}; "
            f"shorten {longest!r}, or leave it out",
            field="runs",
        )


def uploaded_rows(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], axes: Collection[str]
) -> list[dict[str, Any]]:
    """Return the rows of a table without the columns that the service has no room for; an export has hundreds.

    Fields and axes stay. Of the other columns those stay that may explain something: first the ones with few values,
    then those with one, as far as a run may have them. A column that differs from run to run is an outcome or a name.
    """
    read = {*(columns.get(name, name) for name in (*FIELDS, *NUMBER_AXES, *axes)), *columns.values()}
    values: dict[str, set[str]] = {}
    refused = set()
    for row in rows:
        for name, value in row.items():
            if name in read or value is None or value == "":
                continue
            values.setdefault(name, set()).add(str(value))
            if not _is_taken(name, value):
                refused.add(name)
    most = max(len(rows), FEWEST_RUNS) // FEWEST_RUNS
    telling = [name for name in values if name not in refused and len(values[name]) <= most]
    telling.sort(key=lambda name: (len(values[name]) < 2, len(values[name])))
    kept: dict[str, str] = {}
    for name in telling:
        more = {**kept, name: max(values[name], key=len)}
        if len(more) <= MOST_UNUSED and _size(more) <= MOST_BYTES:
            kept = more
    return [{name: value for name, value in row.items() if name in read or name in kept} for row in rows]


def _is_taken(name: str, value: object) -> bool:
    """Return whether the service takes a column of this name with this value."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (
        isinstance(value, str | int | float)
        and len(name) <= LONGEST_NAME
        and len(str(value)) <= LONGEST_WORD
        and not re.search(r"[\x00-\x1f\x7f]", name + str(value))
    )


def _size(unused: Mapping[str, float | str]) -> int:
    return len(json.dumps(dict(unused)))
