"""What a calibration runs next: from its specification and every outcome so far to the shards still to be run.

A search goes in rounds. Each is a pure function of what came out before, so a service that was killed, a worker on
another machine and an extension years later all ask for the same runs. In round one the learning rates of the grid are
tried, at every width (`grid`) or at the smallest (`telescope`, after Essential AI 2505.02222), where they cost least.
A telescope then goes from width to width with a few learning rates around the prediction of those before. Every width
is extended or refined until its optimum lies inside (`bracket`). Horizons are branched at the smallest width once its
optimum is known, γ is swept at every width once all are, and the runs that measure need no optimum: round one.

A learning rate is a base learning rate, a cell is (learning rate, seed), and what has an outcome is never asked again,
a failure included. Callers stop when a round brought no outcome at all: the same outcomes ask the same again.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.widths import fit_optima
from widthwise.search.bracket import Outcomes, next_rates
from widthwise.search.cut import cut, longest_first
from widthwise.search.followups import gamma_shards, horizon_shards, measure_shards
from widthwise.search.telescope import SURE, Known, around, predict, seeds_of, spacing_of
from widthwise.vocabulary import Measured, Runner, Search, ShardKind, TrialStatus

Trials = Sequence[Mapping[str, Any]]
Cells = set[tuple[float, int]]

SWEPT = {Measured.LEARNING_RATE, Measured.GAMMA, Measured.HORIZON}  # what needs the optimum of a sweep


def next_round(
    spec: Mapping[str, Any], trials: Trials, measurements: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return the shards that a calibration still has to run, longest first; empty when it is finished.

    Parameters
    ----------
    spec: a calibration's specification; read are `widths`, `seeds`, `learning_rates`, `search`, `mesh`, `measure`,
        `probe_learning_rate`, `horizons`, `runner`, `steps` and `proxy`.
    trials: every trial so far, in any order: `width`, `learning_rate`, `seed`, `role`, `gamma`, `horizon`, `status`
        and `loss`.
    measurements: every measurement so far: `width`, `seed`, `kind`.

    Raises InvalidInputError where the specification leaves nothing to run, or a trial is malformed.
    """
    if spec.get("runner") == Runner.EXTERNAL:
        return []
    _check(spec)
    measured = set(spec.get("measure") or [Measured.LEARNING_RATE])
    shards = measure_shards(spec, measurements)
    if not measured & SWEPT:
        return longest_first(spec, shards)
    widths = sorted({int(width) for width in spec["widths"]})
    if measured & SWEPT == {Measured.HORIZON}:
        widths = widths[:1]  # the only one where horizons are branched
    optima = fit_optima(trials)
    optimum = {entry.width: entry.optimum for entry in optima}
    wanted = _wanted(spec, {width: Outcomes.of(trials, width) for width in widths}, optimum)
    for width, cells in wanted.items():
        shards += cut(spec, width, cells)
    if Measured.HORIZON in measured and widths[0] not in wanted:
        shards += horizon_shards(spec, trials, optimum.get(widths[0]))
    if Measured.GAMMA in measured and not wanted:
        shards += gamma_shards(spec, trials, optima)
    return longest_first(spec, shards)


def outline(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every shard that a calibration is expected to run, round by round, if no optimum lies at an edge.

    It is what next_round asks for when the optimum is the middle of the learning rates at every width.
    """
    trials: list[dict[str, Any]] = []
    measurements: list[dict[str, Any]] = []
    shards: list[dict[str, Any]] = []
    while part := next_round(spec, trials, measurements):
        shards += part
        for each in part:
            trials += _pretended(spec, each)
            measurements += [
                {"width": each["width"], "seed": seed, "kind": kind}
                for seed in each["seeds"]
                for kind in each["measure"]
            ]
    return shards


def _check(spec: Mapping[str, Any]) -> None:
    widths, seeds, rates = spec["widths"], int(spec["seeds"]), spec.get("learning_rates") or ()
    if not rates or not widths or seeds < 1:
        raise InvalidInputError(
            f"Nothing to run: {len(widths)} widths, {seeds} seeds, {len(rates)} learning rates; give at least one of "
            "each.",
            field="spec",
        )


def _wanted(
    spec: Mapping[str, Any], outcomes: Mapping[int, Outcomes], optimum: Mapping[int, Optimum | None]
) -> dict[int, Cells]:
    """The cells that the sweep still needs, by width, ascending; widths that need none, or have to wait, are absent."""
    grid, mesh = tuple(float(rate) for rate in spec["learning_rates"]), float(spec.get("mesh", 0.5))
    known = [
        (width, found.log2_learning_rate, found.standard_error)
        for width, found in optimum.items()
        if found is not None and found.standard_error is not None
    ]
    wanted: dict[int, Cells] = {}
    for index, (width, outcome) in enumerate(outcomes.items()):
        telescoped = spec.get("search", Search.GRID) == Search.TELESCOPE and index > 0
        seeds = seeds_of(int(spec["seeds"]), telescoped)
        spacing = spacing_of(mesh, int(spec["seeds"]), telescoped)
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
    """The few learning rates around what the known widths predict; the whole grid where none has an optimum.

    While some smaller width is still to run (`before`), none unless the prediction is sure already.
    """
    if not known:
        return () if before else grid
    prediction, error = predict(known, width)
    return () if before and error > SURE else around(prediction, error, mesh=mesh, spacing=spacing)


def _pretended(spec: Mapping[str, Any], part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Trials of a shard whose losses lie on one parabola around the middle of the learning rates, γ included."""
    if part["kind"] == ShardKind.MEASURE:
        return []
    rates = sorted(spec["learning_rates"])
    middle = math.log2(rates[len(rates) // 2])
    return [
        {
            "width": part["width"],
            "learning_rate": rate,
            "seed": seed,
            "role": part["role"],
            "gamma": gamma,
            "horizon": horizon,
            "status": TrialStatus.COMPLETED.value,
            "loss": 1.0 + (math.log2(rate * gamma) - middle) ** 2,
        }
        for rate in part["learning_rates"]
        for seed in part["seeds"]
        for gamma in part["gammas"] or [1.0]
        for horizon in part["horizons"] or [None]
    ]
