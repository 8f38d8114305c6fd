"""Record the answers of the code as it is: `python -m tests.recorded.record`; README.md says when that is allowed."""

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

from service.store.database.engine import create_store_engine
from service.store.database.schema import upgrade
from tests.migrations.released import RELEASED, insert
from tests.recorded import asks, door, play

HERE = Path(__file__).parent


def write(name: str, answers: Any) -> None:
    """Write answers as compressed JSON, one line for each."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in answers.items())
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(f"{{\n{lines}\n}}\n".encode(), mtime=0))


def main() -> None:
    """Write every file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with door.service(folder / "new.db") as client:
            write("transfers", play.transfers(client))
            write("openapi", client.get("/openapi.json").json())
            specs = {each: client.post("/v1/calibrations", json=spec).json()["spec"] for each, spec in asks.searches()}
            write("searches", {each: {"spec": specs[each], **found} for each, found in play.searches(specs).items()})
        with door.service(folder / "calibrations.db") as client:
            write("calibrations", play.calibrations(client))
            for spec, key in ((asks.specification(), "k"), (asks.specification(runner="external"), "e")):
                client.post("/v1/calibrations", json=spec, headers={"Idempotency-Key": key})
        databases = {"head": door.dumped(folder / "calibrations.db")}
        for revision, rows in RELEASED.items():
            file = folder / f"{revision}.db"
            engine = create_store_engine(f"sqlite:///{file}")
            upgrade(engine, revision)
            insert(engine, rows)
            engine.dispose()
            databases[revision] = door.dumped(file)
        found = {}
        for revision, dump in databases.items():
            with door.service(folder / f"again-{revision}.db", dump) as client:
                found[revision] = {"dump": dump, "answers": play.stored(client)}
        write("databases", found)


if __name__ == "__main__":
    main()
