"""What does the best learning rate of a wide model cost to find? mup + PyTorch, this engine's grid, its searches.

    python -m benchmarks.cost                 # 40 minutes on two quiet cores; writes docs/results/cost.*
    python -m benchmarks.cost --steps 1000    # one length, 30 minutes; the page keeps its other lengths
    python -m benchmarks.cost --quick         # a minute, on sizes that show nothing but that it runs; writes nothing

At each length of the runs, one question, asked of each on the same cores: the best base learning rate at the largest
width, and its slope over widths. An independent sweep with other seeds and a finer mesh gives the answer that all are
held to. Each length is written into the page as soon as it is measured.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bank import MLP
from benchmarks.cost_page import lines
from benchmarks.cost_parts import Shares, database_seconds, start_parts
from benchmarks.record import arguments, command, machine, recorded, write_result
from benchmarks.replay import (
    CURVE_DEGREE,
    CURVE_OCTAVES,
    Cell,
    Draw,
    Pool,
    Replay,
    draws_of,
    jackknife,
    minimum,
    optimum_of,
    replay,
)
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate import fit_calibration
from widthwise.search.cut import cut
from workers.lifetime import Lifetime
from workers.local import LocalResult, run_calibration, run_shards

Trials = Sequence[Mapping[str, Any]]
Rows = list[dict[str, Any]]
Answer = tuple[float, float]  #: log2 of the best learning rate at the largest width, and its slope over log2 width

QUESTION: dict[str, Any] = {
    "parameterization": "mup",
    "optimizer": "adam",
    "alignment": "full",
    "readout_omega": 0.5,
    "form": "table_9",
    "widths": [32, 64, 128, 256],
    "learning_rates": [2.0 ** (0.5 * k) for k in range(-16, -3)],  # 13, the optimum near the middle
    "seeds": 3,
    "steps": 250,
    "epsilon": 1e-12,
    "mesh": 0.5,
    "measure": ["learning_rate"],
    "runner": "worker",
    "proxy": MLP,
}
QUICK = {
    **QUESTION,
    "widths": [8, 16, 32],
    "learning_rates": [2.0**k for k in range(-6, 1)],
    "seeds": 2,
    "steps": 20,
    "proxy": {**QUESTION["proxy"], "depth": 1, "sequence_length": 4, "batch_size": 32},
}
FRESH = Lifetime(shards=1)  # a process for every shard, as before children lived on
STEPS = (250, 1000)  # of a run: as short as shows the optimum, and a realistic length
#: Of this engine: how it searches, and how long its children live. Each has one part more than the one before, but for
#: the information search, which is asked for two precisions at the largest width in octaves.
WAYS: dict[str, tuple[dict[str, Any], Lifetime]] = {
    "grid": ({"search": "grid", "early_stopping": False}, FRESH),
    "telescope": ({"search": "telescope", "early_stopping": False}, FRESH),
    "telescope, early stopping": ({"search": "telescope", "early_stopping": True}, FRESH),
    "telescope, early stopping, children live on": ({"search": "telescope", "early_stopping": True}, Lifetime()),
    "information to ±0.6, the same": ({"search": "information", "precision": 0.6, "early_stopping": True}, Lifetime()),
    "information to ±0.8, the same": ({"search": "information", "precision": 0.8, "early_stopping": True}, Lifetime()),
}
TORCH = "mup + PyTorch, grid"
REFERENCE_MESH, REFERENCE_POINTS = 0.25, 6  # octaves; points on each side of the middle: an octave and a half
REFERENCE_SEEDS = range(100, 108)  # chosen: none that a calibration uses
QUICK_DRAWS = 2
DRAWS = 40  # calibrations replayed over the reference's runs (chosen): the errors below are then known to 11 %


def measure(
    question: Mapping[str, Any],
    *,
    torch: bool,
    processes: int,
    calibrate: Callable[..., LocalResult] = run_calibration,
    sweep: Callable[..., list[Trial]] = run_shards,
    draws: int = DRAWS,
) -> dict[str, Any]:
    """Ask every way, and the reference; gives rows, the reference and the factors as JSON-ready values."""
    rows = [_torch(question, processes)] if torch else []
    for name, (part, lifetime) in WAYS.items():
        rows.append(_engine(name, _asked(question, part), processes, lifetime, calibrate))
        print(f"{rows[-1]['way']}: {rows[-1]['seconds']:.0f} s", flush=True)
    begun = time.monotonic()
    pool = _pool(question, processes, sweep)
    reference = _reference(question, rows[-1]["log2_optima"][-1], pool)
    print(f"reference: {time.monotonic() - begun:.0f} s", flush=True)
    typical = _typical(question, reference, pool, draws)
    reference["seconds"] = time.monotonic() - begun
    print(f"reference and {draws} replays of each search: {reference['seconds']:.0f} s", flush=True)
    widths, truth = sorted(question["widths"]), reference["log2_optima"]
    for row in rows:
        # an information search may never train the largest
        row["trials_at_largest"] = sum(run["width"] == widths[-1] for run in row["outcomes"])
        row["error_octaves"] = abs(row["log2_optima"][-1] - truth[-1])
        row["slope_error"] = abs(row["slope"] - reference["slope"])
        row["regret_percent"] = _regret(reference["curves"][str(widths[-1])], row["log2_optima"][-1])
        row["typical"] = typical[row.get("search", TORCH)]
    start = start_parts(question["proxy"]["dataset"])
    found = {"question": dict(question), "rows": rows, "reference": reference, "start": start}
    return {**found, "factors": _factors(rows)}


def _asked(question: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of a way of answering."""
    target = {"target_width": max(question["widths"])} if part["search"] == "information" else {}
    return {**question, **part, **target}


def _search(spec: Mapping[str, Any]) -> str:
    """What decides the runs of a way of answering, in words."""
    return f"{spec['search']} to ±{spec['precision']}" if "precision" in spec else str(spec["search"])


def _torch(question: Mapping[str, Any], processes: int) -> dict[str, Any]:
    try:
        from benchmarks.mup_torch import train_grid
    except ImportError as error:
        raise SystemExit(
            f"mup + PyTorch are not installed ({error}): pip install -e '.[bench]', or --no-torch"
        ) from error
    trials: list[dict[str, Any]] = []
    begun = time.monotonic()
    for trial in train_grid(CalibrationSpec.from_dict(question), sorted({1, processes})):
        if trials and trial["width"] != trials[-1]["width"]:
            print(f"{TORCH}, width {trials[-1]['width']}: {time.monotonic() - begun:.0f} s so far", flush=True)
        trials.append(trial)
    print(f"{TORCH}: {time.monotonic() - begun:.0f} s", flush=True)
    optima = [_argmin(trials, width) for width in sorted(question["widths"])]
    row = _row(TORCH, trials, optima, sum(t["seconds"] for t in trials), sum(t["cpu_seconds"] for t in trials))
    return {**row, "slope": _slope(sorted(question["widths"]), optima)}


def _engine(
    way: str, spec: Mapping[str, Any], processes: int, lifetime: Lifetime, calibrate: Callable[..., LocalResult]
) -> dict[str, Any]:
    heard, read = Shares(), CalibrationSpec.from_dict(spec)
    found = calibrate(read, processes=processes, lifetime=lifetime, on_event=heard)
    if found.result is None:
        raise SystemExit(f"{way} found no optimum: {found.failure}")
    if found.result.power_law is None:
        raise SystemExit(f"{way} found too few optima for a slope")
    optima = [found.result.predict(width).log2_learning_rate for width in sorted(spec["widths"])]
    trials = [trial.to_dict() for trial in found.trials]
    return {
        **_row(f"engine, {way}", trials, optima, found.seconds, found.cpu_seconds),
        "slope": float(found.result.power_law.slope),
        "search": _search(spec),
        "rounds": found.rounds,
        "processes": processes,
        "children": found.children,
        "parts": {
            "start": found.starting_seconds,
            "compilation": heard.compile_seconds,
            "training": heard.training_seconds,
            "database": database_seconds(read, found.trials),
        },
        "environments": list(found.environments),
    }


def _row(way: str, trials: Trials, optima: Sequence[float], seconds: float, cpu_seconds: float) -> dict[str, Any]:
    return {
        "way": way,
        "trials": len(trials),
        "stopped": sum(t["status"] == "stopped" for t in trials),
        "flops": sum(t["flops"] for t in trials),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "log2_optima": [float(each) for each in optima],
        "outcomes": [{k: t[k] for k in ("width", "learning_rate", "seed", "status", "loss")} for t in trials],
    }


def _argmin(trials: Iterable[Mapping[str, Any]], width: int) -> float:
    """What users of a grid take: the learning rate of the lowest mean loss, if none of its runs diverged."""
    losses: dict[float, list[float]] = {}
    for t in trials:
        if t["width"] == width:
            losses.setdefault(t["learning_rate"], []).append(math.inf if t["loss"] is None else t["loss"])
    return math.log2(min(losses, key=lambda rate: (np.mean(losses[rate]), rate)))


def _slope(widths: Sequence[int], log2_optima: Sequence[float]) -> float:
    """Of the straight line through the optima over log2 width: −1 if they fall as 1/n."""
    return float(np.polyfit(np.log2(widths), log2_optima, 1)[0])


def _pool(question: Mapping[str, Any], processes: int, sweep: Callable[..., list[Trial]]) -> Pool:
    """Runs of this engine that go to their end, trained on all processes where they are missing."""
    spec = CalibrationSpec.from_dict({**question, "early_stopping": False})

    def train(cells: Sequence[Cell]) -> list[Trial]:
        by_width: dict[int, list[tuple[float, int]]] = {}
        for width, rate, seed in cells:
            by_width.setdefault(width, []).append((rate, seed))
        shards = [shard for width in sorted(by_width, reverse=True) for shard in cut(spec, width, by_width[width])]
        return sweep(spec, shards, processes=processes)

    return Pool(train)


def _reference(question: Mapping[str, Any], middle: float, pool: Pool) -> dict[str, Any]:
    """A fine sweep around the optimum at every width with its own seeds: curves and their minima."""
    centre = round(middle / REFERENCE_MESH)
    rates = [2.0 ** (REFERENCE_MESH * k) for k in range(centre - REFERENCE_POINTS, centre + REFERENCE_POINTS + 1)]
    widths, x_L = sorted(question["widths"]), np.log2(rates)
    pool.fill((width, rate, seed) for width in widths for rate in rates for seed in REFERENCE_SEEDS)
    optima: list[float] = []
    errors: list[float] = []
    curves: dict[str, list[list[float]]] = {}
    for width in widths:
        loss_LxS = pool.losses(width, rates, REFERENCE_SEEDS)
        mean_L = loss_LxS.mean(axis=1)
        finite = np.isfinite(mean_L)
        optima.append(optimum_of(x_L, mean_L))
        errors.append(jackknife(x_L, loss_LxS))
        curves[str(width)] = [x_L[finite].tolist(), mean_L[finite].tolist()]
    runs = [pool.known[width, rate, seed] for width in widths for rate in rates for seed in REFERENCE_SEEDS]
    return {
        "log2_optima": optima,
        "standard_errors": errors,
        "slope": _slope(widths, optima),
        "curves": curves,
        "learning_rates": rates,
        "trials": [[t.width, t.learning_rate, t.seed, t.status.value, t.loss] for t in runs],
    }


def _regret(curve: Sequence[Sequence[float]], log2_rate: float) -> float | None:
    """How much more loss than the best the answer gives, in per cent; None outside the curve's range."""
    x, mean_L = map(np.asarray, curve)
    near = np.abs(x - x[np.argmin(mean_L)]) <= CURVE_OCTAVES
    x, mean_L = x[near], mean_L[near]
    if not x[0] <= log2_rate <= x[-1]:
        return None
    lowest = minimum(x, mean_L)[1]
    at = np.polyval(np.polyfit(x - x.mean(), mean_L, CURVE_DEGREE), log2_rate - x.mean())
    return float(100 * (at / lowest - 1))


def _typical(
    question: Mapping[str, Any], reference: Mapping[str, Any], pool: Pool, draws: int
) -> dict[str, dict[str, Any]]:
    """Root mean square errors of every search, and of a grid's lowest mean, over calibrations of the pool's runs.

    One run's error is one draw of chance. Each draw here has some of the reference's seeds, at one of two offsets from
    its quarter octaves, and is held to the optima of the other seeds. Grids have the reference's range alone.
    """
    widths, rates = sorted(question["widths"]), reference["learning_rates"]
    drawn = draws_of(REFERENCE_SEEDS, question["seeds"], draws, (0.0, REFERENCE_MESH))
    truths = [_truth(pool, widths, rates, [s for s in REFERENCE_SEEDS if s not in draw.seeds]) for draw in drawn]
    answers: dict[str, list[Answer | None]] = {TORCH: []}
    for draw in drawn:
        own = draw.on_lattice(rates, question["mesh"])
        lowest = [_lowest(pool, width, own, draw) for width in widths]
        answers[TORCH].append((lowest[-1], _slope(widths, lowest)))
    for search, part in {_search(part): part for part, _ in WAYS.values()}.items():
        asked = []
        for draw in drawn:
            spec = {**_asked(question, part), "early_stopping": False}
            if part["search"] == "grid":
                spec["learning_rates"] = draw.on_lattice(rates, question["mesh"])
            asked.append((CalibrationSpec.from_dict(spec), draw))
        answers[search] = [_predicted(one, widths[-1]) for one in replay(pool, asked)]
        print(f"replayed: {search}", flush=True)
    return {way: _errors(found, truths) for way, found in answers.items()}


def _truth(pool: Pool, widths: Sequence[int], rates: Sequence[float], seeds: Sequence[int]) -> Answer:
    """The answer that these seeds give."""
    optima = [optimum_of(np.log2(rates), pool.losses(width, rates, seeds).mean(axis=1)) for width in widths]
    return optima[-1], _slope(widths, optima)


def _lowest(pool: Pool, width: int, rates: Sequence[float], draw: Draw) -> float:
    """What users of a grid take, from a draw's runs at these rates."""
    cells = [draw.cell(width, rate, seed) for rate in rates for seed in range(len(draw.seeds))]
    return _argmin([pool.known[cell].to_dict() for cell in cells], width)


def _predicted(one: Replay, width: int) -> Answer | None:
    """What the fit of a draw's calibration says; None if it has no optimum or no slope."""
    try:
        found = fit_calibration(one.spec, one.trials)
        optimum = found.predict(width).log2_learning_rate + one.draw.offset
    except EstimateError:
        return None
    return None if found.power_law is None else (optimum, found.power_law.slope)


def _errors(answers: Sequence[Answer | None], truths: Sequence[Answer]) -> dict[str, Any]:
    """Root mean squares over the draws that have an answer; None without any."""
    both = [(found, truth) for found, truth in zip(answers, truths, strict=True) if found is not None]
    if not both:
        return {"octaves": None, "slope": None, "draws": 0}
    octaves, slope = np.sqrt(np.mean(np.square(np.diff(both, axis=1)[:, 0]), axis=0)).tolist()
    return {"octaves": octaves, "slope": slope, "draws": len(both)}


def _factors(rows: Rows) -> dict[str, float]:
    """What each part gives, as ratios of seconds; the product of the first ones is the whole with the telescope."""
    by = {row["way"]: row for row in rows}
    grid, telescope, stopping, living, *searches = (by[f"engine, {name}"] for name in WAYS)
    factors = {
        "processes of one thread (core-seconds of the grid over its seconds)": grid["cpu_seconds"] / grid["seconds"],
        "telescope": grid["seconds"] / telescope["seconds"],
        "early stopping": telescope["seconds"] / stopping["seconds"],
        "children that live on": stopping["seconds"] / living["seconds"],
    }
    if TORCH in by:
        torch = by[TORCH]
        first = {"JAX against PyTorch (seconds over core-seconds of the grid)": torch["seconds"] / grid["cpu_seconds"]}
        factors = {**first, **factors, "all of it": torch["seconds"] / living["seconds"]}
    for row in searches:
        factors[f"{row['search']} in the telescope's place"] = living["seconds"] / row["seconds"]
        if TORCH in by:
            factors[f"all of it, {row['search']}"] = by[TORCH]["seconds"] / row["seconds"]
    return factors


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes; implies --dry")
    parser.add_argument("--no-torch", action="store_true", help="this engine alone; implies --dry")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, nargs="+", help=f"of each run, by default {' and '.join(map(str, STEPS))}")
    options = parser.parse_args()
    asked = QUICK if options.quick else QUESTION
    options.dry |= options.quick or options.no_torch
    kept = {} if options.dry else on_page(recorded("cost"))
    for steps in options.steps or ([asked["steps"]] if options.quick else STEPS):
        begun = time.monotonic()
        draws = QUICK_DRAWS if options.quick else DRAWS
        question = {**asked, "steps": steps}
        report = measure(question, torch=not options.no_torch, processes=options.processes, draws=draws)
        measured = {**machine(), "commit": options.commit, "command": options.command}
        kept[steps] = {**report, "measured": measured, "seconds": time.monotonic() - begun}
        write(kept, options)


def on_page(page: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """The lengths that a page has, by steps; none of a page of an older form."""
    return {each["question"]["steps"]: each for each in page.get("lengths", []) if "measured" in each}


def write(reports: Mapping[int, Mapping[str, Any]], options: argparse.Namespace, folder: Path | None = None) -> None:
    """Write the page with all its lengths; it is that of the whole command, and each length names its own."""
    page: list[str] = []
    for steps, report in sorted(reports.items()):
        where = report["measured"]
        versions = ", ".join(
            f"{name} {where['versions'][name]}" for name in ("jax", "torch") if name in where["versions"]
        )
        page += [
            f"## Runs of {steps} steps",
            "",
            *lines(report),
            "",
            f"`{where['command']}` on {where['date']}: {report['seconds'] / 60:.0f} minutes, {where['cores']} cores of "
            f"{where['processor']}, {versions}, commit {where['commit']}.",
            "",
        ]
    whole = argparse.Namespace(**{**vars(options), "command": command(["cost"])})
    title = "What finding the best learning rate costs"
    write_result("cost", title, page[:-1], {"lengths": list(reports.values())}, whole, folder=folder)


if __name__ == "__main__":
    main()
