"""What follows a commit: the doorbell rings for shards that wait, and a calibration whose shards ended goes on."""

import logging
from collections.abc import Sequence

from service.store.database.engine import Database
from service.store.database.errors import StoreUnavailableError
from service.store.work import shards
from service.store.work.doorbell import Doorbell
from service.store.work.finishing import Fit, finish_if_ready
from service.store.work.rounds import Planner, default_planner

log = logging.getLogger(__name__)


class FollowUp:
    """Rings, begins rounds and ends calibrations; every part of the store that changes work has it."""

    def __init__(self, database: Database, doorbell: Doorbell, fit: Fit, planner: Planner | None) -> None:
        self._database = database
        self._doorbell = doorbell
        self._planner = planner
        self.fit = fit

    @property
    def planner(self) -> Planner:
        """How calibrations are searched."""
        return self._planner or default_planner()

    def ring(self, shard_ids: Sequence[str]) -> int:
        """Announce shards that wait; return how many messages were sent."""
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

    def follow(self, calibration_id: str) -> bool:
        """Begin the next round of a calibration whose shards have all ended, or end it; say whether it ended."""
        followed = finish_if_ready(self._database, calibration_id, self.fit, self.planner)
        self.ring(followed.shard_ids)
        return followed.ended

    def follow_or_leave(self, calibration_id: str) -> None:
        """Do the same, or leave it to the next sweep if the database is away or keeps a row locked.

        A write that was committed before must not seem to have failed, nor one calibration hold up a sweep of all.
        """
        try:
            self.follow(calibration_id)
        except StoreUnavailableError as error:
            log.warning("what follows in calibration %s is left to the next sweep: %s", calibration_id, error)
