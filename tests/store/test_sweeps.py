"""Users' sweeps on both databases: each run once, all or none, and the runs of a revision never change."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.store import (
    SWEEP_NAME_MAXIMUM,
    SWEEP_NOTES_MAXIMUM,
    ContradictionError,
    GivenRun,
    IdempotencyConflictError,
    NotFoundError,
    QuotaExceededError,
    Store,
    SweepDraft,
    SweepLimits,
)
from service.store.database.tables import sweep_runs
from service.store.results.sweep_runs import ROWS_PER_STATEMENT, identified
from widthwise.errors import InvalidInputError

LIMITS = SweepLimits(runs=2_000, cells=1_000, owner_runs=3_000, owner_sweeps=10)
DRAFT = SweepDraft("ours", "notes", {"columns": {}, "prescribed": ["width"]})


def run(rate: float = 0.01, loss: float | None = 3.0, seed: int | None = 0, **axes: float | str) -> GivenRun:
    return GivenRun(rate, loss, axes or {"width": 64.0}, seed)


def many(count: int) -> list[GivenRun]:
    return [run(rate=0.001 * (number + 1), width=64.0, optimizer="adam") for number in range(count)]


def test_what_goes_in_comes_out(store: Store) -> None:
    runs = [run(0.1, 3.25, 7, width=64.0, optimizer="å"), run(0.2, None, None, width=128.0, optimizer="lion")]
    runs[1] = replace(runs[1], unused={"dropout": 0.1, "host": "ö"})
    made = store.sweeps.create(DRAFT, runs, LIMITS)
    sweep = store.sweeps.get(made.sweep.id)
    assert (sweep, made.added, made.replayed) == (made.sweep, 2, False)
    assert (sweep.name, sweep.notes, sweep.reading) == ("ours", "notes", DRAFT.reading)
    assert (sweep.runs, sweep.diverged, sweep.cells, sweep.revision) == (2, 1, 2, 1)
    assert sweep.axes == {"width": {"low": 64.0, "high": 128.0}, "optimizer": {"levels": ["å", "lion"]}}
    stored = store.sweeps.runs_at(sweep)
    assert [GivenRun(one.learning_rate, one.loss, one.axes, one.seed, one.unused) for one in stored] == runs
    assert store.sweeps.runs(sweep.id).items == stored


def test_more_runs_than_one_statement_takes(store: Store) -> None:
    runs = many(2 * ROWS_PER_STATEMENT + 1)
    sweep = store.sweeps.create(DRAFT, runs, LIMITS).sweep
    assert [one.learning_rate for one in store.sweeps.runs_at(sweep)] == [one.learning_rate for one in runs]
    assert store.sweeps.append(sweep.id, [*runs, run(9.0, width=64.0, optimizer="adam")], LIMITS).added == 1
    contradicting = [*runs[:-1], replace(runs[-1], loss=1.0)]
    with pytest.raises(ContradictionError, match=rf"^Run {len(runs)} "):
        store.sweeps.append(sweep.id, contradicting, LIMITS)


def test_a_refused_request_leaves_nothing(store: Store) -> None:
    sweep = store.sweeps.create(DRAFT, [run()], LIMITS).sweep
    small = replace(LIMITS, runs=3, cells=2)
    refusals: list[tuple[list[GivenRun], type[Exception], str]] = [
        ([run(0.5), run(loss=2.0)], ContradictionError, "is stored with loss 3.0, and this request says 2.0"),
        ([run(0.5), run(loss=None)], ContradictionError, "this request says diverged"),
        ([run(rate) for rate in (0.2, 0.3, 0.4)], InvalidInputError, "would have 4 runs, and one may have 3"),
        ([run(width=65.0), run(width=66.0)], InvalidInputError, "would have 3 cells"),
        ([run(0.5), run(0.6, depth=2.0)], InvalidInputError, r"run 2 has the axes \['depth'\]"),
        ([run(0.5), run(0.6, width="wide")], InvalidInputError, "run 2 has width 'wide'"),
        ([run(0.5), run(0.5, 2.0)], InvalidInputError, "runs 1 and 2 are the same one"),
    ]
    for runs, error, says in refusals:
        with pytest.raises(error, match=says):
            store.sweeps.append(sweep.id, runs, small)
        assert store.sweeps.get(sweep.id) == sweep
    with store.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(sweep_runs)).scalar_one() == 1


def test_quotas_are_an_owners(store: Store) -> None:
    hers = store.of("ada").sweeps
    small = replace(LIMITS, owner_runs=3, owner_sweeps=1)
    sweep = hers.create(DRAFT, [run()], small).sweep
    with pytest.raises(QuotaExceededError, match="You have 1 sweeps and ask for 1 more, and at most 1 are allowed"):
        hers.create(DRAFT, [], small)
    with pytest.raises(QuotaExceededError, match="You have 1 runs of sweeps and ask for 3 more, and at most 3 are"):
        hers.append(sweep.id, [run(rate) for rate in (0.2, 0.3, 0.4)], small)
    assert [one.id for one in hers.page().items] == [sweep.id]
    assert hers.get(sweep.id) == sweep
    unlimited = replace(LIMITS, owner_runs=0, owner_sweeps=0)
    assert hers.create(DRAFT, [run()], unlimited).added == 1
    for _ in range(2):
        store.sweeps.create(DRAFT, [run(rate) for rate in (0.2, 0.3)], small)  # without keys there are no owners


def test_an_owner_s_quota_is_the_sweep_s(store: Store) -> None:
    """An administrator who adds to another's sweep uses that owner's quota."""
    sweep = store.of("ada").sweeps.create(DRAFT, [run()], LIMITS).sweep
    root = store.of("root", everyone=True)
    with pytest.raises(QuotaExceededError):
        root.sweeps.append(sweep.id, [run(0.2)], replace(LIMITS, owner_runs=1))
    assert root.sweeps.create(DRAFT, [run()], replace(LIMITS, owner_runs=1)).added == 1


def test_keys_are_each_owners_own(store: Store) -> None:
    hers, his = store.of("ada").sweeps, store.of("ben").sweeps
    first = hers.create(DRAFT, [run()], LIMITS, idempotency_key="k")
    assert his.create(DRAFT, [run(0.2)], LIMITS, idempotency_key="k").sweep.id != first.sweep.id
    again = hers.create(DRAFT, [run()], LIMITS, idempotency_key="k")
    assert (again.sweep, again.replayed, again.added) == (first.sweep, True, 0)
    for draft, runs in ((replace(DRAFT, name="other"), [run()]), (DRAFT, [run(loss=2.0)])):
        with pytest.raises(IdempotencyConflictError, match=f"already created sweep '{first.sweep.id}'"):
            hers.create(draft, runs, LIMITS, idempotency_key="k")


def test_requests_at_once_take_turns(make_store: Callable[..., Store]) -> None:
    stores = [make_store() for _ in range(4)]
    sweep = stores[0].sweeps.create(DRAFT, [], LIMITS).sweep
    gate = Barrier(4)

    def add(number: int) -> int:
        gate.wait()
        return stores[number].sweeps.append(sweep.id, [run(0.001 * (k + 1)) for k in range(number, 8)], LIMITS).added

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(4))) == 8
    after = stores[0].sweeps.get(sweep.id)
    assert (after.runs, after.cells) == (8, 1)
    assert 1 <= after.revision <= 4
    assert len(stores[0].sweeps.runs_at(after)) == 8


def test_a_key_used_at_once_creates_one(make_store: Callable[..., Store]) -> None:
    stores = [make_store() for _ in range(4)]
    gate = Barrier(4)

    def create(number: int) -> str:
        gate.wait()
        return stores[number].sweeps.create(DRAFT, [run()], LIMITS, idempotency_key="k").sweep.id

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(4)))) == 1
    assert len(stores[0].sweeps.page().items) == 1


def test_the_runs_of_a_revision_never_change(store: Store) -> None:
    first = store.sweeps.create(DRAFT, [run()], LIMITS).sweep
    second = store.sweeps.append(first.id, [run(0.2), run(0.3)], LIMITS).sweep
    assert [len(store.sweeps.runs_at(each)) for each in (first, second)] == [1, 3]
    assert [one.revision for one in store.sweeps.runs_at(second)] == [1, 2, 2]


def test_a_name_and_notes_change_and_nothing_else_does(store: Store) -> None:
    before = store.sweeps.create(DRAFT, many(3), LIMITS, idempotency_key="k").sweep
    assert store.sweeps.label(before.id, {}) == before
    assert store.sweeps.label(before.id, {"name": "theirs"}) == replace(before, name="theirs")
    assert store.sweeps.label(before.id, {"notes": None}) == replace(before, name="theirs", notes=None)
    longest = {"name": "ß" * SWEEP_NAME_MAXIMUM, "notes": "𝛼" * SWEEP_NOTES_MAXIMUM}
    after = store.sweeps.label(before.id, longest)
    assert after == store.sweeps.get(before.id) == replace(before, **longest)
    again = store.sweeps.create(DRAFT, many(3), LIMITS, idempotency_key="k")
    assert (again.sweep, again.replayed) == (after, True)  # the key stands for what was asked then


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"name": None}, "A sweep has a name; give one"),
        ({"name": ""}, "The name has 0 characters; give 1 to 200"),
        ({"name": "x" * (SWEEP_NAME_MAXIMUM + 1)}, "The name has 201 characters"),
        ({"notes": "a\0b"}, "The notes has 3 characters; give 1 to 4000 printable ones"),
    ],
    ids=str,
)
def test_a_name_that_is_none_is_refused(store: Store, labels: dict[str, str | None], said: str) -> None:
    before = store.sweeps.create(DRAFT, [], LIMITS).sweep
    with pytest.raises(InvalidInputError, match=said):
        store.sweeps.label(before.id, {"notes": "new", **labels})
    assert store.sweeps.get(before.id) == before


def test_a_deleted_sweep_takes_its_runs_along(store: Store) -> None:
    sweep = store.sweeps.create(DRAFT, many(3), LIMITS).sweep
    kept = store.sweeps.create(DRAFT, many(2), LIMITS).sweep
    store.sweeps.delete(sweep.id)
    with store.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(sweep_runs)).scalar_one() == 2
    assert store.sweeps.runs_at(sweep) == ()
    for call in (store.sweeps.get, store.sweeps.delete):
        for identifier in (sweep.id, "swp_none", "a\0b"):
            with pytest.raises(NotFoundError, match="There is no sweep"):
                call(identifier)
    assert store.sweeps.get(kept.id) == kept


RUNS = st.builds(
    lambda rate, seed, width: GivenRun(rate, 1.0, {"width": width, "kind": "a"}, seed),
    st.sampled_from([0.1, 0.2]),
    st.sampled_from([None, 0, 1]),
    st.sampled_from([1.0, 2.0]),
)


@given(st.lists(RUNS, max_size=12))
def test_identities(runs: list[GivenRun]) -> None:
    """Runs with a seed are one if rate, seed and axes are equal, in any order of the axes; those without never are."""
    found = identified(runs)
    seeded = {(one.learning_rate, one.seed, one.axes["width"]) for one in runs if one.seed is not None}
    assert len(found) == len(seeded) + sum(one.seed is None for one in runs)
    turned = [replace(one, axes=dict(reversed(one.axes.items()))) for one in runs]
    assert [one.identity for one in identified(turned)] == [one.identity for one in found]
    assert len({one.identity for one in found}) == len(found)
    assert len({one.cell for one in found}) == len({one.axes["width"] for one in runs})
