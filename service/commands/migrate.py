"""`widthwise migrate`: upgrade the database to this version's schema, or check that it is current."""

from pathlib import Path
from typing import Annotated

import typer

from widthwise.cli import console
from widthwise.cli.installation import needs
from widthwise.cli.options import DataDir
from widthwise.errors import InvalidInputError


def migrate(
    *,
    data_dir: DataDir = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if a migration is needed.")] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored", help="The database was restored from a backup: end every claim in it before it is used."
        ),
    ] = False,
) -> None:
    """Upgrade the database to the schema that this version needs. Does nothing if it is current.

    The database is the SQLite file in the data directory, or the one that WIDTHWISE_DATABASE_URL names.

    \b
    Examples:
      widthwise migrate
      widthwise migrate --check --data-dir ~/widthwise
      widthwise migrate --restored                    after a backup was restored
      WIDTHWISE_DATABASE_URL=postgresql://… widthwise migrate
    """
    with needs("service"):
        from service.settings import load_settings
        from service.store import (
            check_schema,
            create_store_engine,
            current_revision,
            end_claims,
            head_revision,
            upgrade,
        )

    if check and restored:
        raise InvalidInputError(
            "--check and --restored exclude each other: --check changes nothing; give one of them", field="--restored"
        )
    settings = load_settings(data_dir=data_dir)
    sqlite_file = settings.database_url.removeprefix("sqlite:///")
    if (check or restored) and sqlite_file != settings.database_url and not Path(sqlite_file).exists():
        raise InvalidInputError(f"there is no database {sqlite_file} yet; run `widthwise migrate`")
    engine = create_store_engine(settings.database_url, for_migration=True)
    try:
        before = current_revision(engine)
        if check:
            check_schema(engine)
        elif before != head_revision():
            upgrade(engine)
        ended = end_claims(engine) if restored else 0
    finally:
        engine.dispose()
    head = head_revision()
    done = "is at" if check or before == head else f"went from {before or 'empty'} to"
    console.stdout().print(f"The database {done} revision {head}.", soft_wrap=True)
    if restored:
        console.stdout().print(
            f"All earlier claims are void; {ended} running shards were queued again.", soft_wrap=True
        )
