"""The answers of before: every request that was recorded is asked again."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.recorded import door, play
from tests.recorded.compare import CLOCK, FIT, PLAN, Rules
from tests.recorded.document import inlined, withdrawn

HERE = Path(__file__).parent
SHOWN = 20  # differences that a failure lists


def recorded(name: str) -> dict[str, Any]:
    """What was recorded under a name."""
    answers: dict[str, Any] = json.loads(gzip.decompress((HERE / f"{name}.json.gz").read_bytes()))
    return answers


def check(before: dict[str, Any], now: dict[str, Any], fewest: int, rules: Rules) -> None:
    """Every recorded answer equals today's."""
    assert len(before) >= fewest
    found = [one for name, answer in before.items() for one in rules.differences(answer, now.get(name), name)]
    assert found[:SHOWN] == [], f"{len(found)} differences"


def test_transfers(tmp_path: Path) -> None:
    with door.service(tmp_path / "new.db") as client:
        check(recorded("transfers"), play.transfers(client), 190, Rules(PLAN))


def test_commands() -> None:
    check(recorded("commands"), play.commands(), 12, Rules(PLAN))


def test_requests_of_a_wrong_form(tmp_path: Path) -> None:
    with door.service(tmp_path / "new.db") as client:
        check(recorded("requests"), play.requests(client), 45, Rules(PLAN))


def test_calibrations(tmp_path: Path) -> None:
    with door.service(tmp_path / "new.db") as client:
        check(recorded("calibrations"), play.calibrations(client), 200, Rules(FIT))


def test_searches() -> None:
    before = recorded("searches")
    now = play.searches({name: found.pop("spec") for name, found in before.items()})
    check(before, now, 10, Rules(FIT))


def test_fits() -> None:
    before = recorded("fits")
    now = play.fits(before)
    check({name: {"result": found["result"]} for name, found in before.items()}, now, 25, Rules(FIT))


def test_runs_of_a_pretended_worker(tmp_path: Path) -> None:
    check(recorded("runs"), play.runs(tmp_path), 80, Rules(FIT))


@pytest.mark.parametrize("revision", ["head", "0001", "0002"])
def test_stored_databases(tmp_path: Path, revision: str) -> None:
    before = recorded("databases")[revision]
    file = tmp_path / "given.db"
    with door.service(file, before["dump"]) as client, door.work(file) as work:
        now = {**play.stored(client), "keys": work.keys()}
    check(before["answers"], now, 20, Rules(FIT, CLOCK))


def test_the_document_promises_all_that_it_did(tmp_path: Path) -> None:
    before = inlined(recorded("openapi"))
    with door.service(tmp_path / "new.db") as client:
        now = inlined(client.get("/openapi.json").json())
    assert list(withdrawn(before, now))[:SHOWN] == []
