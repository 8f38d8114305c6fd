"""Answers: typed attributes over the JSON, which stays as it came."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.client.test_shown import calibration
from widthwise.client.answer import UnexpectedAnswerError
from widthwise.client.calibrations import Calibration


def whole() -> dict[str, Any]:
    return dict(calibration().raw)


def test_it_is_typed_and_still_the_json() -> None:
    found = Calibration.read(whole())
    assert found.created_at == datetime(2026, 11, 1, tzinfo=UTC)
    assert found["created_at"] == "2026-11-01T00:00:00Z"
    assert found.progress.seconds_left == 200.0
    assert found == whole()
    assert {**found} == whole()
    assert "raw" not in repr(found)


def test_what_only_a_newer_service_says_is_kept() -> None:
    found = Calibration.read({**whole(), "mood": "good", "progress": {**whole()["progress"], "mood": 1}})
    assert (found.raw["mood"], found.progress["mood"]) == ("good", 1)


def test_it_cannot_be_changed() -> None:
    found: Any = calibration()
    with pytest.raises(AttributeError):
        found.state = "succeeded"
    with pytest.raises(TypeError):
        found["state"] = "succeeded"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": 7}, ".id: int instead of str"),
        ({"created_at": "yesterday"}, ".created_at: "),
        ({"progress": []}, ".progress: list instead of an object"),
        ({"progress": {"trials_done": True, "trials_total": 1, "shards": {}}}, ".progress.trials_done: bool"),
        ({"progress": {"trials_done": 1, "shards": {}}}, ".progress.trials_total: missing"),
        ({"cancel_requested": 1}, ".cancel_requested: int instead of bool"),
    ],
)
def test_another_type_is_refused_with_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UnexpectedAnswerError) as refused:
        Calibration.read({**whole(), **changes})
    assert str(refused.value).startswith(said)
