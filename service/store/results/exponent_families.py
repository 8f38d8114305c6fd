"""Families: the distinct combinations of what all exponents of a calibration are measured under."""

from collections.abc import Mapping

import sqlalchemy as sa

from service.store.database.engine import insert_or
from service.store.database.tables import exponent_families as families


def family_of(connection: sa.Connection, words: Mapping[str, str]) -> int:
    """Return the id of the family with these words, which is stored if it is new. words: every column but the id."""
    query = sa.select(families.c.id).where(*(families.c[name] == word for name, word in words.items()))
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        # a rival may store it meanwhile: then this waits for its commit, and finds the row
        connection.execute(insert_or(connection, families).values(**words).on_conflict_do_nothing())
        found = connection.execute(query).scalar_one()
    return int(found)
