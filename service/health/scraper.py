"""Who may read /metrics: a key with scope read, which stays valid while the database is down."""

import hashlib
import time
from collections.abc import MutableMapping
from typing import Annotated

from fastapi import Depends, Request

from service.auth.caller import Scope
from service.errors import NotReadyError
from service.http.dependencies import NEEDED, admit
from service.store import SchemaError, StoreUnavailableError

REMEMBERED_SECONDS = 3600.0  # chosen: an outage is visible from its start, and a revoked key is not accepted forever
MANY = 100  # keys remembered (chosen): there are few scrapers


async def scraper(request: Request) -> None:
    """Admit a scraper; 401, 403 or 429 for others, and 503 for a key that can't be looked up now."""
    remembered: MutableMapping[bytes, float] = request.app.state.scrapers
    presented = hashlib.sha256(request.headers.get("authorization", "").encode("latin-1", "replace")).digest()
    now = time.monotonic()
    try:
        caller = await admit(request, Scope.READ)
    except (StoreUnavailableError, SchemaError, NotReadyError):
        if remembered.get(presented, 0.0) <= now:
            raise
        return
    except Exception:
        remembered.pop(presented, None)  # revoked or narrowed in the meantime
        raise
    if caller is not None:
        if len(remembered) >= MANY:
            remembered.clear()
        remembered[presented] = now + REMEMBERED_SECONDS


NEEDED[scraper] = Scope.READ

Scraper = Annotated[None, Depends(scraper)]
