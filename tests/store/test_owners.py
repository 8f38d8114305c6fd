"""Owners: what is another's is not there, whatever is asked of it."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from service.store import GivenRun, IdempotencyConflictError, NotFoundError, Store, SweepDraft
from tests.store.samples import run_all, sample_spec
from tests.store.test_sweeps import LIMITS

UPLOAD = [{"width": 32, "learning_rate": 0.01, "seed": 0, "loss": 2.0}]

#: Every method that names a calibration, by the part of the store that has it, and how it is called.
BY_ID: dict[str, Callable[[Store, str], Any]] = {
    "calibrations.get": lambda store, one: store.calibrations.get(one),
    "calibrations.cancel": lambda store, one: store.calibrations.cancel(one),
    "calibrations.retry": lambda store, one: store.calibrations.retry(one),
    "calibrations.extend": lambda store, one: store.calibrations.extend(one, sample_spec(seeds=3)),
    "calibrations.expect_extension": lambda store, one: store.calibrations.expect_extension(one, sample_spec(seeds=3)),
    "calibrations.shards": lambda store, one: store.calibrations.shards(one),
    "calibrations.events": lambda store, one: store.calibrations.events(one),
    "calibrations.upload": lambda store, one: store.calibrations.upload(one, UPLOAD),
    "calibrations.label": lambda store, one: store.calibrations.label(one, {"name": "mine", "note": None}),
    "calibrations.delete": lambda store, one: store.calibrations.delete(one),
    "calibrations.finish": lambda store, one: store.calibrations.finish(one),
    "trials.page": lambda store, one: store.trials.page(one),
    "trials.all": lambda store, one: store.trials.all(one),
    "trials.compared": lambda store, one: store.trials.compared(one, one),
    "measurements.page": lambda store, one: store.measurements.page(one),
}

#: Every method that names a sweep.
BY_SWEEP: dict[str, Callable[[Store, str], Any]] = {
    "sweeps.get": lambda store, one: store.sweeps.get(one),
    "sweeps.runs": lambda store, one: store.sweeps.runs(one),
    "sweeps.append": lambda store, one: store.sweeps.append(one, [GivenRun(0.2, 2.0, {})], LIMITS),
    "sweeps.label": lambda store, one: store.sweeps.label(one, {"name": "mine", "notes": None}),
    "sweeps.delete": lambda store, one: store.sweeps.delete(one),
}

#: Of workers, keys and administrators: a route never hands these an owner's word for whose they are.
NOT_BY_OWNER = {
    *(f"workers.{name}" for name in ("report", "stop", "abandon", "forget")),
    *(f"housekeeping.{name}" for name in ("run", "republish", "ready", "outdated")),
    *(f"keys.{name}" for name in ("create", "find", "all", "revoke", "touch")),
    *(f"work.{name}" for name in ("claim", "check", "extend", "finish", "fail", "release", "cancel", "backlog")),
    "work.begun_widths",
    *(f"work.record_{name}" for name in ("environment", "trial", "measurement")),
    *("of", "close", "check_ready"),
}
OTHERWISE_HERE = {
    *("calibrations.create", "calibrations.expect", "calibrations.page", "exponents.page", "workers.all"),
    *("sweeps.create", "sweeps.page"),
    "sweeps.runs_at",  # of a sweep that was read before
}


def methods(of: object) -> set[str]:
    return {name for name, _ in inspect.getmembers(type(of), inspect.isfunction) if not name.startswith("_")}


def test_every_method_is_accounted_for(store: Store) -> None:
    parts = {name: part for name, part in vars(store).items() if not name.startswith("_")}
    plain = {"engine", "database"}  # nobody outside the store and its tests reaches through them
    public = {f"{name}.{method}" for name, part in parts.items() if name not in plain for method in methods(part)}
    assert public | methods(store) == set(BY_ID) | set(BY_SWEEP) | NOT_BY_OWNER | OTHERWISE_HERE


@pytest.mark.parametrize("method", sorted(BY_ID))
def test_what_is_anothers_is_not_there(store: Store, method: str) -> None:
    hers, his, admins = store.of("ada"), store.of("ben"), store.of("root", everyone=True)
    worker = hers.calibrations.create(sample_spec()).calibration.id
    external = hers.calibrations.create(sample_spec(runner="external")).calibration.id
    for identifier in (worker, external):
        before = store.calibrations.get(identifier)
        with pytest.raises(NotFoundError):
            BY_ID[method](his, identifier)
        assert store.calibrations.get(identifier) == before
        for sees in (hers, admins, store):
            try:
                BY_ID[method](sees, identifier)
            except NotFoundError:
                pytest.fail(f"{method} does not find what it may see")
            except Exception:  # noqa: BLE001, S112  a conflict of states says that it was found
                continue


@pytest.mark.parametrize("method", sorted(BY_SWEEP))
def test_a_sweep_of_anothers_is_not_there(store: Store, method: str) -> None:
    hers, his, admins = store.of("ada"), store.of("ben"), store.of("root", everyone=True)
    draft = SweepDraft("hers", None, {})
    for sees in (hers, admins, store):
        sweep = hers.sweeps.create(draft, [GivenRun(0.1, 2.0, {})], LIMITS).sweep
        with pytest.raises(NotFoundError):
            BY_SWEEP[method](his, sweep.id)
        assert store.sweeps.get(sweep.id) == sweep
        BY_SWEEP[method](sees, sweep.id)
    assert his.sweeps.page().items == ()
    assert {one.owner for one in admins.sweeps.page().items} <= {"ada"}


def test_lists_hold_ones_own(store: Store) -> None:
    made = {owner: store.of(owner).calibrations.create(sample_spec()).calibration for owner in ("ada", "ben")}
    assert [one.owner for one in made.values()] == ["ada", "ben"]
    run_all(store)
    for owner, calibration in made.items():
        theirs = store.of(owner)
        assert [one.id for one in theirs.calibrations.page().items] == [calibration.id]
        assert {row.calibration_id for row in theirs.exponents.page().items} == {calibration.id}
    assert store.of("cleo").calibrations.page().items == ()
    assert store.of("cleo").exponents.page().items == ()
    everyone = store.of("root", everyone=True)
    assert len(everyone.calibrations.page().items) == 2
    assert len(everyone.exponents.page().items) == 4


def test_an_extension_is_its_makers(store: Store) -> None:
    parent = store.of("ada").calibrations.create(sample_spec()).calibration.id
    run_all(store)
    extension = store.of("ada").calibrations.extend(parent, sample_spec(seeds=3)).calibration
    assert extension.owner == "ada"
    with pytest.raises(NotFoundError):
        store.of("ben").calibrations.get(extension.id)


def test_workers_do_not_show_whose_work_they_do(store: Store) -> None:
    calibration = store.of("ada").calibrations.create(sample_spec()).calibration
    store.workers.report("w", host="here")
    assert store.work.claim("w") is not None
    (seen,) = store.of("ben").workers.all()
    assert (seen.state, seen.calibration_id, seen.shard_id, seen.owner) == ("running", None, None, None)
    (seen,) = store.of("ada").workers.all()
    assert (seen.calibration_id, seen.owner) == (calibration.id, "ada")


def test_idempotency_keys_are_each_owners_own(store: Store) -> None:
    hers, his = store.of("ada"), store.of("ben")
    first = hers.calibrations.create(sample_spec(), idempotency_key="k")
    other = his.calibrations.create(sample_spec(steps=11), idempotency_key="k")
    assert not other.replayed
    assert first.calibration.id != other.calibration.id
    assert hers.calibrations.create(sample_spec(), idempotency_key="k").calibration.id == first.calibration.id
    assert his.calibrations.create(sample_spec(steps=11), idempotency_key="k").replayed
    with pytest.raises(IdempotencyConflictError, match=other.calibration.id):
        his.calibrations.create(sample_spec(), idempotency_key="k")


def test_two_owners_may_use_one_key_at_once(store: Store) -> None:
    gate = Barrier(20)

    def create(number: int) -> tuple[str, bool]:
        gate.wait()
        made = store.of("ada" if number % 2 else "ben").calibrations.create(sample_spec(), idempotency_key="same")
        return made.calibration.id, made.replayed

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(create, range(20)))
    assert len({identifier for identifier, _ in answers}) == 2
    assert sum(not replayed for _, replayed in answers) == 2
    assert len(store.calibrations.page().items) == 2
