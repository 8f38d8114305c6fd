"""What does the best learning rate of a wide model cost to find? mup + PyTorch, this engine's grid, its telescope.

    python -m benchmarks.cost            # an hour and a half on two quiet cores; writes docs/results/cost.*
    python -m benchmarks.cost --quick    # a minute, on sizes that show nothing but that it runs; writes nothing
    python -m benchmarks.cost --steps 300

At each length of the runs, one question, asked of each on the same cores: the best base learning rate at the largest
width, and its slope over widths. An independent sweep with other seeds and a finer mesh gives the answer that all are
held to.
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bank import MLP
from benchmarks.cost_parts import Shares, database_seconds, start_parts
from benchmarks.record import arguments, write_result
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import fit_calibration
from widthwise.search.cut import cut
from widthwise.search.telescope import seeds_of
from workers.lifetime import Lifetime
from workers.local import LocalResult, run_calibration, run_shards

Trials = Sequence[Mapping[str, Any]]
Rows = list[dict[str, Any]]

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
    "widths": [8, 16],
    "learning_rates": [2.0**k for k in range(-6, 1)],
    "seeds": 2,
    "steps": 20,
    "proxy": {**QUESTION["proxy"], "depth": 1, "sequence_length": 4, "batch_size": 32},
}
FRESH = Lifetime(shards=1)  # a process for every shard, as before children lived on
STEPS = (250, 1000)  # of a run: as short as shows the optimum, and a realistic length
WAYS: dict[str, tuple[dict[str, Any], Lifetime]] = {  # of this engine, each with one part more than the one before
    "grid": ({"search": "grid", "early_stopping": False}, FRESH),
    "telescope": ({"search": "telescope", "early_stopping": False}, FRESH),
    "telescope, early stopping": ({"search": "telescope", "early_stopping": True}, FRESH),
    "telescope, early stopping, children live on": ({"search": "telescope", "early_stopping": True}, Lifetime()),
}
TORCH = "mup + PyTorch, grid"
REFERENCE_MESH, REFERENCE_POINTS = 0.25, 4  # octaves; points on each side of the middle: an octave
REFERENCE_SEEDS = range(100, 104)  # chosen: none that a calibration uses
CURVE_DEGREE = 3  # of the polynomial in log2 learning rate whose minimum is the reference: a basin and its skew
DRAWS = 200  # sets of trials drawn from the reference's (chosen): the error below is then known to 5 %


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
        rows.append(_engine(name, {**question, **part}, processes, lifetime, calibrate))
        print(f"{rows[-1]['way']}: {rows[-1]['seconds']:.0f} s", flush=True)
    reference = _reference(question, rows[-1]["log2_optima"][-1], processes, sweep)
    widths, truth = sorted(question["widths"]), reference["log2_optima"]
    for row in rows:
        row["error_octaves"] = abs(row["log2_optima"][-1] - truth[-1])
        row["slope"] = _slope(widths, row["log2_optima"])
        row["slope_error"] = abs(row["slope"] - reference["slope"])
        row["regret_percent"] = _regret(reference["curves"][str(widths[-1])], row["log2_optima"][-1])
        row["typical"] = _typical(question, reference["trials"], truth, row["way"], draws)
    start = start_parts(question["proxy"]["dataset"])
    found = {"question": dict(question), "rows": rows, "reference": reference, "start": start}
    return {**found, "factors": _factors(rows)}


def _torch(question: Mapping[str, Any], processes: int) -> dict[str, Any]:
    try:
        from benchmarks.mup_torch import train_grid
    except ImportError as error:
        raise SystemExit(
            f"mup + PyTorch are not installed ({error}): pip install -e '.[bench]', or --no-torch"
        ) from error
    trials = list(train_grid(CalibrationSpec.from_dict(question), sorted({1, processes})))
    optima = [_argmin(trials, width) for width in sorted(question["widths"])]
    return _row(TORCH, trials, optima, sum(t["seconds"] for t in trials), sum(t["cpu_seconds"] for t in trials))


def _engine(
    way: str, spec: Mapping[str, Any], processes: int, lifetime: Lifetime, calibrate: Callable[..., LocalResult]
) -> dict[str, Any]:
    heard, read = Shares(), CalibrationSpec.from_dict(spec)
    found = calibrate(read, processes=processes, lifetime=lifetime, on_event=heard)
    if found.result is None:
        raise SystemExit(f"{way} found no optimum: {found.failure}")
    optima = [found.result.predict(width).log2_learning_rate for width in sorted(spec["widths"])]
    trials = [trial.to_dict() for trial in found.trials]
    return {
        **_row(f"engine, {way}", trials, optima, found.seconds, found.cpu_seconds),
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
        "trials_at_largest": sum(t["width"] == max(each["width"] for each in trials) for t in trials),
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


def _reference(
    question: Mapping[str, Any], middle: float, processes: int, sweep: Callable[..., list[Trial]]
) -> dict[str, Any]:
    """A fine sweep around the optimum at every width with its own seeds: curves, their minima, the trials."""
    centre = round(middle / REFERENCE_MESH)
    around = range(centre - REFERENCE_POINTS, centre + REFERENCE_POINTS + 1)
    rates = [2.0 ** (REFERENCE_MESH * k) for k in around]
    spec = {**question, "early_stopping": False}
    begun = time.monotonic()
    cells = [(rate, seed) for rate in rates for seed in REFERENCE_SEEDS]
    read = CalibrationSpec.from_dict(spec)
    shards = [shard for width in sorted(question["widths"], reverse=True) for shard in cut(read, width, cells)]
    trials = [trial.to_dict() for trial in sweep(read, shards, processes=processes)]
    optima, errors, curves = [], [], {}
    for width in sorted(question["widths"]):
        loss_LxS = _table(trials, width, rates)
        x = np.log2(rates)
        optima.append(_minimum(x, loss_LxS.mean(axis=1))[0])
        # jackknife over the seeds
        left_out = [_minimum(x, np.delete(loss_LxS, s, axis=1).mean(axis=1))[0] for s in range(loss_LxS.shape[1])]
        errors.append(math.sqrt((len(left_out) - 1) * float(np.var(left_out))))
        curves[str(width)] = [list(map(float, x)), [float(each) for each in loss_LxS.mean(axis=1)]]
    return {
        "log2_optima": optima,
        "standard_errors": errors,
        "slope": _slope(sorted(question["widths"]), optima),
        "curves": curves,
        "seconds": time.monotonic() - begun,
        "trials": [{k: t[k] for k in ("width", "learning_rate", "seed", "status", "loss")} for t in trials],
    }


def _table(trials: Trials, width: int, rates: Sequence[float]) -> np.ndarray:
    """Losses (n_lr, n_seeds) of one width; a diverged run counts as the worst loss of the width."""
    at = {(t["learning_rate"], t["seed"]): t["loss"] for t in trials if t["width"] == width}
    seeds = sorted({seed for _, seed in at})
    worst = max(loss for loss in at.values() if loss is not None)
    return np.array([[worst if at[rate, seed] is None else at[rate, seed] for seed in seeds] for rate in rates])


def _minimum(x: Any, mean_L: Any) -> tuple[float, float]:
    """Where the smooth curve through the means is lowest within their range, and how low."""
    curve = np.polyfit(x - x.mean(), mean_L, CURVE_DEGREE)
    fine = np.linspace(x[0], x[-1], 2001)
    y = np.polyval(curve, fine - x.mean())
    return float(fine[y.argmin()]), float(y.min())


def _regret(curve: Sequence[Sequence[float]], log2_rate: float) -> float | None:
    """How much more loss than the best the answer gives, in per cent; None outside the reference's range."""
    x, mean_L = map(np.asarray, curve)
    if not x[0] <= log2_rate <= x[-1]:
        return None
    lowest = _minimum(x, mean_L)[1]
    at = np.polyval(np.polyfit(x - x.mean(), mean_L, CURVE_DEGREE), log2_rate - x.mean())
    return float(100 * (at / lowest - 1))


def _typical(
    question: Mapping[str, Any], trials: Trials, truth: Sequence[float], way: str, draws: int
) -> dict[str, Any]:
    """Root mean square errors of a way of answering over sets of trials drawn from the reference's; None without any.

    One run's error is one draw of chance. Each draw here takes some of the reference's seeds, and of its quarter
    octaves every other: the grid at a random offset; or for a telescope's wider widths three an octave apart.
    """
    rng = np.random.default_rng(0)
    widths, rates = sorted(question["widths"]), sorted({t["learning_rate"] for t in trials})
    seeds = sorted({t["seed"] for t in trials})
    middle, octave = len(rates) // 2, round(1 / REFERENCE_MESH)
    off, slopes = [], []
    for _ in range(draws):
        drawn: list[Mapping[str, Any]] = []
        offset = int(rng.integers(2))
        for index, width in enumerate(widths):
            telescoped = "telescope" in way and index > 0
            kept = {rates[middle + k * octave] for k in (-1, 0, 1)} if telescoped else set(rates[offset::2])
            some = set(rng.choice(seeds, len(seeds_of(question["seeds"], telescoped)), replace=False).tolist())
            drawn += [t for t in trials if t["width"] == width and t["learning_rate"] in kept and t["seed"] in some]
        if way == TORCH:
            optima = [_argmin(drawn, width) for width in widths]
        else:
            found = fit_calibration(CalibrationSpec.from_dict(question), [Trial.from_dict(trial) for trial in drawn])
            if found.candidates is None:
                continue
            optima = [found.predict(width).log2_learning_rate for width in widths]
        off.append(optima[-1] - truth[-1])
        slopes.append(_slope(widths, optima) - _slope(widths, truth))
    if not off:
        return {"octaves": None, "slope": None, "draws": 0}
    octaves, slope = (float(np.sqrt(np.mean(np.square(errors)))) for errors in (off, slopes))
    return {"octaves": octaves, "slope": slope, "draws": len(off)}


def _factors(rows: Rows) -> dict[str, float]:
    """What each part gives, as ratios of seconds whose product is the whole."""
    by = {row["way"]: row for row in rows}
    grid, telescope, stopping, living = (by[f"engine, {name}"] for name in WAYS)
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
    return factors


def lines(report: Mapping[str, Any]) -> list[str]:
    """The page's part on one length."""
    question, reference = report["question"], report["reference"]
    widths, best, error = question["widths"], reference["log2_optima"][-1], reference["standard_errors"][-1]
    proxy = question["proxy"]
    page = [
        f"The best base learning rate of the MLP language model at width {max(widths)}, and the slope of its log2 over "
        f"log2 width from {min(widths)} on: muP with Adam, {question['steps']} steps of {proxy['batch_size']} windows, "
        f"{len(question['learning_rates'])} learning rates, {question['seeds']} seeds. mup + PyTorch trains the grid "
        "one run at a time, with the number of threads that is fastest at each width, and takes the lowest mean loss "
        "and a line through them, as its users do. This engine takes what its calibration predicts at that width.",
        "",
        f"| | seconds | core-seconds | runs (at {max(widths)}) | FLOPs | log2 LR | off, octaves | typically | "
        "more loss, % | slope | off | typically |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    page += [
        f"| {row['way']} | {row['seconds']:.0f} | {row['cpu_seconds']:.0f} | {row['trials']} "
        f"({row['trials_at_largest']}) | {row['flops']:.2g} | {row['log2_optima'][-1]:.2f} | "
        f"{row['error_octaves']:.2f} | {_number(row['typical']['octaves'])} | {_number(row['regret_percent'])} | "
        f"{row['slope']:+.3f} | {row['slope_error']:.3f} | {_number(row['typical']['slope'])} |"
        for row in report["rows"]
    ]
    page += [
        "",
        f"Off: against an independent sweep of {len(REFERENCE_SEEDS)} other seeds with a learning rate each quarter of "
        f"an octave, whose best is 2^{best:.2f} ± {error:.2f} octaves and whose slope is {reference['slope']:+.3f}. "
        f"Typically: root mean square over {DRAWS} sets of trials of the same layout drawn from that sweep, since one "
        "run's error is one draw of chance. A process's start and its compilation count in this engine's seconds, the "
        "import of PyTorch does not in the other's.",
        "",
        "Where the processes' seconds go. Start: from a shard's job to its beginning, which is a process, its imports "
        "and the text, or next to nothing for a child that lives on. Compilation: until its first run begins. Waiting: "
        "a process's end, and the ends of rounds, where another process has nothing to do. The database's seconds are "
        "what a worker would add for the same calibration, with SQLite.",
        "",
        "| | processes | start | compilation | training | waiting | database, s |",
        "|---|---|---|---|---|---|---|",
        *(_parts_line(row) for row in report["rows"] if "parts" in row),
        "",
        "One child's start, measured alone: "
        + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in report["start"].items())
        + ".",
        "",
        "What each part gives, in seconds:",
        "",
        *(f"* {name}: {factor:.2f}×" for name, factor in report["factors"].items()),
    ]
    return page


def _parts_line(row: Mapping[str, Any]) -> str:
    parts, whole = row["parts"], row["seconds"] * row["processes"]
    shares = [parts[name] / whole for name in ("start", "compilation", "training")]
    shown = " | ".join(f"{share:.0%}" for share in (*shares, max(0.0, 1 - sum(shares))))
    return f"| {row['way']} | {row['children']} | {shown} | {parts['database']:.2f} |"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes; implies --dry")
    parser.add_argument("--no-torch", action="store_true", help="this engine alone; implies --dry")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--steps", type=int, nargs="+", help=f"of each run, by default {' and '.join(map(str, STEPS))}")
    options = parser.parse_args()
    asked = QUICK if options.quick else QUESTION
    reports, page = [], []
    for steps in options.steps or ([asked["steps"]] if options.quick else STEPS):
        question = {**asked, "steps": steps}
        reports.append(measure(question, torch=not options.no_torch, processes=options.processes))
        page += [f"## Runs of {steps} steps", "", *lines(reports[-1]), ""]
    options.dry |= options.quick or options.no_torch
    title = "What finding the best learning rate costs"
    write_result("cost", title, page[:-1], {"lengths": reports}, options)


if __name__ == "__main__":
    main()
