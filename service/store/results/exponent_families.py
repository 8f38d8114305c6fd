"""Families: distinct combinations of the conditions that all exponents of a calibration share."""

from collections.abc import Mapping

import sqlalchemy as sa

from service.store.database.engine import insert_or
from service.store.database.tables import exponent_families as families


def family_of(connection: sa.Connection, words: Mapping[str, str]) -> int:
    """Return the id of the family with these words, storing it if it is new. words: every column but the id."""
    query = sa.select(families.c.id).where(*(families.c[name] == word for name, word in words.items()))
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        # a concurrent transaction may store it meanwhile; this then waits for its commit and finds the row
        connection.execute(insert_or(connection.dialect.name, families).values(**words).on_conflict_do_nothing())
        found = connection.execute(query).scalar_one()
    return int(found)
