"""When an answer of today equals the one that was recorded.

* Every key that was recorded is there with an equal value; more keys may have been added. Lists are equally long.
* Numbers of a plan agree to a relative 1e-12, those of a fit to 1e-9, which leaves room for another linear-algebra
  library and not for another exponent. Of a fit, what is zero but for rounding may differ by 1e-10, and what is a
  difference of optima to 1e-6: it loses the digits in which they agree (another processor moved one by 2e-7).
* What differs from run to run (ids, times, digests of the source) is masked: `FRESH` in a database made now, and only
  `CLOCK` in one that was stored, whose ids and times are part of the answer.
* A list of warnings may have those of `ADDED` besides, and the theory may have settings with further optimizers.
* Prose may be reworded. The numbers in reasons and in the messages of warnings are the same, as a multiset.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

PLAN, FIT, DIFFERENCE = 1e-12, 1e-9, 1e-6
NEAR_ZERO = 1e-10
_FITTED = re.compile(r"\.(result|items|estimates|exponents)\b")
_OF_OPTIMA = re.compile(r"\.candidates\[\d+\]\.(lack_of_fit|intervals\.shift\[\d\])$")  # their χ², and how they shift

#: What depends on the moment of asking, or on the version that answers.
CLOCK = frozenset({"request_id", "seconds_since_seen", "lease_seconds", "seconds_left", "widthwise"})
#: What also differs in every new database.
FRESH = CLOCK | {
    *("id", "calibration_id", "extends", "links", "next_cursor", "instance"),
    *("created_at", "started_at", "finished_at", "queued_at", "last_seen", "code_sha256", "seconds"),
}
#: For people: may be reworded.
PROSE = frozenset({"message", "problem", "detail", "title", "description", "summary", "reason", "rule", "statement"})
#: Of the prose, what states numbers of a plan or a fit.
NUMBERED = frozenset({"message", "reason", "rule"})
#: Warnings of the library that older answers lack: each is named in the changelog.
ADDED = frozenset({"decay_assumed"})
#: What tells the settings of the theory from each other.
_SETTING = ("parameterization", "optimizer", "alignment", "form")
#: Of a fault or a problem, prose that quotes ranges of the contract: not compared at all.
_FAULT = re.compile(r"\.errors\[\d+\]$|\.tensors\[\d+\]$")
_LIST_OF_PROSE = re.compile(r"\.(?:reasons|notes)\[\d+\]$")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_SVG_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SVG_SUFFIX = re.compile(r"(?<=widthwise-)([a-z]+)-[0-9a-f]{8}")
_ID = re.compile(r"\b(?:cal|shd|tri|exp|mea)_[0-9a-f]{24}\b")


@dataclass(frozen=True)
class Rules:
    """How closely numbers agree, and which keys are not compared."""

    tolerance: float = PLAN
    masked: frozenset[str] = FRESH

    def differences(self, recorded: Any, now: Any, path: str = "") -> Iterator[str]:
        """Where the two differ, as paths with both values."""
        if isinstance(recorded, dict) and isinstance(now, dict):
            for key, value in recorded.items():
                if key in self.masked:
                    if key not in now:
                        yield f"{path}.{key} is gone"
                elif key not in now:
                    yield f"{path}.{key} is gone"
                elif key in PROSE and isinstance(value, str) and isinstance(now[key], str):
                    yield from _other_numbers(key, value, now[key], path)
                else:
                    yield from self.differences(value, now[key], f"{path}.{key}")
        elif isinstance(recorded, list) and isinstance(now, list):
            yield from self._in_lists(recorded, now, path)
        elif _LIST_OF_PROSE.search(path) and isinstance(recorded, str) and isinstance(now, str):
            yield from _other_numbers("reason", recorded, now, path)
        elif not self._equal(recorded, now, path):
            yield f"{path}: {recorded!r} | {now!r}"

    def _in_lists(self, recorded: list[Any], now: list[Any], path: str) -> Iterator[str]:
        now = _without_additions(recorded, now)
        if len(recorded) != len(now):
            yield f"{path} has {len(now)} entries, had {len(recorded)}"
        if path.endswith("estimates") and "id" in self.masked:  # random ids decide their order
            recorded, now = sorted(recorded, key=_of_estimate), sorted(now, key=_of_estimate)
        if path.endswith("/trials.body.items") and "id" in self.masked:  # likewise of trials of the same millisecond
            recorded, now = sorted(recorded, key=_of_trial), sorted(now, key=_of_trial)
        for index, (one, other) in enumerate(zip(recorded, now, strict=False)):
            yield from self.differences(one, other, f"{path}[{index}]")

    def blanked(self, answer: Any) -> Any:
        """An answer without what is masked, so that the same is recorded every time."""
        if isinstance(answer, dict):
            kept = {key: None if key in self.masked else self.blanked(each) for key, each in answer.items()}
            if "id" in self.masked and isinstance(kept.get("estimates"), list):
                kept["estimates"].sort(key=_of_estimate)
            return kept
        if isinstance(answer, list):
            return [self.blanked(each) for each in answer]
        return _ID.sub("ID", answer) if isinstance(answer, str) and "id" in self.masked else answer

    def _equal(self, recorded: Any, now: Any, path: str) -> bool:
        if isinstance(recorded, str) and isinstance(now, str):
            if recorded.startswith("<svg"):
                return _same_picture(recorded, now)
            if "id" in self.masked:
                return _ID.sub("ID", recorded) == _ID.sub("ID", now)
            return recorded == now
        if isinstance(recorded, bool) or isinstance(now, bool):
            return recorded is now
        if isinstance(recorded, int | float) and isinstance(now, int | float):
            near_zero = NEAR_ZERO if self.tolerance > PLAN and _FITTED.search(path) else 0.0
            is_difference = self.tolerance > PLAN and _OF_OPTIMA.search(path)
            return math.isclose(
                recorded, now, rel_tol=DIFFERENCE if is_difference else self.tolerance, abs_tol=near_zero
            )
        return bool(recorded == now)


def _without_additions(recorded: list[Any], now: list[Any]) -> list[Any]:
    """Today's list without warnings that are new, and without settings of optimizers that are."""
    codes = {one["code"] for one in recorded if isinstance(one, dict) and "code" in one}
    kept = [one for one in now if not (isinstance(one, dict) and one.get("code") in ADDED - codes)]
    settings = {_setting(one) for one in recorded} - {None}
    return [one for one in kept if _setting(one) in settings] if settings else kept


def _setting(entry: Any) -> tuple[Any, ...] | None:
    if isinstance(entry, dict) and all(word in entry for word in (*_SETTING, "exponents")):
        return tuple(entry[word] for word in _SETTING)
    return None


def _of_trial(trial: dict[str, Any]) -> str:
    names = ("width", "learning_rate", "seed", "role", "gamma", "horizon")
    return json.dumps([trial.get(name) for name in names])


def _of_estimate(estimate: dict[str, Any]) -> tuple[str, str]:
    return estimate["quantity"], estimate["role"]


def _other_numbers(key: str, recorded: str, now: str, path: str) -> Iterator[str]:
    if key in NUMBERED and not _FAULT.search(path) and _numbers(recorded) != _numbers(now):
        yield f"{path}.{key}: other numbers: {recorded!r} | {now!r}"


def _numbers(prose: str) -> Counter[float]:
    return Counter(float(number) for number in _NUMBER.findall(prose.replace("−", "-")))


def _same_picture(recorded: str, now: str) -> bool:
    """The same elements with the same numbers, to a hundredth of a pixel; the suffixes of ids follow from them."""
    recorded, now = (_SVG_SUFFIX.sub("", picture) for picture in (recorded, now))
    if _SVG_NUMBER.sub("#", recorded) != _SVG_NUMBER.sub("#", now):
        return False
    pairs = zip(_SVG_NUMBER.findall(recorded), _SVG_NUMBER.findall(now), strict=True)
    return all(abs(float(one) - float(other)) <= 0.011 for one, other in pairs)
