"""API keys as rows: made once, found by id, valid until they expire or are revoked, their use noted to the minute."""

import pytest
import sqlalchemy as sa

from service.store import NotFoundError, Store
from service.store.database.tables import api_keys
from tests.store.samples import pass_time


def make(store: Store, key_id: str = "0123456789abcdef", owner: str = "ada", lifetime: float | None = None) -> None:
    """Store a key."""
    store.keys.create(
        key_id, owner=owner, name="laptop", scopes=["read", "calibrate"], digest="d" * 64, lifetime_seconds=lifetime
    )


def test_a_key_is_found_as_it_was_made(store: Store) -> None:
    made = store.keys.create("k", owner="ada", name="laptop", scopes=["read"], digest="d" * 64)
    found = store.keys.find("k")
    assert found == made
    assert (made.owner, made.name, made.scopes, made.digest) == ("ada", "laptop", ("read",), "d" * 64)
    assert (made.expires_at, made.revoked_at, made.last_used_at, made.valid) == (None, None, None, True)


@pytest.mark.parametrize("key_id", ["", "none", "a\0b", "\ud800", "x" * 10_000, "' OR 1=1 --"])
def test_what_names_no_key_finds_none(store: Store, key_id: str) -> None:
    make(store)
    assert store.keys.find(key_id) is None
    with pytest.raises(NotFoundError):
        store.keys.revoke(key_id)
    store.keys.touch("none")


def test_an_id_is_given_once(store: Store) -> None:
    make(store)
    with pytest.raises(sa.exc.IntegrityError):
        make(store, owner="ben")
    found = store.keys.find("0123456789abcdef")
    assert found is not None
    assert found.owner == "ada"


def test_a_key_ends_by_the_databases_clock(store: Store, url: str) -> None:
    make(store, "k", lifetime=60.0)
    key = store.keys.find("k")
    assert key is not None
    assert key.expires_at is not None
    assert (key.valid, (key.expires_at - key.created_at).total_seconds()) == (True, pytest.approx(60, abs=1))
    pass_time(url, api_keys.c.expires_at, 50)
    assert store.keys.find("k").valid  # type: ignore[union-attr]
    pass_time(url, api_keys.c.expires_at, 20)
    assert not store.keys.find("k").valid  # type: ignore[union-attr]


def test_a_revoked_key_stays_revoked(store: Store) -> None:
    make(store, "k")
    revoked = store.keys.revoke("k")
    assert not revoked.valid
    assert revoked.revoked_at is not None
    assert store.keys.revoke("k") == revoked
    assert store.keys.find("k") == revoked


def test_keys_are_listed_newest_first(store: Store, url: str) -> None:
    for number, (key_id, owner) in enumerate((("a", "ada"), ("b", "ben"), ("c", "ada"))):
        make(store, key_id, owner)
        pass_time(url, api_keys.c.created_at, 100 - 10 * number, api_keys.c.id == key_id)
    assert [key.id for key in store.keys.all()] == ["c", "b", "a"]
    assert [key.id for key in store.keys.all("ada")] == ["c", "a"]
    assert store.keys.all("cleo") == ()


def test_use_is_noted_to_the_minute(store: Store, url: str) -> None:
    make(store, "k")

    def used() -> object:
        store.keys.touch("k")
        return store.keys.find("k").last_used_at  # type: ignore[union-attr]

    first = used()
    assert first is not None
    assert used() == first
    pass_time(url, api_keys.c.last_used_at, 61)
    assert used() != first
