"""What follows a commit: ring for queued shards, and continue a calibration whose shards have ended."""

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
    """Rings, starts rounds and ends calibrations; every part of the store that changes work uses it."""

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
        """Announce queued shards; return how many messages were sent."""
        # after the commit, since a woken worker must find the row
        sent = self._doorbell.ring(list(shard_ids)) if shard_ids else ()
        if sent:
            try:
                with self._database.write() as connection:
                    shards.mark_published(connection, sent)
            except StoreUnavailableError:
                # the caller's commit stands, so this is not its error; the shards are announced again later
                log.warning("shards were announced but not marked as announced: the database went away")
        return len(sent)

    def follow(self, calibration_id: str) -> bool:
        """Start the next round of a calibration whose shards have all ended, or end it; return whether it ended."""
        followed = finish_if_ready(self._database, calibration_id, self.fit, self.planner)
        self.ring(followed.shard_ids)
        return followed.ended

    def follow_or_leave(self, calibration_id: str) -> None:
        """Do the same, or leave it to housekeeping if the database does not answer or a row stays locked.

        A write that was committed must not appear to have failed, and one calibration must not hold up the others.
        """
        try:
            self.follow(calibration_id)
        except StoreUnavailableError as error:
            log.warning("continuing calibration %s is left to housekeeping: %s", calibration_id, error)
