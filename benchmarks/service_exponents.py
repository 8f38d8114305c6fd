"""GET /v1/exponents over a million stored rows: each filter, several, and those that match few rows or none.

    python -m benchmarks.service_exponents [--rows 1000000] [--requests 20] [--database postgresql] [--plans] [--dry]

Every case is asked as an owner of many rows, as one of few, and as an administrator, who sees everyone's; at the first
page, at three depths and at the last. One client sends one request after another, so a time is the service's alone. The
database's plan of every statement is read: one that scans the table of exponents ends the command with an error.
"""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from benchmarks import record
from benchmarks.service_database import (
    captured,
    explain,
    fill,
    gather_statistics,
    migrated_database,
    server_version,
    without_indexes,
)
from benchmarks.service_process import PACKAGES, Connection, Server, percentile, serving
from benchmarks.service_rows import (
    APART,
    FEW,
    MANY,
    ROWS_EACH,
    START,
    calibration_rows,
    drawn_words,
    exponent_rows,
    family_words,
)
from service.auth.tokens import digest_of, make_token
from service.store import ExponentFilter, Store, create_store_engine, encode_cursor, open_store, tables

AIM_MS = 25.0  # p99
LIMIT = 50  # the route's default
DEPTHS = (1.0, 0.75, 0.5, 0.25, 0.001)  # share of the rows that are older than the page: 1 is the first page
PEPPER = "the benchmark's own, of a database that is dropped"

#: Filters by what they are to show; None of a calibration's id stands for one in the middle.
CASES: dict[str, dict[str, Any]] = {
    "no filter": {},
    "parameterization, 45 %": {"parameterization": "standard"},
    "optimizer, 35 %": {"optimizer": "adam"},
    "alignment, 60 %": {"alignment": "full"},
    "role, 25 %": {"role": "hidden"},
    "quantity, 50 %": {"quantity": "learning_rate"},
    "source, all": {"source": "calibration"},
    "architecture, 25 %": {"architecture": "mlp"},
    "dataset, 60 %": {"dataset": "python_docs"},
    "calibration": {"calibration_id": None},
    "parameterization, 3 %": {"parameterization": "mean_field"},
    "optimizer, 1 %": {"optimizer": "adam_parameter_scaling"},
    "dataset, 160 rows": {"dataset": "rare_corpus"},
    "dataset, old rows only": {"dataset": "old_books"},
    "dataset, no row": {"dataset": "no_such_corpus"},
    "role, 0.01 %": {"role": "scalar"},
    "rare role and quantity, no row": {"role": "scalar", "quantity": "epsilon", "alignment": "none"},
    "seven filters, common": {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "architecture": "transformer",
        "dataset": "python_docs",
        "role": "hidden",
        "quantity": "learning_rate",
    },
    "two common filters, no row": {"alignment": "none", "optimizer": "adafactor"},
    "two filters, old rows only": {"alignment": "measured", "parameterization": "mean_field"},
    "old rows only, with role": {"dataset": "old_books", "role": "readout"},
    "three filters, rare": {"optimizer": "adam_parameter_scaling", "parameterization": "mean_field", "role": "vector"},
}


@dataclass
class Outcome:
    """What one case took, as one caller."""

    caller: str
    case: str
    filters: dict[str, Any]
    items: list[int] = field(default_factory=list)  #: on the page of each depth
    medians_ms: list[float] = field(default_factory=list)  #: at each depth
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    indexes: list[str] = field(default_factory=list)
    plans: list[list[str]] = field(default_factory=list)  #: of each statement, at the middle depth


def load(url: str, rows: int) -> dict[str, Any]:
    """Fill the database; say how much room an exponent takes."""
    started = time.monotonic()
    engine = create_store_engine(url, for_migration=True)
    words = list(drawn_words(rows // ROWS_EACH))
    distinct = sorted({family_words(one) for one in words})
    families = {family: number for number, family in enumerate(distinct, start=1)}
    names = [column.name for column in tables.exponent_families.c]
    with without_indexes(engine, tables.calibrations, tables.exponents):
        fill(engine, tables.calibrations, calibration_rows(words))
        fill(engine, tables.exponent_families, (dict(zip(names, (n, *f), strict=True)) for f, n in families.items()))
        fill(engine, tables.exponents, exponent_rows(words, families))
    gather_statistics(engine, tables.exponent_families)
    version = server_version(engine)
    engine.dispose()
    return {
        "rows": len(words) * ROWS_EACH,
        "families": len(families),
        "database": version,
        "load_seconds": round(time.monotonic() - started, 1),
    }


def filters_of(case: dict[str, Any], calibrations: int) -> dict[str, Any]:
    """The filters of a case."""
    return {name: f"cal_{calibrations // 2:024x}" if value is None else value for name, value in case.items()}


def cursor_at(depth: float, calibrations: int) -> str | None:
    """The cursor of the page that has this share of all rows behind it."""
    if depth == 1.0:
        return None
    moment = START + int(depth * calibrations) * APART
    return encode_cursor(tables.exponents.name, moment, "exp_8")


def read_plans(store: Store, engine: sa.Engine, outcome: Outcome, cursor: str | None) -> None:
    """Keep the plan of every statement that a page takes."""
    with captured(engine) as statements:
        store.exponents.page(ExponentFilter(**outcome.filters), cursor=cursor, limit=LIMIT)
    with engine.connect() as connection:
        outcome.plans = [explain(connection, statement, parameters) for statement, parameters in statements]
    found = re.findall(r"(?:using|on|INDEX) ((?:ix|uq|pk)_\w*exponents\w*)", "\n".join(map("\n".join, outcome.plans)))
    outcome.indexes = sorted(set(found))


def scans(outcome: Outcome) -> list[str]:
    """Lines of the plans that read the table of exponents from end to end."""
    whole = re.compile(r"Seq Scan on exponents\b|SCAN (exponents|row_of_family|each)(?! USING)")
    return [line for plan in outcome.plans for line in plan if whole.search(line)]


@contextmanager
def callers(url: str) -> Iterator[dict[str, str]]:
    """API keys: of the owner of many rows, of the one of few, and of an administrator."""
    store = open_store(url)
    tokens = {}
    for owner, scope in ((MANY, "read"), (FEW, "read"), ("administrator", "admin")):
        token = make_token()
        digest = digest_of(PEPPER, token.secret)
        store.keys.create(token.key_id, owner=owner, name="benchmark", scopes=[scope], digest=digest)
        tokens[owner] = token.reveal()
    yield tokens
    store.close()


async def ask(server: Server, token: str, path: str, requests: int) -> tuple[list[float], int]:
    """Seconds of each of some equal requests, and the items on the page."""
    async with Connection(server, {"Authorization": f"Bearer {token}"}) as connection:
        request = connection.request("GET", path)
        seconds, items = [], 0
        for number in range(requests + 2):
            answer = await connection.send(request)
            if answer.status != 200:
                raise RuntimeError(f"GET {path}: {answer.status} {answer.body[:300]!r}")
            items = answer.body.count(b'"calibration_id":')
            if number >= 2:  # the first two meet a plan and pages that nobody has asked for
                seconds.append(answer.seconds)
        return seconds, items


def measure(url: str, rows: int, requests: int) -> list[Outcome]:
    """Time every case as every caller."""
    calibrations = rows // ROWS_EACH
    outcomes = []
    engine = create_store_engine(url)
    environment = {
        "WIDTHWISE_DATABASE_URL": url,
        "WIDTHWISE_REQUIRE_KEYS": "true",
        "WIDTHWISE_PEPPER": PEPPER,
        "WIDTHWISE_REQUESTS_PER_MINUTE": "0",
    }
    with (
        callers(url) as tokens,
        serving("service", **environment) as server,
    ):
        for caller, token in tokens.items():
            store = Store(engine).of(caller, everyone=caller == "administrator")
            for name, case in CASES.items():
                filters = filters_of(case, calibrations)
                outcome = Outcome(caller, name, filters)
                everything: list[float] = []
                for depth in DEPTHS:
                    cursor = cursor_at(depth, calibrations)
                    query = urlencode({**filters, "limit": LIMIT, **({"cursor": cursor} if cursor else {})})
                    seconds, items = asyncio.run(ask(server, token, f"/v1/exponents?{query}", requests))
                    everything += seconds
                    outcome.items.append(items)
                    outcome.medians_ms.append(round(percentile(seconds, 50), 2))
                outcome.p50_ms, outcome.p99_ms = (round(percentile(everything, p), 2) for p in (50, 99))
                read_plans(store, engine, outcome, cursor_at(0.5, calibrations))
                outcomes.append(outcome)
                print(
                    f"{caller:>13}  {name:32} {outcome.p50_ms:7.2f} {outcome.p99_ms:7.2f}   "
                    + " ".join(f"{median:6.2f}" for median in outcome.medians_ms)
                    + f"   {outcome.items}",
                    flush=True,
                )
    engine.dispose()
    return outcomes


def page(outcomes: list[Outcome], about: dict[str, Any], requests: int) -> list[str]:
    """The page of the results."""
    worst = max(outcomes, key=lambda outcome: outcome.p99_ms)
    lines = [
        f"Pages of {LIMIT} of {about['rows']:,} stored exponents ({about['families']:,} families) on "
        f"{about['database']} with its own defaults, by one client that sends one request after another with an API "
        f"key. The aim is a 99th percentile below {AIM_MS:g} ms; the worst case has {worst.p99_ms:.1f} ms "
        f"({worst.case}, as {worst.caller}). No plan scans the table.",
        "",
        f"Milliseconds of {requests} requests at each of {len(DEPTHS)} depths: their median and 99th percentile, then "
        "the median at the first page, behind a quarter, a half and three quarters of all rows, and at the last.",
    ]
    for caller in dict.fromkeys(outcome.caller for outcome in outcomes):
        lines += ["", f"## As {caller}", "", "| filters | p50 | p99 | first | ¼ | ½ | ¾ | last | index |"]
        lines += ["|---|---|---|---|---|---|---|---|---|"]
        for outcome in (one for one in outcomes if one.caller == caller):
            numbers = [outcome.p50_ms, outcome.p99_ms, *outcome.medians_ms]
            indexes = ", ".join(f"`{index}`" for index in outcome.indexes)
            lines.append(f"| {outcome.case} | {' | '.join(f'{number:.1f}' for number in numbers)} | {indexes} |")
    lines += ["", "## Plans", "", "Of every statement of one page in the middle, for the slowest case of each caller."]
    for caller in dict.fromkeys(outcome.caller for outcome in outcomes):
        slowest = max((one for one in outcomes if one.caller == caller), key=lambda one: one.p99_ms)
        lines += ["", f"As {caller}, {slowest.case}:"]
        for plan in slowest.plans:
            lines += ["", "```", *plan, "```"]
    return lines


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=20, help="at each depth of each case")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--plans", action="store_true", help="print every plan")
    options = parser.parse_args()
    with migrated_database(options.database) as url:
        about = load(url, options.rows)
        print(about)
        outcomes = measure(url, options.rows, options.requests)
    for outcome in outcomes if options.plans else ():
        print(f"\n{outcome.caller}, {outcome.case}")
        for plan in outcome.plans:
            print("\n".join(f"    {line}" for line in plan), end="\n\n")
    if found := [(outcome.caller, outcome.case, scans(outcome)) for outcome in outcomes if scans(outcome)]:
        sys.exit(f"The table is scanned: {found}")
    name = "service_exponents" if options.database == "postgresql" else "service_exponents_sqlite"
    title = f"Reading {about['rows']:,} stored exponents"
    data = {"about": about, "depths": DEPTHS, "outcomes": [asdict(outcome) for outcome in outcomes]}
    record.write_result(name, title, page(outcomes, about, options.requests), data, options, packages=PACKAGES)


if __name__ == "__main__":
    main()
