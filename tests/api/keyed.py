"""A service that asks for keys, and keys for it."""

from typing import Any

import httpx
from fastapi import FastAPI

from service.app import create_app
from service.auth.caller import Scope
from service.auth.tokens import Token, digest_of, make_token
from service.settings import Settings, load_settings
from service.store import ApiKey, Store, StoreUnavailableError
from tests.api.client import Client

PEPPER = "a-pepper-of-the-tests-0123456789abcdef"


def keyed_settings(settings: Settings, **changes: object) -> Settings:
    """The same settings, asking for keys."""
    kept = {"database_url": settings.database_url, "max_body_bytes": settings.max_body_bytes}
    return load_settings(**{**kept, "require_keys": True, "pepper": PEPPER, **changes})


def keyed_app(settings: Settings, store: Store, **changes: object) -> FastAPI:
    """The application, asking for keys; its streams last no longer than a test may."""
    return create_app(keyed_settings(settings, **changes), store, stream_seconds=5.0, poll_seconds=0.02)


def new_key(store: Store, owner: str = "alice", scope: str = "admin", lifetime: float | None = None) -> Token:
    """Store a key and return it."""
    token = make_token()
    digest = digest_of(PEPPER, token.secret)
    store.keys.create(
        token.key_id, owner=owner, name="test", scopes=[Scope(scope).value], digest=digest, lifetime_seconds=lifetime
    )
    return token


def bearer(token: Token | str | None) -> dict[str, str]:
    """The header that carries a key."""
    if token is None:
        return {}
    return {"Authorization": f"Bearer {token if isinstance(token, str) else token.reveal()}"}


class Keyed(Client):
    """A client that sends one key with every request."""

    def __init__(self, client: Client, token: Token) -> None:
        self._plain = client
        self.token = token

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request with the key and read its answer to the end."""
        headers = {**bearer(self.token), **(options.pop("headers", None) or {})}
        return self._plain.request(method, path, headers=headers, **options)


class CountedKeys:
    """Stands before the keys of a store: counts what the guard asks of them, and fails while it is told to."""

    def __init__(self, store: Store) -> None:
        self._keys = store.keys
        self.found: list[str] = []  #: ids that were looked up
        self.touched: list[str] = []
        self.down = False

    def find(self, key_id: str) -> ApiKey | None:
        """Look a key up."""
        self.found.append(key_id)
        if self.down:
            raise StoreUnavailableError("The database did not answer the request (it was told so).")
        return self._keys.find(key_id)

    def touch(self, key_id: str) -> None:
        """Note a key's use."""
        self.touched.append(key_id)
        self._keys.touch(key_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)


class CountedStore:
    """A store whose keys are counted."""

    def __init__(self, store: Store, keys: type[CountedKeys] = CountedKeys) -> None:
        self._store = store
        self.keys = keys(store)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now
