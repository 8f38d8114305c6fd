"""Dependencies of routes: the caller, and the store as the caller may see it (without keys, all of it)."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request

from service.auth.caller import Caller, Scope
from service.auth.guard import Guard
from service.errors import NotReadyError
from service.http.problems import faults, invalid_request
from service.settings import Settings
from service.store import Quotas, Store


def get_store(request: Request) -> Store:
    """Return the application's store; 503 while it could not be opened."""
    store: Store | None = request.app.state.store
    if store is None:
        raise NotReadyError("The database is not open; try again.", headers={"Retry-After": "5"})
    return store


async def admit(request: Request, needed: Scope) -> Caller | None:
    """Return the caller of a request, or None if API keys are disabled; 401, 403 or 429 otherwise.

    422 for a query parameter if the route takes none; if it takes some, its model refuses the rest.
    With a key that is known and limits in memory it never suspends.
    """
    guard: Guard | None = request.app.state.guard
    caller = None
    if guard is not None:
        caller = await guard.admit(request, needed, lambda: get_store(request))
        request.state.caller = caller  # for the log
    if request.scope["query_string"] and not request.scope["route"].dependant.query_params:
        unknown = [{"type": "extra_forbidden", "loc": ("query", name), "msg": ""} for name in request.query_params]
        raise invalid_request(faults(unknown))
    return caller


def store_of(request: Request, caller: Caller | None) -> Store:
    """Return the store as a caller may see it."""
    store = get_store(request)
    if caller is None:
        return store
    return store.of(caller.owner, everyone=caller.everyone, quotas=request.app.state.quotas)


def quotas_of(settings: Settings) -> Quotas:
    """Return what one owner may have queued and stored."""
    return Quotas(settings.owner_queued_flops, settings.owner_stored_trials, settings.owner_stored_bytes)


def key_watch(request: Request, store: Store) -> Callable[[], Awaitable[bool]]:
    """Return a check of whether an admitted request's key is still valid; always true if API keys are disabled."""
    guard: Guard | None = request.app.state.guard
    return _always if guard is None else guard.watch(request.state.caller, store)


async def _always() -> bool:
    return True


def _store_for(needed: Scope) -> Callable[[Request], Awaitable[Store]]:
    async def scoped_store(request: Request) -> Store:
        return store_of(request, await admit(request, needed))

    return scoped_store


def _caller_with(needed: Scope) -> Callable[[Request], Awaitable[Caller | None]]:
    async def caller(request: Request) -> Caller | None:
        return await admit(request, needed)

    return caller


_read_store, _calibrate_store = _store_for(Scope.READ), _store_for(Scope.CALIBRATE)
_reader = _caller_with(Scope.READ)

#: The scope that each dependency requires; the OpenAPI document reads it to say what a route needs.
NEEDED: dict[Callable[..., object], Scope] = {
    _read_store: Scope.READ,
    _calibrate_store: Scope.CALIBRATE,
    _reader: Scope.READ,
}

#: The store itself, for a route that needs no key.
StoreDependency = Annotated[Store, Depends(get_store)]

#: The store as the caller may see it, for routes that read and for routes that run work.
ReadStore = Annotated[Store, Depends(_read_store)]
CalibrateStore = Annotated[Store, Depends(_calibrate_store)]

#: The caller, for a route that reads but needs no store; None if API keys are disabled.
Reader = Annotated[Caller | None, Depends(_reader)]

#: What tells a submission from its repetition.
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="Identifies this submission: repeated with the same body, it creates nothing and returns the first "
        "response; with another body it is refused (IETF draft-ietf-httpapi-idempotency-key-header-07).",
    ),
]
