"""The queue: which shards may be claimed, in which order, and whose turn it is.

Its statements are built once, since every claim and every poll of an idle worker runs them; only a worker that leaves
something alone builds its own.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from service.store.database.clock import now
from service.store.database.engine import Database
from service.store.database.states import ShardState
from service.store.database.tables import calibrations, shards
from service.store.database.transitions import NUMBERED_ON, lock_calibration

ATTEMPTS_MAXIMUM = 3  # of one shard (chosen): machine failures are temporary, failures of the work are not
ALIVE_SECONDS = 60.0  # since a worker's last report (chosen): it reports six times as often
RIVAL_TIMEOUT_MS = 3_000  # longest wait for a row (chosen): time for hundreds of claims of one calibration in sequence

#: The order of claims: an owner's oldest calibration first, and its shards by position. Owners take turns, in the order
#: of their names, from the one after whose shard was claimed last.
QUEUE_ORDER = (shards.c.owner, shards.c.created_at, shards.c.calibration_id, shards.c.position)

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


#: Whose shard was claimed last; NULL before any claim.
LAST_OWNER = (
    sa.select(calibrations.c.owner).where(calibrations.c.turn > 0).order_by(calibrations.c.turn.desc()).limit(1)
)
#: The number of a claim that is made now. Two at once may get the same: then either owner counts as the last.
NEXT_TURN = sa.select(sa.func.coalesce(sa.func.max(calibrations.alias().c.turn), 0) + 1).scalar_subquery()
#: What `add_events` runs for a claim.
TURN_TAKEN = NUMBERED_ON.values(turn=NEXT_TURN)


def _oldest(stage: str, *conditions: sa.ColumnElement[bool], free: bool) -> sa.Select[Any]:
    """The calibration that comes first of those that meet the conditions. free: skip locked ones, and lock it."""
    heads = []
    # separately, each stops at its first row along the index; with OR the whole queue would be sorted
    for name, claimable_now in (("waiting", waiting()), ("expired", expired())):
        head = (
            sa.select(*(calibrations.c[column] for column in CLAIM_COLUMNS), *QUEUE_ORDER[1:])
            .join(calibrations, calibrations.c.id == shards.c.calibration_id)
            .where(claimable_now, calibrations.c.cancel_requested_at.is_(None), *conditions)
            .order_by(*QUEUE_ORDER)
            .limit(1)
        )
        if free:
            head = head.with_for_update(of=calibrations, key_share=True, skip_locked=True)
        heads.append(sa.select(head.cte(f"{name}_{stage}")))
    first = sa.union_all(*heads).order_by(*(column.name for column in QUEUE_ORDER)).limit(1)
    return sa.select(first.subquery(stage))


def _head(*conditions: sa.ColumnElement[bool], free: bool) -> sa.CompoundSelect[Any]:
    """The calibration at the head of the queue: of the owner whose turn it is or, at the end of the round, of any."""
    next_owner = shards.c.owner > LAST_OWNER.scalar_subquery()
    # the second is read only if the first finds nothing
    stages = (_oldest("turn", next_owner, *conditions, free=free), _oldest("round", *conditions, free=free))
    return sa.union_all(*stages).limit(1)


HEAD = _head(free=False)
FREE_HEAD = _head(free=True)


@dataclass(frozen=True, slots=True)
class Left:
    """What a claim leaves alone."""

    calibrations: Collection[str] = ()
    owners: Collection[str] = ()

    def head(self, connection: sa.Connection, *, free: bool) -> sa.Row[Any] | None:
        """Return the calibration at the head of what is not left alone. free: skip locked ones, and lock it."""
        if not self.calibrations and not self.owners:
            return connection.execute(FREE_HEAD if free else HEAD).one_or_none()
        conditions = [calibrations.c.id.not_in(self.calibrations)] if self.calibrations else []
        if not self.owners:
            return connection.execute(_head(*conditions, free=free)).one_or_none()
        # one owner after another: with NOT IN a claim would pass over every shard of those that are left alone
        for owner in _owners_in_turn(connection):
            if owner not in self.owners:
                query = _oldest("turn", shards.c.owner == owner, *conditions, free=free)
                found = connection.execute(query).one_or_none()
                if found is not None:
                    return found
        return None


def _owners_in_turn(connection: sa.Connection) -> list[str]:
    """Return the owners of shards that wait or run, from the one whose turn it is."""
    found: set[str] = set()
    for state in (ShardState.QUEUED, ShardState.RUNNING):
        owner = connection.execute(sa.select(sa.func.min(shards.c.owner)).where(shards.c.state == state)).scalar_one()
        while owner is not None:
            found.add(owner)
            further = sa.select(sa.func.min(shards.c.owner)).where(shards.c.state == state, shards.c.owner > owner)
            owner = connection.execute(further).scalar_one()
    last = connection.execute(LAST_OWNER).scalar_one_or_none()
    return sorted(found, key=lambda owner: (last is not None and owner <= last, owner))


def owners_at(connection: sa.Connection, most: int) -> list[str]:
    """Return the owners of whom `most` shards or more are running; without keys there is none."""
    alive = sa.and_(shards.c.state == ShardState.RUNNING, shards.c.lease_until >= now(), shards.c.owner != "")
    query = sa.select(shards.c.owner).where(alive).group_by(shards.c.owner).having(sa.func.count() >= most)
    return list(connection.execute(query).scalars())


def is_empty(database: Database, left: Left) -> bool:
    """Return whether no shard may be claimed of what is not left alone."""
    with database.read() as connection:
        return left.head(connection, free=False) is None


def next_calibration(connection: sa.Connection, left: Left) -> sa.Row[Any] | None:
    """Lock the calibration whose turn it is and return its row; None if no shard may be claimed.

    It is the first that no other transaction has locked. If all are locked, wait for the first; it may no longer be
    claimable then. StoreUnavailableError if that takes longer than RIVAL_TIMEOUT_MS.
    """
    found = left.head(connection, free=True)
    if found is not None:
        return found
    head = left.head(connection, free=False)
    if head is None:
        return None
    # only on Postgres: on SQLite this transaction has locked the whole file
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {RIVAL_TIMEOUT_MS}")
    return lock_calibration(connection, head.id)


def preferred(connection: sa.Connection, calibration_id: str, owner: str) -> sa.Row[Any] | None:
    """Lock and return another calibration of the same owner, if a shard of it waits and nobody has locked it."""
    waits = sa.exists().where(shards.c.calibration_id == calibration_id, waiting())
    query = (
        sa.select(*(calibrations.c[column] for column in CLAIM_COLUMNS))
        .where(
            calibrations.c.id == calibration_id,
            calibrations.c.owner == owner,
            calibrations.c.cancel_requested_at.is_(None),
            waits,
        )
        .with_for_update(key_share=True, skip_locked=True)
    )
    return connection.execute(query).one_or_none()
