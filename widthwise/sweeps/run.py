"""A run of a sweep: one training run with its learning rate, its loss and where it stands on every axis."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from widthwise.errors import InvalidInputError

#: Columns that are read as axes wherever a row has them: numbers above 0.
NUMBER_AXES = ("width", "depth", "parameters", "tokens", "batch_tokens", "rank")
FINISHED = ("completed", "complete", "finished", "ok")  #: words of a `status` column; any other one means diverged


@dataclass(frozen=True)
class SweepRun:
    """One training run.

    Raises `InvalidInputError` for a learning rate, a loss or an axis that is out of range, and for fewer `tokens` than
    `batch_tokens`.
    """

    learning_rate: float  #: above 0
    loss: float | None  #: nats, above 0; None, NaN or infinity if the run diverged
    axes: Mapping[str, float | str]  #: numbers above 0 (tokens, width …) and words (optimizer, data set …), by name
    seed: int | None = None  #: None if runs that differ in nothing else are repeats
    #: what else is known of it, by column: not axes, but held against what the fit leaves over
    unused: Mapping[str, float | str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        _positive("learning_rate", self.learning_rate)
        if not self.diverged:
            _positive("loss", self.loss)
        for name, value in self.axes.items():
            if not isinstance(value, str):
                _positive(name, value)
            elif not value:
                raise InvalidInputError(f"{name} is empty; give a number or a word, or leave the axis out", field=name)
        tokens, batch = self.axes.get("tokens"), self.axes.get("batch_tokens")
        if isinstance(tokens, int | float) and isinstance(batch, int | float) and tokens < batch:
            raise InvalidInputError(
                f"tokens is {tokens:g}, less than batch_tokens, which is {batch:g}; give both in tokens, not in "
                "sequences or steps",
                field="tokens",
            )

    @property
    def diverged(self) -> bool:
        """Whether the run has no finite loss."""
        return self.loss is None or (isinstance(self.loss, float) and not math.isfinite(self.loss))


def runs_from_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    columns: Mapping[str, str] | None = None,
    groups: Sequence[str] = (),
    without: Collection[str] = (),
) -> tuple[SweepRun, ...]:
    """Read runs from rows of a table, such as those of `csv.DictReader`; numbers may be text.

    columns: the row's column for each field that goes by another name: {"tokens": "D"}. Every name in it that is not
        a field of a run is an axis.
    groups: axes whose values are words, such as "optimizer".
    without: names of `NUMBER_AXES` that are left out although the rows have them, such as "depth" if "parameters" says
        it all.

    A blank loss, NaN, or a `status` other than one of `FINISHED` means that the run diverged. Of `NUMBER_AXES` a row's
    columns count; an axis that is blank in every row is left out. Raises `InvalidInputError` with the number of the
    row, or for a column that is missing.

    >>> runs_from_rows([{"lr": "1e-3", "loss": "3.2", "D": "1e9"}], columns={"learning_rate": "lr", "tokens": "D"})
    (SweepRun(learning_rate=0.001, loss=3.2, axes={'tokens': 1000000000.0}, seed=None),)
    """
    named = dict(columns or {})
    _require_columns(rows, named)
    for name, column in named.items():
        _check_column(name, column)
    read = [name for name in NUMBER_AXES if name not in without]
    axes = tuple(dict.fromkeys([*read, *(name for name in named if name not in FIELDS), *groups]))
    used = [name for name in axes if any(_text(row, named.get(name, name)) for row in rows)]
    missing = [name for name in axes if name not in used and (name in named or name in groups)]
    if missing:
        name = missing[0]
        raise InvalidInputError(f"column {named.get(name, name)!r} has no value in any row; leave {name} out")
    return tuple(_run(number, row, _Columns(named, used, groups)) for number, row in enumerate(rows, start=1))


#: What a row has besides axes.
FIELDS = ("learning_rate", "loss", "seed", "status")


#: The name of a column that counts steps.
_STEPS = re.compile(r"steps?\b|iter", re.IGNORECASE)


def _check_column(name: str, column: str) -> None:
    """Refuse tokens that are read from a column which counts steps by its name."""
    if name in ("tokens", "batch_tokens") and _STEPS.search(column) and "token" not in column.lower():
        raise InvalidInputError(
            f"{name} is read from the column {column!r}, which counts steps; multiply it by the tokens of a batch",
            field=name,
        )


@dataclass(frozen=True)
class _Columns:
    """What the columns of a table mean."""

    named: Mapping[str, str]  #: the column of each field and axis that goes by another name
    axes: Sequence[str]
    groups: Sequence[str]

    def of(self, name: str) -> str:
        return self.named.get(name, name)


def _require_columns(rows: Sequence[Mapping[str, Any]], named: Mapping[str, str]) -> None:
    """Refuse rows without a column of the learning rate or the loss, or without one that is named for a field.

    Without its column every loss would be blank, and every run one that diverged.
    """
    there = dict.fromkeys(column for row in rows for column in row)
    for name in FIELDS:
        column = named.get(name, name)
        if rows and column not in there and (name in named or name in ("learning_rate", "loss")):
            raise InvalidInputError(
                f"there is no column {column!r} for {name}; name one of {', '.join(map(repr, there))} "
                f"(columns, or --column {name}=COLUMN)",
                field=name,
            )


def _run(number: int, row: Mapping[str, Any], columns: _Columns) -> SweepRun:
    """Read one row; its number stands in every error."""

    def value(name: str) -> str:
        return _text(row, columns.of(name))

    try:
        for name in columns.axes:
            if not value(name):
                raise InvalidInputError(f"{name} is blank, but other rows have it; fill it in, or leave the axis out")
        status, seed = value("status").lower(), value("seed")
        lost = not value("loss") or (status and status not in FINISHED)
        return SweepRun(
            learning_rate=_number("learning_rate", value("learning_rate")),
            loss=None if lost else _number("loss", value("loss")),
            axes={name: value(name) if name in columns.groups else _number(name, value(name)) for name in columns.axes},
            seed=int(_number("seed", seed)) if seed else None,
            unused=_unused(row, {columns.of(name) for name in (*FIELDS, *columns.axes)}),
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"row {number}: {error}", field=error.field) from None


def _unused(row: Mapping[str, Any], used: Collection[str]) -> dict[str, float | str]:
    """Return the values of the columns that are neither a field nor an axis, those that are blank left out."""
    found: dict[str, float | str] = {}
    for column in row:
        if column not in used and (text := _text(row, column)):
            try:
                found[column] = float(text)
            except ValueError:
                found[column] = text
    return {column: value for column, value in found.items() if isinstance(value, str) or math.isfinite(value)}


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(
            f"{name} is {text!r}; give a number, or name the column as a group if it holds words", field=name
        ) from None


def _positive(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]  # checked just before
        raise InvalidInputError(f"{name} is {value!r}; give a finite number above 0", field=name)
