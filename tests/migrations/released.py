"""Databases as released versions left them: rows in every table of revisions 0001 to 0006.

Never changed once a revision is released: what is here must upgrade for ever.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

NOW = datetime(2026, 1, 1, tzinfo=UTC)

#: Of a calibration that both revisions took.
SPEC: dict[str, Any] = {
    "runner": "worker",
    "parameterization": "mup",
    "optimizer": "adam",
    "alignment": "full",
    "form": "table_9",
    "widths": [32, 64],
    "seeds": 1,
    "learning_rates": [0.1, 0.2, 0.4],
    "steps": 10,
    "search": "grid",
    "measure": ["learning_rate"],
    "proxy": {
        "architecture": "mlp",
        "depth": 2,
        "head_dim": 16,
        "sequence_length": 8,
        "batch_size": 16,
        "dataset": "python_docs",
    },
}
SHARD = {"width": 32, "learning_rates": [0.1, 0.2, 0.4], "seeds": [0]}

CALIBRATION: dict[str, Any] = {
    "created_at": NOW,
    "runner": "worker",
    "spec": SPEC,
    "spec_digest": "d" * 64,
    "trials_total": 6,
    "last_event": 1,
}
TRIAL: dict[str, Any] = {
    "created_at": NOW,
    "width": 32,
    "learning_rate": 0.1,
    "seed": 0,
    "status": "completed",
    "loss": 2.5,
    "seconds": 1.5,
    "steps": 10,
    "flops": 1e9,
}
EXPONENT: dict[str, Any] = {
    "created_at": NOW,
    "quantity": "learning_rate",
    "role": "hidden",
    "value": 1.1,
    "standard_error": 0.05,
    "interval_low": 0.9,
    "interval_high": 1.3,
    "degrees_of_freedom": 2,
    "theory": 1.0,
    "widths": [32, 64],
    "source": "calibration",
    "parameterization": "mup",
    "optimizer": "adam",
    "alignment": "full",
    "architecture": "mlp",
    "dataset": "python_docs",
    "provenance": {"spec_sha256": "d" * 64, "environments": []},
}

_FIRST: list[tuple[str, dict[str, Any]]] = [
    ("workers", {"id": "w1", "host": "here", "device": "cpu", "versions": {"jax": "0.10.2"}, "last_seen": NOW}),
    (
        "calibrations",
        {
            **CALIBRATION,
            "id": "cal_done",
            "state": "succeeded",
            "idempotency_key": "k1",
            "started_at": NOW,
            "finished_at": NOW,
            "result": {"trials": 1},
        },
    ),
    ("calibrations", {**CALIBRATION, "id": "cal_open", "state": "running", "created_at": NOW + timedelta(hours=1)}),
    (
        "calibrations",
        {**CALIBRATION, "id": "cal_bad", "state": "failed", "reason": "1 shard(s) failed", "finished_at": NOW},
    ),
    (
        "shards",
        {
            "id": "shd_done",
            "calibration_id": "cal_done",
            "created_at": NOW,
            "position": 0,
            "spec": SHARD,
            "state": "succeeded",
            "attempts": 1,
            "epoch": 1,
            "worker_id": "w1",
            "environment": {"device": "cpu"},
            "started_at": NOW,
            "finished_at": NOW,
        },
    ),
    (
        "shards",
        {
            "id": "shd_open",
            "calibration_id": "cal_open",
            "created_at": NOW + timedelta(hours=1),
            "position": 0,
            "spec": SHARD,
            "state": "queued",
            "attempts": 0,
            "epoch": 0,
        },
    ),
    (
        "shards",
        {
            "id": "shd_held",
            "calibration_id": "cal_open",
            "created_at": NOW + timedelta(hours=1),
            "position": 1,
            "spec": {**SHARD, "width": 64},
            "state": "running",
            "attempts": 1,
            "epoch": 1,
            "worker_id": "w1",
            "lease_until": NOW + timedelta(days=36500),
        },
    ),
    (
        "shards",
        {
            "id": "shd_bad",
            "calibration_id": "cal_bad",
            "created_at": NOW,
            "position": 0,
            "spec": SHARD,
            "state": "failed",
            "attempts": 3,
            "epoch": 3,
            "reason": "out of memory",
        },
    ),
    ("trials", {**TRIAL, "id": "tri_done", "calibration_id": "cal_done", "shard_id": "shd_done"}),
    ("trials", {**TRIAL, "id": "tri_up", "calibration_id": "cal_done", "shard_id": None, "learning_rate": 0.2}),
    ("exponents", {**EXPONENT, "id": "exp_hidden", "calibration_id": "cal_done"}),
    ("exponents", {**EXPONENT, "id": "exp_readout", "calibration_id": "cal_done", "role": "readout"}),
    # of another family
    ("exponents", {**EXPONENT, "id": "exp_other", "calibration_id": "cal_bad", "optimizer": "sgd", "dataset": "café"}),
    ("events", {"calibration_id": "cal_done", "seq": 1, "created_at": NOW, "kind": "calibration", "data": {}}),
]

#: What 0002 added to rows of these tables, and its own table.
_SECOND: list[tuple[str, dict[str, Any]]] = [
    (
        "calibrations",
        {
            **CALIBRATION,
            "id": "cal_more",
            "state": "queued",
            "idempotency_key": "k2",
            "created_at": NOW + timedelta(hours=2),
            "extends": "cal_done",
            "rounds": 3,
            "environments": [{"device": "cpu"}],
            "expected": {"stages": [], "shards": 0, "seconds": None},
        },
    ),
    ("trials", {**TRIAL, "id": "tri_role", "calibration_id": "cal_more", "role": "hidden", "gamma": 2.0, "horizon": 5}),
    (
        "measurements",
        {
            "id": "mea_1",
            "calibration_id": "cal_more",
            "shard_id": None,
            "created_at": NOW,
            "width": 32,
            "seed": 0,
            "kind": "gradients",
            "data": {"hidden": 1e-6},
        },
    ),
]

#: The words that 0003 gathered into families, each combination once.
_WORDS = ("parameterization", "optimizer", "alignment", "architecture", "dataset", "source")


def _third() -> list[tuple[str, dict[str, Any]]]:
    """The same rows as 0003 has them, and rows of its own tables."""
    families: dict[tuple[Any, ...], int] = {}
    found: list[tuple[str, dict[str, Any]]] = []
    for table, values in [*_FIRST, *_SECOND]:
        if table == "exponents":
            number = families.setdefault(tuple(values[word] for word in _WORDS), len(families) + 1)
            found.append((table, {k: v for k, v in values.items() if k not in _WORDS} | {"family_id": number}))
        elif table == "shards":
            found.append((table, {**values, "queued_at": values["created_at"]}))
        else:
            found.append((table, values))
    words = [("exponent_families", dict(zip(_WORDS, key, strict=True), id=each)) for key, each in families.items()]
    key = {"owner": "ada", "name": "laptop", "scopes": ["read"], "digest": "e" * 64}
    lease = {"name": "work", "due_at": NOW, "worker_id": "w1"}
    return [*words, *found, ("api_keys", {**key, "id": "key_1", "created_at": NOW}), ("sweeps", lease)]


def _fourth() -> list[tuple[str, dict[str, Any]]]:
    """The same rows as 0004 has them, and a sweep with a run."""
    found = [("housekeeping" if table == "sweeps" else table, values) for table, values in _third()]
    sweep = {"id": "swe_1", "created_at": NOW, "owner": "ada", "digest": "f" * 64, "name": "mine", "reading": {}}
    counts = {"revision": 1, "runs": 1, "diverged": 0, "cells": 1, "axes": {"width": [32, 32]}}
    run = {"id": "run_1", "sweep_id": "swe_1", "created_at": NOW, "revision": 1, "cell": "a" * 64, "identity": "b" * 64}
    values = {"axes": {"width": 32}, "learning_rate": 0.1, "seed": 0, "repeat": 0, "loss": 2.5}
    return [*found, ("sweeps", {**sweep, **counts}), ("sweep_runs", {**run, **values})]


def _fifth() -> list[tuple[str, dict[str, Any]]]:
    """The same rows as 0005 has them, with what it counts."""
    rows = _fourth()
    found = []
    for table, values in rows:
        more: dict[str, Any] = {}
        if table == "calibrations":
            done = sum(other == "trials" and row["calibration_id"] == values["id"] for other, row in rows)
            more = {"turn": 1, "trials_done": done, "stored_trials": done, "stored_bytes": 612 * done, "flops": 1e9}
        elif table == "shards":
            more = {"owner": ""}
        found.append((table, {**values, **more}))
    return found


def _sixth() -> list[tuple[str, dict[str, Any]]]:
    """The same rows as 0006 has them, with a column that is not an axis."""
    return [
        (table, {**each, "unused": {"dropout": 0.1}} if table == "sweep_runs" else each) for table, each in _fifth()
    ]


#: Rows by the revision that wrote them, parents first.
RELEASED = {
    "0001": _FIRST,
    "0002": [*_FIRST, *_SECOND],
    "0003": _third(),
    "0004": _fourth(),
    "0005": _fifth(),
    "0006": _sixth(),
}


def insert(engine: sa.Engine, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Insert rows into the tables that the database has, whatever its revision."""
    found = sa.MetaData()
    found.reflect(engine)
    with engine.begin() as connection:
        for table, values in rows:
            connection.execute(sa.insert(found.tables[table]).values(**values))
