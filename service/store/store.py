"""The store: every read and write of calibrations, shards, trials, measurements, exponents, events and workers."""

import copy
from datetime import timedelta
from typing import Self

import sqlalchemy as sa

from service.store.database.engine import ROOM_BYTES, Database, check_room, create_store_engine
from service.store.database.quotas import NO_QUOTAS, Quotas
from service.store.database.schema import check_schema
from service.store.database.view import View
from service.store.results.exponents import StoredExponents
from service.store.results.keys import Keys
from service.store.results.measurements import Measurements
from service.store.results.sweeps import Sweeps
from service.store.results.trials import Trials
from service.store.work.calibrations import Calibrations
from service.store.work.claims import Claims
from service.store.work.deletion import KEEP_ALL, Retention
from service.store.work.doorbell import Doorbell, NoDoorbell
from service.store.work.finishing import Fit, default_fit
from service.store.work.followup import FollowUp
from service.store.work.housekeeping import Housekeeping
from service.store.work.rounds import Planner
from service.store.work.workers import Workers


class Store:
    """All SQL of the service, by subject; synchronous, and safe to share between threads but not processes.

    Every method of its parts may raise StoreUnavailableError if the database does not answer. Unknown identifiers raise
    NotFoundError, invalid cursors and values InvalidInputError.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        doorbell: Doorbell | None = None,
        fit: Fit | None = None,
        planner: Planner | None = None,
        lease: timedelta = timedelta(seconds=60),
        room_bytes: int = ROOM_BYTES,
        running_of_one: int = 0,
        retention: Retention = KEEP_ALL,
    ) -> None:
        """room_bytes: free space on an embedded database's disk below which the store is not ready.

        running_of_one: shards of one owner that workers may run at once; 0 sets no limit. retention: for how long
        calibrations are kept once they have ended.
        """
        self._room_bytes = room_bytes
        self.engine = engine
        self.database = Database(engine)
        self._followup = FollowUp(self.database, doorbell or NoDoorbell(), fit or default_fit, planner)
        self.work = Claims(self.database, self._followup, lease.total_seconds(), running_of_one)
        self.housekeeping = Housekeeping(self.database, self._followup, retention)
        self.keys = Keys(self.database)
        self._see(View(self.database))

    def _see(self, view: View) -> None:
        self._view = view
        self.calibrations = Calibrations(view, self._followup)
        self.trials = Trials(view)
        self.measurements = Measurements(view)
        self.exponents = StoredExponents(view)
        self.sweeps = Sweeps(view)
        self.workers = Workers(view)

    def of(self, owner: str, *, everyone: bool = False, quotas: Quotas = NO_QUOTAS) -> Self:
        """Return the same store as one owner sees it: new rows are theirs, and other owners' rows are invisible.

        everyone: also see and cancel other owners' calibrations. Workers use the store itself, which sees everything.
        quotas: beyond which QuotaExceededError refuses what would be stored.
        """
        theirs = copy.copy(self)
        theirs._see(self._view.of(owner, everyone=everyone, quotas=quotas))
        return theirs

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def check_ready(self) -> None:
        """Return if the database answers, its schema is current and its disk has room; raise otherwise (for /readyz).

        The disk of a Postgres server can't be seen from here.
        """
        check_schema(self.engine)
        check_room(self.engine, self._room_bytes)


def open_store(
    url: str,
    *,
    doorbell: Doorbell | None = None,
    fit: Fit | None = None,
    lease_seconds: float = 60.0,
    running_of_one: int = 0,
    retention: Retention = KEEP_ALL,
) -> Store:
    """Open the store at a database URL; the schema must be current (see service.store.database.schema)."""
    return Store(
        create_store_engine(url),
        doorbell=doorbell,
        fit=fit,
        lease=timedelta(seconds=lease_seconds),
        running_of_one=running_of_one,
        retention=retention,
    )
