"""The database as one owner sees it: new rows are theirs, and other owners' rows are invisible."""

from dataclasses import dataclass, replace

import sqlalchemy as sa

from service.store.database.engine import Database
from service.store.database.errors import NotFoundError
from service.store.database.quotas import NO_QUOTAS, Quotas
from service.store.database.tables import calibrations
from service.store.database.validation import storable


@dataclass(frozen=True, slots=True)
class View:
    """A database, the owner of new rows, and the owner whose rows are visible."""

    database: Database
    owner: str = ""  #: of new rows
    sees: str | None = None  #: owner whose calibrations are visible; None: all owners
    quotas: Quotas = NO_QUOTAS  #: of the owner

    def of(self, owner: str, *, everyone: bool = False, quotas: Quotas = NO_QUOTAS) -> "View":
        """Return the same database as `owner` sees it; everyone: including other owners' rows."""
        return replace(self, owner=owner, sees=None if everyone else owner, quotas=quotas)

    def require(self, connection: sa.Connection, calibration_id: str) -> None:
        """Raise NotFoundError if there is no such calibration, or if this owner may not see it."""
        query = sa.select(calibrations.c.id).where(calibrations.c.id == calibration_id)
        if self.sees is not None:
            query = query.where(calibrations.c.owner == self.sees)
        if not storable(calibration_id) or connection.execute(query).first() is None:
            raise NotFoundError("calibration", calibration_id)
