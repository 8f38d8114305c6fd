"""What a calibration runs next: maps its specification and all outcomes so far to the shards still to run.

A search proceeds in rounds. Each is a pure function of the previous outcomes, so a service that was killed, a worker on
another machine and an extension years later all plan the same runs. Round one tries the learning rates of the grid, at
every width (`grid`) or only at the smallest (`telescope`, after Essential AI 2505.02222), which is the cheapest. A
telescope then goes from width to width with a few learning rates around the prediction from the previous widths; an
information search goes where a run says most for its operations about the width it is asked for (`information`). Every
width is extended or refined until its optimum lies inside (`bracket`). Horizons are branched at the smallest width once
its optimum is known, γ is swept at every width once all optima are known, and the runs that measure need no optimum, so
they are in round one.

A learning rate here is a base learning rate, a cell is (learning rate, seed), and a cell with an outcome, including a
failure, is never planned again. Callers stop if a round produces no outcome at all, since the same outcomes lead to the
same plan.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.errors import InvalidInputError
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.widths import fit_optima
from widthwise.search.asked import check_asked
from widthwise.search.bracket import Outcomes, next_rates
from widthwise.search.cut import cut, longest_first
from widthwise.search.followups import gamma_shards, horizon_shards, measure_shards
from widthwise.search.information import information_round
from widthwise.search.telescope import SURE, Known, around, predict, seeds_of, spacing_of
from widthwise.vocabulary import Measured, Runner, Search, TrialStatus

Trials = Sequence[Trial]
Cells = set[tuple[float, int]]

SWEPT = {Measured.LEARNING_RATE, Measured.GAMMA, Measured.HORIZON}  # measurements that need the optimum of a sweep


def next_round(spec: CalibrationSpec, trials: Trials, measurements: Sequence[Measurement] = ()) -> list[ShardSpec]:
    """Return the shards that a calibration still has to run, longest first; empty when it is finished.

    Trials and measurements are all outcomes so far, in any order. Raises InvalidInputError if the specification has
    nothing to run.
    """
    if spec.runner is Runner.EXTERNAL:
        return []
    _check(spec)
    measured = set(spec.measure)
    shards = measure_shards(spec, measurements)
    if not measured & SWEPT:
        return longest_first(spec, shards)
    widths = spec.widths
    if measured & SWEPT == {Measured.HORIZON}:
        widths = widths[:1]  # the only one at which horizons are branched
    wanted: Mapping[int, Set[tuple[float, int]]] = information_round(spec, trials).cells if spec.is_information else {}
    if wanted and measured == {Measured.LEARNING_RATE}:  # the optima are fitted there, and nothing else needs them
        return longest_first(spec, [shard for width, cells in wanted.items() for shard in cut(spec, width, cells)])
    optima = fit_optima(trials)
    optimum = {entry.width: entry.optimum for entry in optima}
    if not spec.is_information:
        wanted = _wanted(spec, {width: Outcomes.of(trials, width) for width in widths}, optimum)
    for width, cells in wanted.items():
        shards += cut(spec, width, cells)
    if Measured.HORIZON in measured and widths[0] not in wanted:
        shards += horizon_shards(spec, trials, optimum.get(widths[0]))
    if Measured.GAMMA in measured and not wanted:
        shards += gamma_shards(spec, trials, optima)
    return longest_first(spec, shards)


def outline(spec: CalibrationSpec) -> list[ShardSpec]:
    """Return every shard that a calibration is expected to run, round by round, if no optimum lies at an edge.

    These are the shards of next_round if the optimum is the middle learning rate at every width. An information search
    runs at most those of the grid at each width, and is outlined so: nobody knows how many it needs.
    """
    if spec.is_information:
        check_asked(spec)
        spec = replace(spec, search=Search.GRID, target_width=None, precision=None, budget=None)
    trials: list[Trial] = []
    measurements: list[Measurement] = []
    shards: list[ShardSpec] = []
    while part := next_round(spec, trials, measurements):
        shards += part
        for each in part:
            trials += _pretended(spec, each)
            measurements += [Measurement(*identity, data={}) for identity in sorted(each.measurements())]
    return shards


def _check(spec: CalibrationSpec) -> None:
    widths, seeds, rates = spec.widths, spec.seeds, spec.learning_rates
    if not rates or not widths or seeds < 1:
        raise InvalidInputError(
            f"There is nothing to run: {len(widths)} widths, {seeds} seeds, {len(rates)} learning rates; give "
            "at least one of each.",
            field="spec",
        )
    check_asked(spec)


def _wanted(
    spec: CalibrationSpec, outcomes: Mapping[int, Outcomes], optimum: Mapping[int, Optimum | None]
) -> dict[int, Cells]:
    """Return the cells that the sweep still needs, by width, ascending; without widths that need none or must wait."""
    grid, mesh = spec.learning_rates, spec.mesh
    known = [
        (width, found.log2_learning_rate, found.standard_error)
        for width, found in optimum.items()
        if found is not None and found.standard_error is not None
    ]
    wanted: dict[int, Cells] = {}
    for index, (width, outcome) in enumerate(outcomes.items()):
        telescoped = spec.is_telescope and index > 0
        seeds = seeds_of(spec.seeds, telescoped)
        spacing = spacing_of(mesh, spec.seeds, telescoped)
        rates: Iterable[float] = outcome.rates
        if not telescoped:
            rates = {*grid, *rates}
        elif not rates:
            rates = _predicted_rates(known, width, grid, mesh, spacing, before=bool(wanted))
        cells = {(rate, seed) for rate in rates for seed in seeds} - outcome.tried
        if not cells and outcome.rates:
            further = next_rates(outcome, optimum.get(width), grid, mesh=mesh, spacing=spacing)
            cells = {(rate, seed) for rate in further for seed in seeds}
        if cells:
            wanted[width] = cells
    return wanted


def _predicted_rates(
    known: Known, width: int, grid: Sequence[float], mesh: float, spacing: float, *, before: bool
) -> Sequence[float]:
    """Return the few learning rates around the prediction of the known widths; the whole grid if none has an optimum.

    While a smaller width is still to run (`before`), none unless the prediction is already certain enough.
    """
    if not known:
        return () if before else grid
    prediction, error = predict(known, width)
    return () if before and error > SURE else around(prediction, error, mesh=mesh, spacing=spacing)


def _pretended(spec: CalibrationSpec, part: ShardSpec) -> list[Trial]:
    """Return trials of a shard with losses on one parabola around the middle learning rate, including γ."""
    middle = math.log2(spec.learning_rates[len(spec.learning_rates) // 2])

    def loss(rate: float) -> float:
        return 1.0 + (math.log2(rate) - middle) ** 2

    return [
        Trial(
            width=trial.width,
            learning_rate=trial.learning_rate,
            seed=trial.seed,
            status=TrialStatus.COMPLETED,
            loss=loss(trial.learning_rate * trial.gamma),
            role=trial.role,
            gamma=trial.gamma,
            horizon=trial.horizon,
        )
        for trial in part.trials()
    ]
