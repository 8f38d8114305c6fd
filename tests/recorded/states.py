"""A database with a calibration in every state, and with its random ids and times made the same every time."""

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from tests.api.client import Client
from tests.recorded import asks, door, worked

Json = dict[str, Any]
_ID = re.compile(r"\b(cal|shd|tri|exp|mea)_[0-9a-f]{24}\b")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\b")
_CONSTRAINTS = re.compile(r"(?:^\tCONSTRAINT [^\n]*\n)+", re.MULTILINE)
_INDEXES = re.compile(r"(?:^CREATE INDEX [^\n]*\n)+", re.MULTILINE)
_REQUEST = re.compile(r"'[0-9a-f]{16}'")


def head(file: Path) -> str:
    """The dump of a database at the head revision."""
    with door.service(file) as client, door.work(file) as work:
        _succeeded(client, work)
        _external(client)
        small = asks.specification(widths=[32, 64], seeds=1)
        client.post("/v1/calibrations", json=small)
        worked.run(work, 1)  # is left running, with the trials of one shard and another claimed
        claim = work.claim("w2")
        assert claim is not None
        work.report("w2", host="other", device="gpu")
        trials, _ = worked.outcomes(dict(claim.spec), claim.shard.to_dict())
        work.record(claim, worked.ENVIRONMENT, trials[:2], [])
        failing = _submitted(client, {**small, "optimizer": "sgd"})
        for reason, retryable in (("out of memory", True), ("no such dataset", False)):
            claim = work.claim("w3")
            while claim is not None and claim.calibration_id != failing:
                work.finish(claim)  # too few trials: an attempt that failed, and the shard waits again
                claim = work.claim("w3")
            assert claim is not None
            work.fail(claim, reason, retryable=retryable)
        while client.get(f"/v1/calibrations/{failing}").json()["state"] == "running":
            claim = work.claim("w3")
            assert claim is not None
            work.fail(claim, "a later one", retryable=False)
        work.report("w3", host="node", device="cpu", totals={"shards": 2})
        work.stop("w3")
        cancelled = _submitted(client, {**small, "parameterization": "ntk"})
        client.post(f"/v1/calibrations/{cancelled}/cancel")
        client.post("/v1/calibrations", json={**small, "optimizer": "adafactor"}, headers={"Idempotency-Key": "first"})
        scopes = {"read": {}, "calibrate": {"lifetime_seconds": 3600.0}, "admin": {"revoked": True}}
        for number, (scope, more) in enumerate(scopes.items()):
            key_id = f"{number:016x}"
            work.create_key(key_id, owner="alice", name=scope, scopes=[scope], digest=f"{number:064x}", **more)
    return steady(door.dumped(file))


def _submitted(client: Client, spec: Json) -> str:
    return str(client.post("/v1/calibrations", json=spec).json()["id"])


def _succeeded(client: Client, work: door.Work) -> None:
    specs = dict(worked.specifications())
    first = ""
    for name in ("everything, telescope", "grid"):
        identifier = _submitted(client, specs[name])
        worked.run(work)
        first = first or identifier
    client.post(f"/v1/calibrations/{first}/extensions", json={"widths": [256]})
    worked.run(work)


def _external(client: Client) -> None:
    uploads = {name: (spec, trials) for name, spec, trials in asks.uploads()}
    for name, finish in (("drift adam", True), ("shift", True), ("one seed", False)):
        spec, trials = uploads[name]
        address = f"/v1/calibrations/{_submitted(client, spec)}"
        client.post(f"{address}/trials", json={"trials": trials})
        if finish:
            client.post(f"{address}/finish")


def steady(dump: str) -> str:
    """The same dump whenever it is made: ids and times are numbered as they come."""
    dump = _CONSTRAINTS.sub(_in_order, dump)
    dump = _INDEXES.sub(lambda found: "\n".join(sorted(found[0].splitlines())) + "\n", dump)
    ids: dict[str, str] = {}
    for found in _ID.finditer(dump):
        ids.setdefault(found[0], f"{found[1]}_{len(ids):024x}")
    seconds = count()  # rows are dumped as they were inserted, so a later row of a table has a later time

    def moment(_: re.Match[str]) -> str:
        return f"{datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)):%Y-%m-%d %H:%M:%S}.000000"

    dump = _TIME.sub(moment, _ID.sub(lambda found: ids[found[0]], dump))
    return _REQUEST.sub(lambda found: found[0] if set(found[0][1:14]) == {"0"} else "'0123456789abcdef'", dump)


def _in_order(found: re.Match[str]) -> str:
    """The constraints of a table by name: a migration writes them, and indexes, in any order."""
    lines = found[0].splitlines()
    last = "" if not lines[-1].rstrip().endswith(",") else ","
    return ",\n".join(sorted(line.rstrip().rstrip(",") for line in lines)) + last + "\n"
