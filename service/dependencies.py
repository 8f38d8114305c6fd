"""What routes take from the application: its store."""

from typing import Annotated

from fastapi import Depends, Request

from service.errors import NotReadyError
from service.store.store import Store


def get_store(request: Request) -> Store:
    """Give the application's store; 503 while it could not be opened."""
    store: Store | None = request.app.state.store
    if store is None:
        raise NotReadyError("The database is not open; try again.", headers={"Retry-After": "5"})
    return store


StoreDependency = Annotated[Store, Depends(get_store)]

#: The store as the caller of a request may see it, by what the route needs: to read, to run work, or to administer.
ReadStore = StoreDependency
CalibrateStore = StoreDependency
AdminStore = StoreDependency
