"""Validates everything that enters the store; nothing non-finite passes."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.store.database.engine import dump_json
from service.store.database.records import JsonObject
from service.store.database.tables import CALIBRATION_NAME_LENGTH, SWEEP_NAME_LENGTH
from widthwise.calibration.trial import Measurement, Trial
from widthwise.errors import InvalidInputError

LIMIT_MAXIMUM = 500  # rows of one page (chosen): about 100 kB of JSON
REASON_MAXIMUM = 4000  # characters of a stored reason (chosen): both ends of a traceback
IDEMPOTENCY_KEY_MAXIMUM = 255  # the column's length
NAME_MAXIMUM = CALIBRATION_NAME_LENGTH  # characters
NOTE_MAXIMUM = 2000  # characters of a calibration's note (chosen): a paragraph or two
SWEEP_NAME_MAXIMUM = SWEEP_NAME_LENGTH  # characters
SWEEP_NOTES_MAXIMUM = 4000  # characters of a sweep's notes (chosen): a page


def checked_spec(spec: JsonObject) -> tuple[dict[str, Any], str]:
    """Return a specification as plain JSON values, and the SHA-256 of its canonical form.

    Raises InvalidInputError for NaN, infinity and values that are not JSON.
    """
    text = checked_json(spec, "spec", sort_keys=True)
    return json.loads(text), hashlib.sha256(text.encode()).hexdigest()


def checked_json(value: Any, field: str, *, sort_keys: bool = False) -> str:
    """Return JSON text; InvalidInputError names the field and the value that is not JSON."""
    where = _first_non_finite(value, field)
    if where is not None:
        raise InvalidInputError(f"{where[0]} is {where[1]!r}; give a finite number.", field=where[0])
    try:
        return json.dumps(value, allow_nan=False, sort_keys=sort_keys) if sort_keys else dump_json(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{field} is not JSON: {error}.", field=field) from error


def _first_non_finite(value: Any, path: str) -> tuple[str, float] | None:
    """Return the path and value of the first NaN or infinity."""
    if isinstance(value, float):
        return None if math.isfinite(value) else (path, value)
    if isinstance(value, Mapping):
        children = ((f"{path}.{key}", child) for key, child in value.items())
    elif isinstance(value, list | tuple):
        children = ((f"{path}[{index}]", child) for index, child in enumerate(value))
    else:
        return None
    return next((found for where, child in children if (found := _first_non_finite(child, where))), None)


def checked_trial(trial: Trial | Mapping[str, Any], path: str = "trial") -> Trial:
    """Return the trial, checked: every number is finite and in range; InvalidInputError names the field's path."""
    return Trial.from_dict(trial.to_dict() if isinstance(trial, Trial) else trial, path)


def checked_measurement(given: Measurement | Mapping[str, Any], path: str = "measurement") -> Measurement:
    """Return the measurement, checked: every number is finite; InvalidInputError names the field's path."""
    read = Measurement.from_dict(given.to_dict() if isinstance(given, Measurement) else given, path)
    return replace(read, data=json.loads(checked_json(read.data, f"{path}.data")))


def _integer(value: Any, field: str, low: int, high: int) -> int:
    """Return an integer from low to high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInputError(f"{field} is {value!r}; give an integer from {low} to {high}.", field=field)
    return value


def storable(text: str) -> bool:
    """Return whether both databases can store a text: no NUL (Postgres), no lone surrogate (UTF-8)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def cleaned_text(text: str, maximum: int) -> str:
    """Return a text that both databases can store, shortened in the middle if it is longer than `maximum`."""
    kept = text.encode("utf-8", "replace").decode().replace("\0", "?")
    if len(kept) <= maximum:
        return kept
    half = (maximum - 5) // 2
    return f"{kept[:half]} ... {kept[-half:]}"


def checked_limit(limit: int) -> int:
    """Return a page size from 1 to LIMIT_MAXIMUM."""
    return _integer(limit, "limit", 1, LIMIT_MAXIMUM)


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key of 1 to 255 characters."""
    if key is not None and not (1 <= len(key) <= IDEMPOTENCY_KEY_MAXIMUM and storable(key)):
        raise InvalidInputError(
            f"The idempotency key has {len(key)} characters; give 1 to {IDEMPOTENCY_KEY_MAXIMUM} printable ones.",
            field="Idempotency-Key",
        )
    return key


def checked_labels(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the name and the note of a calibration, as far as they are given; None is neither."""
    return _checked_texts(given, {"name": NAME_MAXIMUM, "note": NOTE_MAXIMUM})


def checked_sweep_labels(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the name and the notes of a sweep, as far as they are given; None removes the notes."""
    if "name" in given and given["name"] is None:
        raise InvalidInputError("A sweep has a name; give one, or leave it as it is.", field="name")
    return _checked_texts(given, {"name": SWEEP_NAME_MAXIMUM, "notes": SWEEP_NOTES_MAXIMUM})


def _checked_texts(given: Mapping[str, str | None], longest: Mapping[str, int]) -> dict[str, str | None]:
    for field, text in given.items():
        if text is not None and not (1 <= len(text) <= longest[field] and storable(text)):
            raise InvalidInputError(
                f"The {field} has {len(text)} characters; give 1 to {longest[field]} printable ones.", field=field
            )
    return dict(given)


def checked_widths(trials: Sequence[Trial], widths: Sequence[int]) -> None:
    """Refuse trials of a width that is not in the specification."""
    for index, trial in enumerate(trials):
        if trial.width not in widths:
            raise InvalidInputError(
                f"trials[{index}].width is {trial.width}; this calibration's widths are {', '.join(map(str, widths))}.",
                field=f"trials[{index}].width",
            )
