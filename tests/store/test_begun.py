"""Which widths of a calibration have begun, on both databases."""

from collections.abc import Callable, Sequence

import pytest

from service.store import CalibrationState, Store
from tests.store.samples import claimed, plan_in_turn, run_all, run_claim, sample_spec
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.vocabulary import Measured, ShardKind

WIDTHS = [32, 64, 128]


def plan(spec: CalibrationSpec, trials: Sequence[Trial], measurements: Sequence[Measurement]) -> list[ShardSpec]:
    """Width by width; first the widest one's coordinates, if they are asked for."""
    shards = plan_in_turn(spec, trials, measurements)
    if Measured.COORDINATES in spec.measure and not measurements:
        kinds = (Measured.COORDINATES,)
        shards.insert(0, ShardSpec(max(spec.widths), (0.1,), (0,), ShardKind.MEASURE, measure=kinds))
    return shards


@pytest.fixture
def rounds(make_store: Callable[..., Store]) -> Store:
    """A store whose calibrations go from width to width."""
    return make_store(plan=plan)


def test_a_width_has_begun_once_a_round_trains_it(rounds: Store) -> None:
    identifier = rounds.calibrations.create(sample_spec(widths=WIDTHS, seeds=1)).calibration.id
    assert rounds.work.begun_widths(identifier) is None  # it does not run yet
    first = claimed(rounds)
    assert rounds.work.begun_widths(identifier) == {32}
    run_claim(rounds, first)
    assert rounds.work.begun_widths(identifier) == {32, 64}
    run_all(rounds)
    assert rounds.calibrations.get(identifier).state is CalibrationState.SUCCEEDED
    assert rounds.work.begun_widths(identifier) is None


def test_what_only_measures_begins_no_width(rounds: Store) -> None:
    """Its program is another one."""
    spec = sample_spec(widths=WIDTHS, measure=["learning_rate", "coordinates"])
    identifier = rounds.calibrations.create(spec).calibration.id
    assert claimed(rounds).shard.kind is ShardKind.MEASURE
    assert rounds.work.begun_widths(identifier) == {32}


def test_widths_that_an_extension_shares_have_begun(rounds: Store) -> None:
    parent = rounds.calibrations.create(sample_spec(widths=WIDTHS[:1])).calibration.id
    run_all(rounds)
    child = rounds.calibrations.extend(parent, sample_spec(widths=WIDTHS[:2])).calibration.id
    run_all(rounds)
    grandchild = rounds.calibrations.extend(child, sample_spec(widths=[*WIDTHS, 256])).calibration.id
    claimed(rounds)
    assert rounds.work.begun_widths(grandchild) == set(WIDTHS)


def test_nothing_has_begun_of_what_must_end_or_is_unknown(rounds: Store) -> None:
    identifier = rounds.calibrations.create(sample_spec(widths=WIDTHS)).calibration.id
    claimed(rounds)
    rounds.calibrations.cancel(identifier)
    assert rounds.calibrations.get(identifier).state is CalibrationState.RUNNING
    assert rounds.work.begun_widths(identifier) is None
    assert rounds.work.begun_widths("clb_unknown") is None
