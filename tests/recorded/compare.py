"""When an answer of today equals the one that was recorded.

Every key that was recorded is there with an equal value; more keys may have come. Numbers agree to a relative 1e-9,
which leaves room for another linear-algebra library, and not for another exponent. What differs from run to run or from
commit to commit (ids, times, digests, versions) is passed over. Prose may be reworded, but its numbers are the same.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

TOLERANCE = 1e-9
#: What rounding leaves of a fitted zero.
NEAR_ZERO = 1e-10
_FITTED = re.compile(r"\.(result|items|estimates)\b")
#: Different every time, or at every commit.
PASSED_OVER = {
    *("id", "calibration_id", "extends", "with", "request_id", "instance", "links", "next_cursor", "widthwise"),
    *("created_at", "started_at", "finished_at", "queued_at", "last_seen", "seconds_since_seen", "lease_seconds"),
    *("spec_sha256", "code_sha256", "seconds", "seconds_left", "shard_id", "workers", "calibrations"),
}
#: For people: may be reworded.
PROSE = {"message", "detail", "title", "description", "summary", "reason", "source", "statement"}
#: Of the prose, what states numbers of a plan or a fit.
NUMBERED = {"message", "reason"}
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_SVG_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def differences(recorded: Any, now: Any, path: str = "") -> Iterator[str]:
    """Where the two differ, as paths with both values."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key, value in recorded.items():
            if key in PASSED_OVER:
                continue
            if key not in now:
                yield f"{path}.{key} is gone"
            elif key in PROSE and isinstance(value, str) and isinstance(now[key], str):
                if key in NUMBERED and _numbers(value) != _numbers(now[key]):
                    yield f"{path}.{key}: other numbers: {value!r} | {now[key]!r}"
            else:
                yield from differences(value, now[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(now, list):
        if path.endswith("estimates"):  # stored at one moment with random ids: their order says nothing
            recorded, now = sorted(recorded, key=_of_estimate), sorted(now, key=_of_estimate)
        if len(recorded) != len(now):
            yield f"{path} has {len(now)} entries, had {len(recorded)}"
        for index, (one, other) in enumerate(zip(recorded, now, strict=False)):
            yield from differences(one, other, f"{path}[{index}]")
    elif not _equal(recorded, now, NEAR_ZERO if _FITTED.search(path) else 0.0):
        yield f"{path}: {recorded!r} | {now!r}"


def _of_estimate(estimate: dict[str, Any]) -> tuple[str, str]:
    return estimate["quantity"], estimate["role"]


def _equal(recorded: Any, now: Any, near_zero: float) -> bool:
    if isinstance(recorded, str) and recorded.startswith("<svg"):
        return isinstance(now, str) and _same_picture(recorded, now)
    numbers = isinstance(recorded, int | float) and isinstance(now, int | float)
    if numbers and not isinstance(recorded, bool) and not isinstance(now, bool):
        return math.isclose(recorded, now, rel_tol=TOLERANCE, abs_tol=near_zero)
    return bool(recorded == now)


def _same_picture(recorded: str, now: str) -> bool:
    """The same elements with the same numbers, to a hundredth of a pixel."""
    if _SVG_NUMBER.sub("#", recorded) != _SVG_NUMBER.sub("#", now):
        return False
    pairs = zip(_SVG_NUMBER.findall(recorded), _SVG_NUMBER.findall(now), strict=True)
    return all(abs(float(one) - float(other)) <= 0.011 for one, other in pairs)


def _numbers(prose: str) -> Counter[str]:
    return Counter(_NUMBER.findall(prose))


def inlined(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document without names of components: each $ref replaced by what it names, and without prose."""
    components = document["components"]

    def walk(value: Any, within: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [walk(each, within) for each in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str):
            if reference in within:
                return {"recursive": True}
            _, _, kind, name = reference.split("/")
            return walk(components[kind][name], (*within, reference))
        prose = {"description", "summary", "title", "examples", "example", "discriminator"}
        return {key: walk(each, within) for key, each in value.items() if key not in prose or isinstance(each, bool)}

    paths: dict[str, Any] = walk(document["paths"], ())
    return paths
