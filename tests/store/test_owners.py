"""Owners: what is another's is not there, whatever is asked of it."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from service.store import IdempotencyConflictError, NotFoundError, Store
from tests.store.samples import run_all, sample_spec

UPLOAD = [{"width": 32, "learning_rate": 0.01, "seed": 0, "loss": 2.0}]

#: Every method that names a calibration, and how it is called.
BY_ID: dict[str, Callable[[Store, str], Any]] = {
    "get_calibration": lambda store, one: store.get_calibration(one),
    "cancel_calibration": lambda store, one: store.cancel_calibration(one),
    "retry_calibration": lambda store, one: store.retry_calibration(one),
    "extend_calibration": lambda store, one: store.extend_calibration(one, sample_spec(seeds=3)),
    "list_shards": lambda store, one: store.list_shards(one),
    "list_trials": lambda store, one: store.list_trials(one),
    "list_measurements": lambda store, one: store.list_measurements(one),
    "all_trials": lambda store, one: store.all_trials(one),
    "list_events": lambda store, one: store.list_events(one),
    "upload_trials": lambda store, one: store.upload_trials(one, UPLOAD),
    "finish_external": lambda store, one: store.finish_external(one),
}

#: Of workers, keys and administrators: a route never hands these an owner's word for whose they are.
NOT_BY_OWNER = {
    *("claim_shard", "check_lease", "extend_lease", "record_environment", "record_trial", "record_measurement"),
    *("finish_shard", "fail_shard", "release_shard", "cancel_shard", "abandon_worker", "finish_ready_calibrations"),
    *("republish", "sweep", "heartbeat", "stop_worker", "forget_workers", "backlog", "check_ready", "close", "of"),
    *("create_key", "find_key", "list_keys", "revoke_key", "touch_key", "restored"),
}
OTHERWISE_HERE = {"create_calibration", "list_calibrations", "list_exponents", "list_workers"}


def test_every_method_is_accounted_for() -> None:
    public = {name for name, _ in inspect.getmembers(Store, inspect.isfunction) if not name.startswith("_")}
    assert public - NOT_BY_OWNER - OTHERWISE_HERE == set(BY_ID)


@pytest.mark.parametrize("method", sorted(BY_ID))
def test_what_is_anothers_is_not_there(store: Store, method: str) -> None:
    hers, his, admins = store.of("ada"), store.of("ben"), store.of("root", everyone=True)
    worker = hers.create_calibration(sample_spec()).calibration.id
    external = hers.create_calibration(sample_spec(runner="external")).calibration.id
    for identifier in (worker, external):
        before = store.get_calibration(identifier)
        with pytest.raises(NotFoundError):
            BY_ID[method](his, identifier)
        assert store.get_calibration(identifier) == before
        for sees in (hers, admins, store):
            try:
                BY_ID[method](sees, identifier)
            except NotFoundError:
                pytest.fail(f"{method} does not find what it may see")
            except Exception:  # noqa: BLE001, S112  a conflict of states says that it was found
                continue


def test_lists_hold_ones_own(store: Store) -> None:
    made = {owner: store.of(owner).create_calibration(sample_spec()).calibration for owner in ("ada", "ben")}
    assert [one.owner for one in made.values()] == ["ada", "ben"]
    run_all(store)
    for owner, calibration in made.items():
        theirs = store.of(owner)
        assert [one.id for one in theirs.list_calibrations().items] == [calibration.id]
        assert {row.calibration_id for row in theirs.list_exponents().items} == {calibration.id}
    assert store.of("cleo").list_calibrations().items == ()
    assert store.of("cleo").list_exponents().items == ()
    everyone = store.of("root", everyone=True)
    assert len(everyone.list_calibrations().items) == 2
    assert len(everyone.list_exponents().items) == 4


def test_an_extension_is_its_makers(store: Store) -> None:
    parent = store.of("ada").create_calibration(sample_spec()).calibration.id
    run_all(store)
    extension = store.of("ada").extend_calibration(parent, sample_spec(seeds=3)).calibration
    assert extension.owner == "ada"
    with pytest.raises(NotFoundError):
        store.of("ben").get_calibration(extension.id)


def test_workers_do_not_show_whose_work_they_do(store: Store) -> None:
    calibration = store.of("ada").create_calibration(sample_spec()).calibration
    store.heartbeat("w", host="here")
    assert store.claim_shard("w") is not None
    (seen,) = store.of("ben").list_workers()
    assert (seen.state, seen.calibration_id, seen.shard_id, seen.owner) == ("running", None, None, None)
    (seen,) = store.of("ada").list_workers()
    assert (seen.calibration_id, seen.owner) == (calibration.id, "ada")


def test_idempotency_keys_are_each_owners_own(store: Store) -> None:
    hers, his = store.of("ada"), store.of("ben")
    first = hers.create_calibration(sample_spec(), idempotency_key="k")
    other = his.create_calibration(sample_spec(steps=11), idempotency_key="k")
    assert not other.replayed
    assert first.calibration.id != other.calibration.id
    assert hers.create_calibration(sample_spec(), idempotency_key="k").calibration.id == first.calibration.id
    assert his.create_calibration(sample_spec(steps=11), idempotency_key="k").replayed
    with pytest.raises(IdempotencyConflictError, match=other.calibration.id):
        his.create_calibration(sample_spec(), idempotency_key="k")


def test_two_owners_may_use_one_key_at_once(store: Store) -> None:
    gate = Barrier(20)

    def create(number: int) -> tuple[str, bool]:
        gate.wait()
        made = store.of("ada" if number % 2 else "ben").create_calibration(sample_spec(), idempotency_key="same")
        return made.calibration.id, made.replayed

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(20)))
    assert len({identifier for identifier, _ in answers}) == 2
    assert sum(not replayed for _, replayed in answers) == 2
    assert len(store.list_calibrations().items) == 2
