"""The answers of before: every request that was recorded is asked again."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.recorded import door, play
from tests.recorded.compare import differences, inlined

HERE = Path(__file__).parent
SHOWN = 20  # differences that a failure lists


def recorded(name: str) -> dict[str, Any]:
    """What was recorded under a name."""
    answers: dict[str, Any] = json.loads(gzip.decompress((HERE / f"{name}.json.gz").read_bytes()))
    return answers


def check(before: dict[str, Any], now: dict[str, Any], fewest: int) -> None:
    """Every recorded answer equals today's."""
    assert len(before) >= fewest
    found = [one for name, answer in before.items() for one in differences(answer, now.get(name), name)]
    assert found[:SHOWN] == []


def test_transfers(tmp_path: Path) -> None:
    with door.service(tmp_path / "new.db") as client:
        check(recorded("transfers"), play.transfers(client), 110)


def test_calibrations(tmp_path: Path) -> None:
    with door.service(tmp_path / "new.db") as client:
        check(recorded("calibrations"), play.calibrations(client), 120)


def test_searches() -> None:
    before = recorded("searches")
    now = play.searches({name: found["spec"] for name, found in before.items()})
    check(
        {name: {**found, "spec": {}} for name, found in before.items()},
        {n: {**f, "spec": {}} for n, f in now.items()},
        5,
    )


@pytest.mark.parametrize("revision", ["head", "0001", "0002"])
def test_stored_databases(tmp_path: Path, revision: str) -> None:
    before = recorded("databases")[revision]
    with door.service(tmp_path / "given.db", before["dump"]) as client:
        check(before["answers"], play.stored(client), 10)


def test_the_document_has_all_that_it_had(tmp_path: Path) -> None:
    before = inlined(recorded("openapi"))
    with door.service(tmp_path / "new.db") as client:
        now = inlined(client.get("/openapi.json").json())
    assert list(differences(before, now, "paths"))[:SHOWN] == []
