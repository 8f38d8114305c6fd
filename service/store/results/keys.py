"""API keys: rows with a digest of each secret, never the secret itself."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import Database
from service.store.database.errors import NotFoundError
from service.store.database.records import ApiKey
from service.store.database.tables import api_keys
from service.store.database.validation import storable

TOUCH_SECONDS = 60.0  # a key's last use is kept to the minute (chosen), so that reads rarely write


class Keys:
    """The API keys of all owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        key_id: str,
        *,
        owner: str,
        name: str,
        scopes: Sequence[str],
        digest: str,
        lifetime_seconds: float | None = None,
    ) -> ApiKey:
        """Store a key by the digest of its secret; lifetime_seconds: from now; None if it never expires."""
        with self._database.write() as connection:
            connection.execute(
                sa.insert(api_keys).values(
                    id=key_id,
                    created_at=now(),
                    owner=owner,
                    name=name,
                    scopes=list(scopes),
                    digest=digest,
                    expires_at=None if lifetime_seconds is None else now(lifetime_seconds),
                )
            )
            return _get(connection, key_id)

    def find(self, key_id: str) -> ApiKey | None:
        """Return a key, or None; its `valid` says whether it is valid now."""
        with self._database.read() as connection:
            return _find(connection, key_id)

    def all(self, owner: str | None = None) -> tuple[ApiKey, ...]:
        """Return all keys, or one owner's, newest first."""
        query = _select().order_by(api_keys.c.created_at.desc(), api_keys.c.id.desc())
        if owner is not None:
            query = query.where(api_keys.c.owner == owner)
        with self._database.read() as connection:
            return tuple(_read(row) for row in connection.execute(query))

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key now; a revoked one does not change. NotFoundError if there is no such key."""
        with self._database.write() as connection:
            _get(connection, key_id)
            not_yet = sa.and_(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
            connection.execute(sa.update(api_keys).where(not_yet).values(revoked_at=now()))
            return _get(connection, key_id)

    def touch(self, key_id: str) -> None:
        """Record a key's use, unless one was recorded within the last minute."""
        stale = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < now(-TOUCH_SECONDS))
        with self._database.write() as connection:
            connection.execute(sa.update(api_keys).where(api_keys.c.id == key_id, stale).values(last_used_at=now()))


def _select() -> sa.Select[Any]:
    expired = sa.and_(api_keys.c.expires_at.is_not(None), api_keys.c.expires_at <= now())
    valid = sa.and_(api_keys.c.revoked_at.is_(None), sa.not_(expired))
    return sa.select(api_keys, sa.case((valid, 1), else_=0).label("valid"))


def _find(connection: sa.Connection, key_id: str) -> ApiKey | None:
    if not storable(key_id):
        return None
    row = connection.execute(_select().where(api_keys.c.id == key_id)).one_or_none()
    return None if row is None else _read(row)


def _get(connection: sa.Connection, key_id: str) -> ApiKey:
    found = _find(connection, key_id)
    if found is None:
        raise NotFoundError("API key", key_id)
    return found


def _read(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        created_at=row.created_at,
        owner=row.owner,
        name=row.name,
        scopes=tuple(row.scopes),
        digest=row.digest,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        valid=bool(row.valid),
    )
