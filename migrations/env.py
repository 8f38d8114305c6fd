"""Alembic's environment: migrates the connection it is handed, or the database of the settings."""

from typing import Literal

import sqlalchemy as sa
from alembic import context

from service.store import UtcDateTime, tables


def _render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our column type as the plain one beneath it, so that old revisions need no code of ours."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def _run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=tables.metadata,
        render_as_batch=True,  # SQLite can't alter most things in place
        transactional_ddl=True,  # the caller's transaction holds all revisions, on SQLite too
        render_item=_render,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


handed = context.config.attributes.get("connection")
if handed is not None:
    _run(handed)
else:
    from service.settings import load_settings
    from service.store import create_store_engine

    engine = create_store_engine(load_settings().database_url, for_migration=True)
    with engine.begin() as own:
        _run(own)
    engine.dispose()
