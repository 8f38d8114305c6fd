"""The store's door: turns what comes in into checked values; nothing non-finite passes."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.store.database.engine import dump_json
from service.store.database.records import JsonObject, Measurement, Trial
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Role, TrialStatus, known_word

LARGEST_INTEGER = 2**63 - 1  # a BIGINT
LARGEST_WIDTH = 2**31 - 1  # an INTEGER
LARGEST_FLOAT = 1e308  # the tables' CHECK: below the largest double, so that infinity fails it
LIMIT_MAXIMUM = 500  # rows of one page: about 100 kB of JSON (chosen)
REASON_MAXIMUM = 4000  # characters of a stored reason: a traceback's ends (chosen)
IDEMPOTENCY_KEY_MAXIMUM = 255  # the column's length


def checked_spec(spec: JsonObject) -> tuple[dict[str, Any], str]:
    """Return a specification as plain JSON values, and the SHA-256 of its canonical form.

    Raises InvalidInputError for NaN, infinity and values that are not JSON.
    """
    text = checked_json(spec, "spec", sort_keys=True)
    return json.loads(text), hashlib.sha256(text.encode()).hexdigest()


def checked_json(value: Any, field: str, *, sort_keys: bool = False) -> str:
    """Give JSON text, or InvalidInputError that names the field and what in it is no JSON."""
    where = _first_non_finite(value, field)
    if where is not None:
        raise InvalidInputError(f"{where[0]} is {where[1]!r}; give a finite number.", field=where[0])
    try:
        return json.dumps(value, allow_nan=False, sort_keys=sort_keys) if sort_keys else dump_json(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{field} is not JSON: {error}.", field=field) from error


def _first_non_finite(value: Any, path: str) -> tuple[str, float] | None:
    """Find the first NaN or infinity and its path."""
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
    """Return a trial whose every number is finite and in range.

    A mapping without "status" is an upload: completed with its loss, or diverged if that is None. Raises
    InvalidInputError with the field's path.
    """
    if isinstance(trial, Mapping):
        trial = _trial_from_mapping(trial, path)
    _integer(trial.width, f"{path}.width", low=1, high=LARGEST_WIDTH)
    _integer(trial.seed, f"{path}.seed", low=0, high=LARGEST_INTEGER)
    learning_rate = _number(trial.learning_rate, f"{path}.learning_rate")
    if learning_rate <= 0:
        raise InvalidInputError(
            f"{path}.learning_rate is {learning_rate!r}; give a number above 0.", field=f"{path}.learning_rate"
        )
    gamma = _number(trial.gamma, f"{path}.gamma")
    if gamma <= 0:
        raise InvalidInputError(f"{path}.gamma is {gamma!r}; give a number above 0.", field=f"{path}.gamma")
    if trial.role is not None:
        known_word(Role, trial.role, f"{path}.role")
    if trial.horizon is not None:
        _integer(trial.horizon, f"{path}.horizon", low=1, high=LARGEST_WIDTH)
    loss = None if trial.loss is None else _number(trial.loss, f"{path}.loss")
    if (loss is None) == (trial.status is TrialStatus.COMPLETED):
        raise InvalidInputError(
            f"{path} is {trial.status.value!r} with loss {loss!r}; a completed trial has a finite loss, and "
            "any other has null.",
            field=f"{path}.loss",
        )
    return Trial(
        width=trial.width,
        learning_rate=learning_rate,
        seed=trial.seed,
        status=trial.status,
        loss=loss,
        seconds=None if trial.seconds is None else _number(trial.seconds, f"{path}.seconds"),
        steps=None if trial.steps is None else _integer(trial.steps, f"{path}.steps", 0, LARGEST_INTEGER),
        flops=None if trial.flops is None else _number(trial.flops, f"{path}.flops"),
        role=trial.role,
        gamma=gamma,
        horizon=trial.horizon,
    )


def checked_measurement(given: Measurement | Mapping[str, Any], path: str = "measurement") -> Measurement:
    """Return a measurement whose every number is finite; InvalidInputError with the field's path."""
    if isinstance(given, Mapping):
        missing = [name for name in ("width", "seed", "kind", "data") if given.get(name) is None]
        if missing:
            raise InvalidInputError(f"{path} has no {', '.join(missing)}; give each.", field=f"{path}.{missing[0]}")
        given = Measurement(given["width"], given["seed"], given["kind"], given["data"])
    _integer(given.width, f"{path}.width", low=1, high=LARGEST_WIDTH)
    _integer(given.seed, f"{path}.seed", low=0, high=LARGEST_INTEGER)
    if not isinstance(given.kind, str) or not given.kind:
        raise InvalidInputError(f"{path}.kind is {given.kind!r}; give its name.", field=f"{path}.kind")
    if not isinstance(given.data, Mapping):
        raise InvalidInputError(f"{path}.data is {given.data!r}; give an object.", field=f"{path}.data")
    data = json.loads(checked_json(given.data, f"{path}.data"))
    return Measurement(given.width, given.seed, given.kind, data)


def _trial_from_mapping(value: Mapping[str, Any], path: str) -> Trial:
    missing = [name for name in ("width", "learning_rate", "seed") if value.get(name) is None]
    if missing:
        raise InvalidInputError(f"{path} has no {', '.join(missing)}; give each.", field=f"{path}.{missing[0]}")
    implied = TrialStatus.DIVERGED if value.get("loss") is None else TrialStatus.COMPLETED
    try:
        status = TrialStatus(value.get("status", implied))
    except ValueError:
        raise InvalidInputError(
            f"{path}.status is {value['status']!r}; give one of {', '.join(TrialStatus)}.", field=f"{path}.status"
        ) from None
    return Trial(
        width=value["width"],
        learning_rate=value["learning_rate"],
        seed=value["seed"],
        status=status,
        loss=value.get("loss"),
        seconds=value.get("seconds"),
        steps=value.get("steps"),
        flops=value.get("flops"),
        role=value.get("role") or None,
        gamma=1.0 if value.get("gamma") is None else value["gamma"],
        horizon=value.get("horizon") or None,
    )


def _number(value: Any, field: str) -> float:
    """Return a finite float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST_FLOAT:
        raise InvalidInputError(
            f"{field} is {value!r}; give a finite number (a run without a finite loss is 'diverged', loss null).",
            field=field,
        )
    return float(value)


def _integer(value: Any, field: str, low: int, high: int) -> int:
    """Return an integer from low to high."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInputError(f"{field} is {value!r}; give an integer from {low} to {high}.", field=field)
    return value


def storable(text: str) -> bool:
    """Say whether both databases can hold a text: no NUL (Postgres), no lone surrogate (UTF-8)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def cleaned_text(text: str, maximum: int) -> str:
    """Return a text that both databases can hold, cut in the middle if it is longer than `maximum`."""
    kept = text.encode("utf-8", "replace").decode().replace("\0", "?")
    if len(kept) <= maximum:
        return kept
    half = (maximum - 5) // 2
    return f"{kept[:half]} ... {kept[-half:]}"


def checked_limit(limit: int) -> int:
    """Return a page's size, from 1 to LIMIT_MAXIMUM."""
    return _integer(limit, "limit", 1, LIMIT_MAXIMUM)


def checked_key(key: str | None) -> str | None:
    """Return an idempotency key of 1 to 255 characters."""
    if key is not None and not (1 <= len(key) <= IDEMPOTENCY_KEY_MAXIMUM and storable(key)):
        raise InvalidInputError(
            f"The idempotency key has {len(key)} characters; give 1 to {IDEMPOTENCY_KEY_MAXIMUM} printable ones.",
            field="Idempotency-Key",
        )
    return key


def checked_widths(trials: Sequence[Trial], widths: Sequence[int]) -> None:
    """Refuse trials of a width that the specification does not hold."""
    for index, trial in enumerate(trials):
        if trial.width not in widths:
            raise InvalidInputError(
                f"trials[{index}].width is {trial.width}; this calibration's widths are {', '.join(map(str, widths))}.",
                field=f"trials[{index}].width",
            )
