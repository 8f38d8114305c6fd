"""How much a database grows with the work done: bytes of a trial, of its event, and of a whole calibration.

    python -m benchmarks.database_growth [--dry]

Calibrations of usual size are made, searched, run and fitted through the store as workers do it, with losses from a
formula instead of training. What measurements add is not in it.
"""

import os
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from benchmarks.record import arguments, write_result
from benchmarks.service_database import migrated_database, server_version
from benchmarks.service_rows import ENVIRONMENT, specification
from benchmarks.soak_child import loss_of
from service.store import CalibrationState, Claim, Store, create_store_engine

CALIBRATIONS = 50  # chosen: the tables then grow by hundreds of pages, so that a page's size no longer shows
TABLES = ("calibrations", "shards", "trials", "events", "exponents")


def sizes(engine: sa.Engine) -> dict[str, int]:
    """Bytes of each table with its indexes, and of the whole."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            each = {
                name: connection.execute(
                    sa.text("SELECT pg_total_relation_size(CAST(:name AS regclass))"), {"name": name}
                )
                for name in TABLES
            }
            whole = connection.execute(sa.text("SELECT pg_database_size(current_database())"))
            return {name: found.scalar_one() for name, found in each.items()} | {"whole": whole.scalar_one()}
    path = str(engine.url.database)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {"whole": os.stat(path).st_size}  # noqa: PTH116  the name is a text


def run(store: Store, claim: Claim) -> None:
    """Report a claim's environment and trials one by one, as a child does, and finish it."""
    store.work.record_environment(claim, ENVIRONMENT)
    width, steps = claim.shard.width, claim.spec.steps
    for rate in claim.shard.learning_rates:
        for seed in claim.shard.seeds:
            loss = loss_of(width, rate, seed)
            trial = {"width": width, "learning_rate": rate, "seed": seed, "loss": loss, "steps": steps}
            status = "diverged" if loss is None else "completed"
            store.work.record_trial(claim, {**trial, "status": status, "seconds": 0.5, "flops": 1e9})
    store.work.finish(claim)


def measure(url: str) -> dict[str, Any]:
    """Run the calibrations on an empty database; give bytes before and after, and rows."""
    engine = create_store_engine(url)
    store = Store(engine, lease=timedelta(hours=1))
    try:
        before = sizes(engine)
        for _ in range(CALIBRATIONS):
            store.calibrations.create(specification())
        while (claim := store.work.claim("worker")) is not None:
            run(store, claim)
        ended = store.calibrations.page(state=CalibrationState.SUCCEEDED, limit=CALIBRATIONS).items
        assert len(ended) == CALIBRATIONS, f"{len(ended)} of {CALIBRATIONS} calibrations succeeded"
        with engine.connect() as connection:
            rows = {
                name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608  our names
                for name in TABLES
            }
        return {"server": server_version(engine), "before": before, "after": sizes(engine), "rows": rows}
    finally:
        store.close()


def grown(measured: Mapping[str, Any], name: str) -> int:
    """Bytes by which a table grew."""
    return int(measured["after"][name] - measured["before"][name])


def lines(postgres: Mapping[str, Any], sqlite: Mapping[str, Any]) -> list[str]:
    """The page."""
    rows = postgres["rows"]
    trials = rows["trials"] / CALIBRATIONS
    whole = {name: grown(measured, "whole") / CALIBRATIONS for name, measured in (("p", postgres), ("s", sqlite))}
    return [
        f"{CALIBRATIONS} calibrations of {trials:.0f} trials each: claimed, stored one by one and fitted. Indexes",
        "and what updates left behind are counted. Nothing is ever deleted.",
        "",
        "| table | rows of one calibration | bytes of a row, Postgres |",
        "|---|---|---|",
        *(
            f"| `{name}` | {rows[name] / CALIBRATIONS:.0f} | {grown(postgres, name) / rows[name]:.0f} |"
            for name in TABLES
        ),
        "",
        "| | bytes of one calibration | of one trial | a million trials |",
        "|---|---|---|---|",
        *(_row(measured, whole[name], trials) for name, measured in (("p", postgres), ("s", sqlite))),
    ]


def _row(measured: Mapping[str, Any], calibration: float, trials: float) -> str:
    each = calibration / trials
    return f"| {measured['server']} | {calibration:,.0f} | {each:,.0f} | {each / 1e3:.2f} GB |"  # a million of them


def main() -> None:
    options = arguments(__doc__).parse_args()
    measured = {}
    for kind in ("postgresql", "sqlite"):
        with migrated_database(kind) as url:
            measured[kind] = measure(url)
        each = grown(measured[kind], "whole") / measured[kind]["rows"]["trials"]
        print(f"{measured[kind]['server']}: {each:.0f} bytes a trial")
    page = lines(measured["postgresql"], measured["sqlite"])
    data = {"calibrations": CALIBRATIONS, **measured}
    packages = ("widthwise", "sqlalchemy", "psycopg")
    write_result("database_growth", "Database growth", page, data, options, packages=packages)


if __name__ == "__main__":
    main()
