"""The one place where the recorded set touches the code: how a service, a database, a search and a fit are made."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import load_settings
from service.store import open_store
from service.store.database.schema import upgrade
from tests.api.client import Client, client_of
from widthwise.estimate.calibration import fit_calibration
from widthwise.search.rounds import next_round

Json = dict[str, Any]


@contextmanager
def service(file: Path, dump: str | None = None) -> Iterator[Client]:
    """A client of a service on a SQLite file, new or made from a dump, brought to this version's schema."""
    if dump is not None:
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(dump)
    url = f"sqlite:///{file}"
    upgrade(url)
    store = open_store(url)
    try:
        with client_of(create_app(load_settings(database_url=url), store)) as client:
            yield client
    finally:
        store.close()


def dumped(file: Path) -> str:
    """The SQL that makes a SQLite file again."""
    with closing(sqlite3.connect(file)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def planned(spec: Json, trials: Sequence[Mapping[str, Any]]) -> list[Json]:
    """The shards of the next round, as JSON."""
    return [dict(shard) for shard in next_round(spec, trials)]


def fitted(spec: Json, trials: Sequence[Mapping[str, Any]]) -> Json:
    """The result of a calibration, as JSON."""
    return fit_calibration(spec, trials).to_dict()
