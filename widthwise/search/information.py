"""The information search: the next runs of a calibration are those that narrow the target's prediction most per FLOP.

It opens with the grid's learning rates an octave apart at the smallest width, where runs cost least. From then on it
compares designs: a first few learning rates at a width without runs, further seeds at one with runs, or learning rates
between those that it has. A design is worth the variance at the target that it is expected to remove (`outlook`),
divided by its operations. Several designs, each as if the ones before had run, make a round, so that they train side by
side. A width is first tried when the prediction of its optimum is sure enough, as by a telescope, and an optimum at an
end of its learning rates is followed before anything else.

It ends when half of the 95 % interval at the target is within the precision that was asked, when no design is within
the budget, or when none would help noticeably.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from widthwise.calibration.cost import run_flops
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate.calibration import CalibrationResult, fit_calibration
from widthwise.estimate.intervals import quantile
from widthwise.estimate.optimum import Optimum
from widthwise.search.asked import INTERVAL_WIDTHS, opening
from widthwise.search.bracket import Outcomes, lattice_points, next_rates
from widthwise.search.outlook import Outlook, is_near, outlook
from widthwise.search.telescope import SURE, WINDOW, around, predict
from widthwise.vocabulary import Measured, SearchEnd

Cells = frozenset[tuple[float, int]]

ROUND_DESIGNS = 3  # of one round (chosen): each for a width and so a shard
WORTHWHILE = 0.02  # of the target's variance: designs that remove less are not run (chosen)
SHARD_FLOPS = 2.5e10  # what a shard costs besides its runs (chosen): a second of a core, while children live on


@dataclass(frozen=True)
class RunDesign:
    """Cells of one width that are worth running together."""

    width: int
    cells: Cells
    information: float  #: about the width's optimum, octaves^−2
    gain: float  #: octaves², by which the target's variance is expected to fall
    flops: float  #: operations of its runs

    @property
    def merit(self) -> float:
        """The gain for its operations, those of its shard included."""
        return self.gain / (self.flops + SHARD_FLOPS)


@dataclass(frozen=True)
class InformationRound:
    """How far an information search has come."""

    end: SearchEnd | None  #: why nothing is run any more; None while something is
    half_width: float | None  #: octaves, half of the 95 % interval at the target; None before there is one
    flops: float  #: of all sweep runs that have an outcome, each counted to its last step
    cells: Mapping[int, Cells]  #: what is run next, by width


def information_round(spec: CalibrationSpec, trials: Sequence[Trial]) -> InformationRound:
    """Return what an information search runs next, or why nothing; a function of the outcomes, whatever their order."""
    outcomes = {width: Outcomes.of(trials, width) for width in spec.widths}
    spent = sum(len(outcome.tried) * run_flops(spec, width) for width, outcome in outcomes.items())
    left = math.inf if spec.budget is None else spec.budget - spent
    base = min(spec.widths)
    if not outcomes[base].tried:
        return InformationRound(None, None, spent, {base: opening(spec)})
    plain = [trial for trial in trials if trial.is_plain]
    result = _fitted(spec, plain)
    half = half_width(spec, result)
    if half is not None and spec.precision is not None and half <= spec.precision:
        return InformationRound(SearchEnd.PRECISION, half, spent, {})
    optima = {} if result is None else {entry.width: entry.optimum for entry in result.optima}
    pending = {
        width: cells for width, outcome in outcomes.items() if (cells := _bracketing(spec, outcome, optima.get(width)))
    }
    if pending:
        affordable = _affordable(spec, pending, left)
        return InformationRound(None if affordable else SearchEnd.BUDGET, half, spent, affordable)
    if result is None or result.candidates is None:
        return InformationRound(SearchEnd.NOTHING_LEFT, half, spent, {})
    chosen, refused = _chosen(spec, outcomes, result, left)
    if not chosen:
        return InformationRound(SearchEnd.BUDGET if refused else SearchEnd.NOTHING_LEFT, half, spent, {})
    return InformationRound(None, half, spent, {design.width: design.cells for design in chosen})


def ending(spec: CalibrationSpec, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """Return how an information search ended, JSON-ready; None for other searches."""
    if not spec.is_information:
        return None
    found = information_round(spec, trials)
    return {
        "ended_by": None if found.end is None else found.end.value,
        "target_width": spec.asked_width,
        "half_width": found.half_width,
        "precision": spec.precision,
        "flops": found.flops,
        "budget": spec.budget,
    }


def half_width(spec: CalibrationSpec, result: CalibrationResult | None) -> float | None:
    """Return half of the 95 % interval of the optimum at the target, octaves; None without one."""
    if result is None or result.candidates is None:
        return None
    interval = result.predict(spec.asked_width).interval
    return None if interval is None else (interval[1] - interval[0]) / 2


def _fitted(spec: CalibrationSpec, trials: Sequence[Trial]) -> CalibrationResult | None:
    try:
        return fit_calibration(replace(spec, measure=(Measured.LEARNING_RATE,)), trials)
    except EstimateError:
        return None


def _bracketing(spec: CalibrationSpec, outcome: Outcomes, optimum: Optimum | None) -> Cells:
    """Return the cells that bring the optimum of a width inside its learning rates; none once it is, or can't be."""
    spacing = min(2 * spec.mesh, WINDOW)
    further = (
        next_rates(outcome, optimum, spec.learning_rates, mesh=spec.mesh, spacing=spacing) if outcome.tried else ()
    )
    seeds = {seed for _, seed in outcome.tried}
    return frozenset(product(further, seeds)) - outcome.tried


def _affordable(spec: CalibrationSpec, cells: Mapping[int, Cells], left: float) -> dict[int, Cells]:
    """Return the widths, ascending, whose cells the budget allows."""
    found = {}
    for width in sorted(cells):
        cost = len(cells[width]) * run_flops(spec, width)
        if cost <= left:
            found[width], left = cells[width], left - cost
    return found


def _chosen(
    spec: CalibrationSpec, outcomes: Mapping[int, Outcomes], result: CalibrationResult, left: float
) -> tuple[list[RunDesign], bool]:
    """Return the designs of a round, at most one of each width, and whether the budget refused a better one."""
    counts = {width: _counts(outcome) for width, outcome in outcomes.items()}
    now = outlook(result, spec.widths, spec.asked_width, counts)
    found: list[RunDesign] = []
    refused = False
    goal = 0.0 if spec.precision is None else (spec.precision / quantile(math.inf)) ** 2
    while len(found) < ROUND_DESIGNS and (not found or now.variance.mean > goal):
        taken = {design.width for design in found}
        designs = [one for one in _designs(spec, outcomes, result, now) if one.width not in taken]
        useful = [one for one in designs if one.gain > WORTHWHILE * now.variance.mean]
        affordable = [one for one in useful if one.flops <= left]
        refused = refused or len(affordable) < len(useful)
        if not affordable:
            break
        best = max(affordable, key=lambda one: (one.merit, -one.width, -len(one.cells), sorted(one.cells)))
        found.append(best)
        left -= best.flops
        now = now.after(spec.widths.index(best.width), best.information)
    return found, refused


def _designs(
    spec: CalibrationSpec, outcomes: Mapping[int, Outcomes], result: CalibrationResult, now: Outlook
) -> Iterator[RunDesign]:
    """Yield every design of every width."""
    known = [
        (entry.width, entry.optimum.log2_learning_rate, entry.optimum.standard_error)
        for entry in result.optima
        if entry.optimum is not None and entry.optimum.standard_error is not None
    ]
    known_widths = {width for width, _, _ in known}
    fresh = {width: predict(known, width) for width in spec.widths if not outcomes[width].tried}
    surest = min((error for _, error in fresh.values()), default=0.0)
    for place, width in enumerate(spec.widths):
        if width in fresh:
            centre, error = fresh[width]
            sets = _first_sets(spec, centre, error) if error <= max(SURE, surest) else ()
        elif width in known_widths and len(known_widths) >= min(INTERVAL_WIDTHS, len(spec.widths)):
            sets = _further_sets(spec, outcomes[width], float(now.centre[place]))
        else:
            sets = ()
        for cells in sets:
            if cells and len(outcomes[width].tried | cells) <= most_cells(spec):
                yield _judged(spec, place, outcomes[width], cells, now)


def most_cells(spec: CalibrationSpec) -> int:
    """Return the cells that a width may have: as many as the whole grid's."""
    return len(spec.learning_rates) * spec.seeds


def _first_sets(spec: CalibrationSpec, centre: float, error: float) -> Iterator[Cells]:
    """Yield tables of learning rates around a prediction and seeds, those with a residual that shows the error."""
    for spacing in sorted({spec.mesh, min(2 * spec.mesh, WINDOW)}):
        rates = around(centre, error, mesh=spec.mesh, spacing=spacing)
        for seeds in range(1, spec.seeds + 1):
            if len(rates) * seeds - seeds - 2 > 0:
                yield frozenset(product(rates, range(seeds)))


def _further_sets(spec: CalibrationSpec, outcome: Outcomes, centre: float) -> Iterator[Cells]:
    """Yield one further seed, or all, at the learning rates near the optimum; or those between them for its seeds."""
    near = [rate for rate in outcome.rates if is_near(math.log2(rate), centre) and rate not in outcome.worse]
    seeds = sorted({seed for _, seed in outcome.tried})
    for most in sorted({min(len(seeds) + 1, spec.seeds), spec.seeds}):
        yield frozenset(product(near, range(most))) - outcome.tried
    middle = round(centre / spec.mesh) * spec.mesh
    mesh = [
        rate
        for rate in lattice_points(centre - WINDOW, centre + WINDOW, spec.mesh, spec.mesh, middle)
        if all(abs(math.log2(rate / tried)) >= spec.mesh / 2 for tried in outcome.rates)
    ]
    yield frozenset(product(mesh, seeds)) - outcome.tried


def _judged(spec: CalibrationSpec, place: int, outcome: Outcomes, cells: Cells, now: Outlook) -> RunDesign:
    """Return a design with what it is expected to say."""
    reach = WINDOW + math.sqrt(now.covariance[place, place])  # a parabola is fitted to an octave on each side
    counts = _counts(outcome), _counts(outcome, cells)
    rates = [rate for rate in sorted(counts[1]) if abs(math.log2(rate) - now.centre[place]) <= reach]
    counts_2xL = np.array([[known.get(rate, 0) for rate in rates] for known in counts], dtype=np.float64)
    about_2xG = now.curves(place, np.log2(rates)).about_optimum(counts_2xL)
    added_G = np.maximum(about_2xG[1] - about_2xG[0], 0.0)
    width = spec.widths[place]
    return RunDesign(
        width,
        cells,
        float(added_G.mean()),
        float(now.variance.gain(place, added_G[None])[0]),
        len(cells) * run_flops(spec, width),
    )


def _counts(outcome: Outcomes, more: Cells = frozenset()) -> dict[float, int]:
    """Return how many runs each learning rate has that no seed ruled out."""
    cells = [rate for rate, _ in (*outcome.losses, *more) if rate not in outcome.worse]
    return {rate: cells.count(rate) for rate in sorted(set(cells))}
