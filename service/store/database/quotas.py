"""Quotas: how much work an owner may have waiting and how much they may store, against what they have."""

from dataclasses import dataclass

import sqlalchemy as sa

from service.store.database.errors import QuotaExceededError
from service.store.database.states import CalibrationState
from service.store.database.tables import calibrations


@dataclass(frozen=True, slots=True)
class Quotas:
    """The limits of one owner; 0 sets none."""

    queued_flops: float = 0  #: operations of calibrations that have not ended, each counted whole
    stored_trials: int = 0
    stored_bytes: int = 0  #: of rows in all tables with their indexes, roughly


NO_QUOTAS = Quotas()


def check_quotas(
    connection: sa.Connection, owner: str, quotas: Quotas, *, flops: float = 0, trials: int = 0, size: int = 0
) -> None:
    """Raise QuotaExceededError if so much more would take an owner beyond a quota.

    Requests that are sent at once are each checked against what was stored before them, so together they may go beyond.
    """
    if quotas == NO_QUOTAS:
        return
    unfinished = calibrations.c.state.in_([CalibrationState.QUEUED, CalibrationState.RUNNING])
    mine = calibrations.c.owner == owner
    queued = sa.select(sa.func.sum(calibrations.c.flops)).where(mine, unfinished)
    stored = sa.select(sa.func.sum(calibrations.c.stored_trials), sa.func.sum(calibrations.c.stored_bytes)).where(mine)
    rows, used = connection.execute(stored).one()
    for what, asked, limit, in_use, remedy in (
        (
            "floating-point operations of unfinished calibrations",
            flops,
            quotas.queued_flops,
            connection.execute(queued).scalar_one(),
            "wait until some have ended, or cancel one",
        ),
        ("stored trials", trials, quotas.stored_trials, rows, "delete calibrations"),
        ("stored bytes", size, quotas.stored_bytes, used, "delete calibrations"),
    ):
        has = float(in_use or 0)
        if 0 < limit < has + asked:
            raise QuotaExceededError(what, asked=float(asked), limit=float(limit), in_use=has, remedy=remedy)
