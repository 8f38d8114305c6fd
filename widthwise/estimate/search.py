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
from widthwise.estimate.bracket import Outcomes, next_rates
from widthwise.estimate.shards import longest_first, run_flops, shard, sweep_shards
from widthwise.estimate.telescope import around, predict

Trials = Sequence[Mapping[str, Any]]
Shards = list[dict[str, Any]]
Cells = set[tuple[float, int]]

MEASURED_BY_RUNS = ("epsilon", "alignment", "coordinates")  # each from one run a width and seed, without a sweep
SWEPT = ("learning_rate", "gamma", "horizon")  # what needs the optimum of a sweep
ROLES = ("embedding", "hidden", "readout")  # those of the proxies' tensors
GAMMAS = (0.25, 0.5, 1.0, 2.0, 4.0)  # chosen: two octaves each side
HORIZON_FACTORS = (1, 2, 4)  # times `steps`, where the specification names no horizons
HORIZON_OCTAVES_BELOW, HORIZON_OCTAVES_ABOVE = 2.0, 1.0  # longer runs want less, LR ∝ tokens^−½ at most: −1 for 4×
SWEEP_SPACING = 0.5  # octaves between the learning rates of a horizon (chosen): five in the optimum's window


def next_round(
    spec: Mapping[str, Any], trials: Trials, measurements: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Give the shards that a calibration still has to run, longest first; empty when it is finished.

    Parameters
    ----------
    spec: a calibration's specification; read are `widths`, `seeds`, `learning_rates`, `search`, `mesh`, `measure`,
        `probe_learning_rate`, `horizons`, `runner`, `steps` and `proxy`.
    trials: every trial so far: `width`, `learning_rate`, `seed`, `role`, `horizon`, `gamma`, `status`, `loss`.
    measurements: every measurement so far: `width`, `seed`, `kind`.

    Raises InvalidInputError where the specification leaves nothing to run.
    """
    if spec.get("runner") == "external":
        return []
    _check(spec)
    measured = spec.get("measure") or ["learning_rate"]
    shards = _measure_shards(spec, measurements)
    if not set(measured) & set(SWEPT):
        return longest_first(spec, shards)
    outcomes = {width: Outcomes.of(trials, width) for width in sorted(set(spec["widths"]))}
    wanted = _wanted(spec, outcomes)
    for width, cells in wanted.items():
        shards += sweep_shards(spec, width, cells)
    smallest = min(outcomes)
    if "horizon" in measured and not wanted.get(smallest):
        shards += _horizon_shards(spec, trials, outcomes[smallest])
    if "gamma" in measured and not any(wanted.values()):
        shards += _gamma_shards(spec, trials, outcomes)
    return longest_first(spec, shards)


def outline(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give every shard that a calibration is expected to run, round by round, if no optimum lies at an edge.

    It is what next_round asks for when the optimum is the middle of the learning rates at every width.
    """
    trials: list[dict[str, Any]] = []
    measurements: list[dict[str, Any]] = []
    shards: Shards = []
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


def count_trials(shards: Iterable[Mapping[str, Any]]) -> int:
    """Give how many trials the shards make; a run that measures makes none."""
    return sum(
        len(each["learning_rates"]) * len(each["seeds"]) * max(1, len(each["gammas"])) * max(1, len(each["horizons"]))
        for each in shards
        if each["kind"] != "measure"
    )


def _check(spec: Mapping[str, Any]) -> None:
    widths, seeds, rates = spec["widths"], int(spec["seeds"]), spec.get("learning_rates") or ()
    if not rates or not widths or seeds < 1:
        raise InvalidInputError(
            f"Nothing to run: {len(widths)} widths, {seeds} seeds, {len(rates)} learning rates; give at least one of "
            "each.",
            field="spec",
        )


def _wanted(spec: Mapping[str, Any], outcomes: Mapping[int, Outcomes]) -> dict[int, Cells]:
    """The cells that the sweep still needs, by width, ascending."""
    grid, mesh = tuple(float(rate) for rate in spec["learning_rates"]), float(spec.get("mesh", 0.5))
    telescope = spec.get("search", "grid") == "telescope"
    wanted: dict[int, Cells] = {}
    settled = True  # every smaller width
    for index, (width, outcome) in enumerate(outcomes.items()):
        seeds = range(int(spec["seeds"]))
        if not telescope or index == 0:
            rates: Iterable[float] = {*grid, *outcome.rates}
        elif outcome.rates:
            rates = outcome.rates
        elif settled:
            rates = _predicted_rates(outcomes, width, grid, mesh)
        else:
            continue
        cells = {(rate, seed) for rate in rates for seed in seeds} - outcome.tried
        if not cells:
            cells = {(rate, seed) for rate in next_rates(outcome, grid, mesh) for seed in seeds}
        if cells:
            wanted[width], settled = cells, False
    return wanted


def _predicted_rates(
    outcomes: Mapping[int, Outcomes], width: int, grid: Sequence[float], mesh: float
) -> Sequence[float]:
    """The few learning rates around what the other widths predict; the whole grid where they found no optimum."""
    known = []
    for other, outcome in outcomes.items():
        optimum = outcome.optimum()
        if optimum is not None and optimum.standard_error is not None:
            known.append((other, optimum.log2_learning_rate, optimum.standard_error))
    return around(*predict(known, width), mesh) if known else grid


def _measure_shards(spec: Mapping[str, Any], measurements: Sequence[Mapping[str, Any]]) -> Shards:
    """One shard for each width, with the seeds that lack a measurement."""
    kinds = [kind for kind in MEASURED_BY_RUNS if kind in (spec.get("measure") or ())]
    if not kinds:
        return []
    rates = sorted(spec["learning_rates"])
    probe = float(spec.get("probe_learning_rate") or rates[len(rates) // 2])
    known = {(each["width"], each["seed"], each["kind"]) for each in measurements}
    shards = []
    for width in sorted(set(spec["widths"])):
        seeds = [s for s in range(int(spec["seeds"])) if any((width, s, kind) not in known for kind in kinds)]
        if seeds:
            shards.append(shard("measure", width, [probe], seeds, measure=kinds))
    return shards


def _horizon_shards(spec: Mapping[str, Any], trials: Trials, outcome: Outcomes) -> Shards:
    """Every horizon at the smallest width, over learning rates around its optimum.

    The smallest, since the longest horizon costs several times a trial, and how the optimum moves with tokens is taken
    to be the same at every width. All horizons of one learning rate and seed are branches of one run.
    """
    steps = int(spec["steps"])
    horizons = sorted(spec.get("horizons") or [factor * steps for factor in HORIZON_FACTORS])
    width, optimum = min(spec["widths"]), outcome.optimum()
    known = {
        (float(t["learning_rate"]), int(t["seed"]), int(t["horizon"]))
        for t in trials
        if t["width"] == width and t.get("horizon") is not None
    }
    if optimum is None:
        return []
    mesh = float(spec.get("mesh", 0.5))
    centre = optimum.log2_learning_rate
    rates = sorted({rate for rate, _, _ in known}) or around_horizon(centre, mesh)
    cells = {
        (rate, seed)
        for rate in rates
        for seed in range(int(spec["seeds"]))
        if any((rate, seed, horizon) not in known for horizon in horizons)
    }
    return [{**part, "kind": "horizon", "horizons": horizons} for part in sweep_shards(spec, width, cells)]


def around_horizon(centre: float, mesh: float) -> list[float]:
    """Learning rates for the horizons around a log2 optimum: more room below, since longer runs want less."""
    from widthwise.estimate.bracket import lattice_points

    return lattice_points(
        centre - HORIZON_OCTAVES_BELOW - SWEEP_SPACING / 2,
        centre + HORIZON_OCTAVES_ABOVE + SWEEP_SPACING / 2,
        SWEEP_SPACING,
        mesh,
        centre,
    )


def _gamma_shards(spec: Mapping[str, Any], trials: Trials, outcomes: Mapping[int, Outcomes]) -> Shards:
    """γ of every role at every width, at the learning rate tried that is nearest the width's optimum."""
    known: dict[tuple[int, str], dict[tuple[float, float, int], None]] = {}
    for t in trials:
        if t.get("role") is not None:
            cell = float(t["learning_rate"]), float(t["gamma"]), int(t["seed"])
            known.setdefault((t["width"], t["role"]), {})[cell] = None
    shards = []
    for width, outcome in outcomes.items():
        optimum = outcome.optimum()
        if optimum is None:
            continue
        for role in ROLES:
            done = known.get((width, role), {})
            rates = sorted({rate for rate, _, _ in done}) or [_nearest(outcome.rates, optimum.learning_rate)]
            seeds = [
                seed
                for seed in range(int(spec["seeds"]))
                if any((rate, gamma, seed) not in done for rate in rates for gamma in GAMMAS)
            ]
            if seeds:
                shards.append(shard("gamma", width, rates, seeds, role=role, gammas=list(GAMMAS)))
    return shards


def _nearest(rates: Sequence[float], rate: float) -> float:
    return min(rates, key=lambda each: (abs(math.log2(each / rate)), each))


def _pretended(spec: Mapping[str, Any], part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Trials of a shard whose losses lie on one parabola around the middle of the learning rates."""
    if part["kind"] == "measure":
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
            "status": "completed",
            "loss": 1.0 + (math.log2(rate) - middle) ** 2,
        }
        for rate in part["learning_rates"]
        for seed in part["seeds"]
        for gamma in part["gammas"] or [1.0]
        for horizon in part["horizons"] or [None]
    ]


__all__ = ["count_trials", "next_round", "outline", "run_flops"]
