"""Compares the trials of two calibrations inside the database: only counts leave it, however many trials there are."""

from dataclasses import dataclass

import sqlalchemy as sa

from service.store.database.tables import trials
from service.store.results.lineage import TRIAL_IDENTITY, Lineage, trials_of


@dataclass(frozen=True, slots=True)
class ComparedTrials:
    """The trials that two calibrations have in common: the same width, learning rate, seed, role, gamma and horizon."""

    common: int
    equal: int  #: the same status and, bit for bit, the same loss
    largest_difference: float | None  #: of two losses, in nats; None without two losses
    only_this: int
    only_other: int


def compare_trials(connection: sa.Connection, this: Lineage, other: Lineage) -> ComparedTrials:
    """Compare the trials of the first of each lineage, in one statement and so at one moment."""
    ours, theirs = trials.alias("ours"), trials.alias("theirs")
    of_this, of_other = trials_of(this, ours), trials_of(other, theirs)
    same = sa.and_(*(ours.c[name] == theirs.c[name] for name in TRIAL_IDENTITY))
    equal = sa.and_(ours.c.status == theirs.c.status, ours.c.loss.is_not_distinct_from(theirs.c.loss))
    in_all = [
        sa.select(sa.func.count()).select_from(table).where(condition).scalar_subquery()
        for table, condition in ((ours, of_this), (theirs, of_other))
    ]
    query = (
        sa.select(
            sa.func.count().label("common"),
            sa.func.coalesce(sa.func.sum(sa.case((equal, 1), else_=0)), 0).label("equal"),
            sa.func.max(sa.func.abs(ours.c.loss - theirs.c.loss)).label("gap"),
            in_all[0].label("this"),
            in_all[1].label("other"),
        )
        .select_from(ours.join(theirs, same))
        .where(of_this, of_other)
    )
    row = connection.execute(query).one()
    return ComparedTrials(row.common, int(row.equal), row.gap, row.this - row.common, row.other - row.common)
