"""The queue: which shards may be claimed, in which order, and whose turn it is.

Its statements are built once, since every claim and every poll of an idle worker runs them; only a worker that leaves
something alone builds its own.
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import Database
from service.store.database.states import ShardState
from service.store.database.tables import calibrations, shards
from service.store.database.transitions import lock_calibration

ATTEMPTS_MAXIMUM = 3  # of one shard (chosen): machine failures are temporary, failures of the work are not
ALIVE_SECONDS = 60.0  # since a worker's last report (chosen): it reports six times as often
RIVAL_TIMEOUT_MS = 3_000  # longest wait for a row (chosen): time for hundreds of claims of one calibration in sequence

#: The order of claims: the oldest calibration first, and its shards by position.
QUEUE_ORDER = (shards.c.created_at, shards.c.calibration_id, shards.c.position)

#: What a claim reads of its calibration.
CLAIM_COLUMNS = ("id", "state", "spec", "request_id", "cancel_requested_at", "owner", "shares")


def waiting() -> sa.ColumnElement[bool]:
    """The condition that a shard's row is queued."""
    return sa.and_(shards.c.state == ShardState.QUEUED, shards.c.attempts < ATTEMPTS_MAXIMUM)


def expired() -> sa.ColumnElement[bool]:
    """The condition that its worker has stopped reporting, and another may take it."""
    return sa.and_(
        shards.c.state == ShardState.RUNNING,
        shards.c.lease_until < now(),
        shards.c.attempts < ATTEMPTS_MAXIMUM,
    )


def claimable() -> sa.ColumnElement[bool]:
    """The condition on a shard's row under which a worker may take it."""
    return sa.or_(waiting(), expired())


def allowed(without: Collection[str], without_owners: Collection[str]) -> sa.ColumnElement[bool] | None:
    """The condition on a calibration's row that leaves these and these owners' alone; None if there are none."""
    if not without and not without_owners:
        return None
    return sa.and_(calibrations.c.id.not_in(without), calibrations.c.owner.not_in(without_owners))


def _head(*, free: bool, allowed: sa.ColumnElement[bool] | None = None) -> sa.CompoundSelect[Any]:
    """The calibration at the head of the queue. free: skip locked ones, and lock it."""
    heads = []
    # separately, each stops at its first row along the index; with OR the whole queue would be sorted
    for name, condition in (("waiting", waiting()), ("expired", expired())):
        head = (
            sa.select(*(calibrations.c[column] for column in CLAIM_COLUMNS), *QUEUE_ORDER)
            .join(calibrations, calibrations.c.id == shards.c.calibration_id)
            .where(condition, calibrations.c.cancel_requested_at.is_(None))
            .order_by(*QUEUE_ORDER)
            .limit(1)
        )
        if allowed is not None:
            head = head.where(allowed)
        if free:
            head = head.with_for_update(of=calibrations, key_share=True, skip_locked=True)
        heads.append(sa.select(head.cte(name)))
    return sa.union_all(*heads).order_by(*(column.name for column in QUEUE_ORDER)).limit(1)


HEAD = _head(free=False)
FREE_HEAD = _head(free=True)


def is_empty(database: Database, allowed: sa.ColumnElement[bool] | None = None) -> bool:
    """Return whether no shard may be claimed, of the calibrations that are allowed."""
    with database.read() as connection:
        return connection.execute(HEAD if allowed is None else _head(free=False, allowed=allowed)).first() is None


def next_calibration(connection: sa.Connection, allowed: sa.ColumnElement[bool] | None = None) -> sa.Row[Any] | None:
    """Lock the calibration whose turn it is and return its row; None if no shard may be claimed.

    It is the oldest that no other transaction has locked. If all are locked, wait for the oldest; it may no longer be
    claimable then. StoreUnavailableError if that takes longer than RIVAL_TIMEOUT_MS.
    """
    free = FREE_HEAD if allowed is None else _head(free=True, allowed=allowed)
    found = connection.execute(free).one_or_none()
    if found is not None:
        return found
    head = connection.execute(HEAD if allowed is None else _head(free=False, allowed=allowed)).one_or_none()
    if head is None:
        return None
    # only on Postgres: on SQLite this transaction has locked the whole file
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {RIVAL_TIMEOUT_MS}")
    return lock_calibration(connection, head.id)
