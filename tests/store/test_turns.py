"""Turns: owners alternate in the claim, whatever each has waiting; within one the oldest comes first."""

from collections.abc import Callable
from itertools import islice

import sqlalchemy as sa

from service.store import Store, tables
from tests.store.samples import claimed, run_all, sample_spec


def submit(store: Store, owner: str, shards: int = 1) -> str:
    """A calibration of so many shards."""
    return store.of(owner).calibrations.create(sample_spec(widths=[32], seeds=shards)).calibration.id


def owners(store: Store, count: int) -> list[str]:
    """Whose the next claims are."""
    return [claimed(store, f"w{number}").owner for number in range(count)]


def test_owners_alternate(store: Store) -> None:
    submit(store, "zoe", 4)
    submit(store, "ada", 2)
    submit(store, "ada", 1)
    submit(store, "mia", 1)
    assert owners(store, 8) == ["ada", "mia", "zoe", "ada", "zoe", "ada", "zoe", "zoe"]
    assert store.work.claim("w") is None


def test_a_newcomer_waits_for_one_shard_of_each(store: Store) -> None:
    """However much another has queued, and with a single worker that never runs two at once."""
    submit(store, "ada", 40)
    for _ in range(3):
        store.work.finish(claim := claimed(store))
        assert claim.owner == "ada"
    theirs = submit(store, "bob")
    claim = claimed(store)
    assert (claim.owner, claim.calibration_id) == ("bob", theirs)
    store.work.finish(claim)
    assert claimed(store).owner == "ada"


def test_the_oldest_of_an_owner_comes_first(store: Store) -> None:
    made = [submit(store, "ada"), submit(store, "bob"), submit(store, "ada"), submit(store, "bob")]
    assert [claimed(store).calibration_id for _ in made] == made


def test_what_a_dead_worker_left_takes_its_owners_turn(make_store: Callable[..., Store]) -> None:
    dying, store = make_store(lease_seconds=-1.0), make_store()
    submit(store, "ada", 3)
    submit(store, "bob", 2)
    assert claimed(dying, "dead").owner == "ada"
    assert owners(store, 5) == ["bob", "ada", "bob", "ada", "ada"]


def test_a_worker_stays_with_its_calibration_while_it_is_its_owners_turn(store: Store) -> None:
    first, second = submit(store, "ada", 2), submit(store, "ada", 2)
    assert claimed(store).calibration_id == first
    claim = store.work.claim("w", prefer=second)
    assert claim is not None
    assert claim.calibration_id == second
    other = submit(store, "bob", 1)
    claim = store.work.claim("w", prefer=second)
    assert claim is not None
    assert claim.calibration_id == other  # it is his turn
    for wanted in (second, first):  # nothing of it waits any more: the oldest is as good
        claim = store.work.claim("w", prefer=second)
        assert claim is not None
        assert claim.calibration_id == wanted
    assert store.work.claim("w", prefer=second) is None


def test_an_owner_runs_no_more_than_one_may(make_store: Callable[..., Store]) -> None:
    store = make_store(running_of_one=2)
    submit(store, "ada", 5)
    assert owners(store, 2) == ["ada", "ada"]
    assert store.work.claim("w") is None
    submit(store, "bob", 1)
    claim = claimed(store)
    assert claim.owner == "bob"
    assert store.work.claim("w") is None
    store.work.release(claim)
    assert claimed(store).owner == "bob"
    store.calibrations.create(sample_spec(widths=[32], seeds=3))  # without keys there is no owner to limit
    assert owners(store, 3) == [""] * 3


def test_owners_that_a_worker_leaves_alone_are_passed_over(store: Store) -> None:
    kept = submit(store, "ada")
    submit(store, "ada", 3)
    submit(store, "bob", 2)
    submit(store, "cleo", 1)
    left = [store.work.claim("w", without_owners={"bob"}, without={kept}) for _ in range(4)]
    assert [claim.owner for claim in left if claim is not None] == ["ada", "cleo", "ada", "ada"]
    assert store.work.claim("w", without_owners={"bob"}, without={kept}) is None
    assert owners(store, 3) == ["bob", "ada", "bob"]


def test_the_next_round_of_a_search_belongs_to_its_owner(store: Store) -> None:
    submit(store, "ada", 2)
    run_all(store)
    with store.database.read() as connection:
        found = connection.execute(sa.select(tables.shards.c.owner)).scalars().all()
    assert set(islice(found, 10)) == {"ada"}
