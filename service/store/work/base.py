"""What every part of the store stands on: the database, the doorbell, and what follows the end of a shard."""

import copy
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Self

import sqlalchemy as sa

from service.store.database.engine import Database
from service.store.database.errors import StoreUnavailableError
from service.store.database.schema import check_schema
from service.store.work import calibrations, finishing, shards
from service.store.work.doorbell import Doorbell, NoDoorbell
from service.store.work.finishing import Fit, default_fit
from service.store.work.rounds import Search, default_search

log = logging.getLogger(__name__)


class StoreBase:
    """A store without its reads and writes: those are in `work.WorkStore` and in `store.Store`, the whole."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        doorbell: Doorbell | None = None,
        fit: Fit | None = None,
        search: Search | None = None,
        lease: timedelta = timedelta(seconds=60),
    ) -> None:
        self._engine = engine
        self._database = Database(engine)
        self._doorbell = doorbell or NoDoorbell()
        self._fit = fit or default_fit
        self._search = search
        self._lease_seconds = lease.total_seconds()
        self._owner = ""  #: of what is created
        self._sees: str | None = None  #: whose calibrations are to be seen; None: everyone's

    def of(self, owner: str, *, everyone: bool = False) -> Self:
        """Return the same store as one owner sees it: what is created is theirs, and the rest is not there.

        everyone: see and cancel what belongs to others too. Workers keep the store itself, which sees everything.
        """
        theirs = copy.copy(self)
        theirs._owner, theirs._sees = owner, None if everyone else owner
        return theirs

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def check_ready(self) -> None:
        """Return if the database answers and its schema is this version's; else raise (for /readyz)."""
        check_schema(self._engine)

    def _searched(self) -> Search:
        return self._search or default_search()

    def _ring(self, shard_ids: Sequence[str]) -> int:
        # after the commit: a worker must find the row it is rung for
        sent = self._doorbell.ring(list(shard_ids)) if shard_ids else ()
        if sent:
            try:
                with self._database.write() as connection:
                    shards.mark_published(connection, sent)
            except StoreUnavailableError:
                # what was committed stays so, and is no error of the caller's; the shards are announced once more
                log.warning("shards announced, but not marked so: the database went away")
        return len(sent)

    def _require(self, connection: sa.Connection, calibration_id: str) -> None:
        """Raise NotFoundError for a calibration that is not there, or not for this owner to see."""
        calibrations.require(connection, calibration_id, self._sees)

    def _follow(self, calibration_id: str) -> bool:
        """Begin the next round of a calibration whose shards have all ended, or end it; say whether it ended."""
        followed = finishing.finish_if_ready(self._database, calibration_id, self._fit, self._searched())
        self._ring(followed.shard_ids)
        return followed.ended

    def _follow_or_leave(self, calibration_id: str) -> None:
        """Do the same, or leave it to the next sweep where the database is away or keeps a row locked.

        A write that was committed before must not seem to have failed, nor one calibration hold up a sweep of all.
        """
        try:
            self._follow(calibration_id)
        except StoreUnavailableError as error:
            log.warning("what follows in calibration %s is left to the next sweep: %s", calibration_id, error)
