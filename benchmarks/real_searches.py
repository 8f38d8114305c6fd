"""What does each search of a calibration cost, and how well does it predict, on real training runs?

    python -m benchmarks.real_searches                    # ten minutes on one core; seconds with runs on file
    python -m benchmarks.real_searches --draws 4 --dry    # fewer calibrations of the same runs

Whole calibrations, round after round, as in `searches`, whose losses are those of the engine's own runs. Each question
is a parameterization and an optimizer. Its runs are trained once for every learning rate, width and seed that some
search asks for, and kept on file; a draw is a calibration with three of the seeds. The truth is an independent sweep at
four times the largest width, with other seeds.
"""

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bank import Bank, specification
from benchmarks.record import arguments, write_result
from benchmarks.replay import Cell, Draw, Pool, Replay, draws_of, jackknife, optimum_of, replay
from benchmarks.searches import EQUAL, GRID, PRECISIONS, TELESCOPE, mean_of, pooled_of, table_of
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import fit_calibration
from widthwise.search.information import information_round

WIDTHS, TARGET = [16, 32, 64, 128], 512
STEPS = 100  # chosen: long enough for an optimum inside the default grid
POOL_SEEDS, SEEDS = range(6), 3  # of the pool, and of one calibration
TRUTH_SEEDS = range(100, 104)  # chosen: none of the pool's
DRAWS = 20  # all threes of six seeds
QUESTIONS: dict[str, dict[str, Any]] = {
    "muP, Adam": {"parameterization": "mup", "optimizer": "adam"},
    "standard parameterization, Adam": {"parameterization": "standard", "optimizer": "adam"},
    "standard parameterization, Adam, one rate for all tensors": {
        "parameterization": "standard",
        "optimizer": "adam",
        "learning_rate_rule": "global",
    },
    "NTK parameterization, SGD": {"parameterization": "ntk", "optimizer": "sgd"},
}


def trained(bank: Bank, spec: Mapping[str, Any], cells: Sequence[Cell]) -> Iterator[Trial]:
    """Yield real runs of these cells, from the bank where they are on file."""
    by_rates: dict[tuple[int, int], list[float]] = {}
    for width, rate, seed in cells:
        by_rates.setdefault((width, seed), []).append(rate)
    for (width, seed), rates in by_rates.items():
        yield from map(Trial.from_dict, bank.run(spec, width, rates, [seed]))


def truth_of(bank: Bank, spec: Mapping[str, Any], centre: float) -> dict[str, float]:
    """Return the log2 optimum at the target by a separate sweep, and its standard error."""
    surface, _ = bank.sweep_around(spec, TARGET, centre, TRUTH_SEEDS)
    loss_LxS = np.where(np.isnan(surface.losses), math.inf, surface.losses)
    x_L = np.log2(surface.learning_rates)
    return {"log2_optimum": optimum_of(x_L, loss_LxS.mean(axis=1)), "standard_error": jackknife(x_L, loss_LxS)}


def judged(one: Replay, truth: float, grid_flops: float) -> dict[str, Any]:
    """Return what a replayed search found, and how far from the truth it predicts."""
    found = fit_calibration(one.spec, one.trials).predict(TARGET)
    low, high = found.interval or (math.nan, math.nan)
    return {
        "cost": one.flops / grid_flops,
        "error": found.log2_learning_rate - truth,
        "covered": float(low <= truth <= high),
        "half_width": (high - low) / 2,
        "rounds": one.rounds,
        "trials": len(one.trials),
        "end": information_round(one.spec, one.trials).end if one.spec.is_information else None,
    }


def compare(bank: Bank, question: Mapping[str, Any], draws: Sequence[Draw]) -> dict[str, Any]:
    """Return what each search finds on one question, by draw, and the truth that it is held to."""
    spec = specification(**question, widths=WIDTHS, seeds=SEEDS, steps=STEPS)
    pool = Pool(lambda cells: trained(bank, spec, cells))

    def run(asked: Sequence[Mapping[str, Any]]) -> list[Replay]:
        each = [CalibrationSpec.from_dict({**spec, **one}) for one in asked]
        return replay(pool, zip(each, draws, strict=True))

    found = {name: run([{"search": name}] * len(draws)) for name in (GRID, TELESCOPE)}
    information = {"search": "information", "target_width": TARGET}
    found[EQUAL] = run([{**information, "budget": one.flops} for one in found[TELESCOPE]])
    for precision in PRECISIONS:
        found[f"information, ± {precision:g}"] = run([{**information, "precision": precision}] * len(draws))
    grids = [fit_calibration(one.spec, one.trials).predict(TARGET).log2_learning_rate for one in found[GRID]]
    truth = truth_of(bank, spec, float(np.median(grids)))
    rows = {
        way: [judged(one, truth["log2_optimum"], whole.flops) for one, whole in zip(ones, found[GRID], strict=True)]
        for way, ones in found.items()
    }
    return {"truth": truth, "runs_on_file": len(pool.known), "rows": rows}


def data_of(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what was found on each question, JSON-ready: null where a search ended without an interval."""

    def finite(row: Mapping[str, Any]) -> dict[str, Any]:
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}

    rows = {
        name: {way: [finite(row) for row in ones] for way, ones in found["rows"].items()}
        for name, found in results.items()
    }
    return {name: {**found, "rows": rows[name]} for name, found in results.items()}


def page(results: Mapping[str, Mapping[str, Any]], commits: str) -> list[str]:
    """Return the page's lines."""
    means = {name: {way: mean_of(rows) for way, rows in found["rows"].items()} for name, found in results.items()}
    pooled = pooled_of(means)
    draws = pooled[GRID]["draws"]
    telescope, equal = pooled[TELESCOPE], pooled[EQUAL]
    runs = sum(found["runs_on_file"] for found in results.values())
    lines = [
        f"{draws} calibrations, {draws // len(results)} of each of {len(results)} questions, of the engine's own runs: "
        f"the MLP language model, widths {WIDTHS[0]} to {WIDTHS[-1]}, {STEPS} steps, the default grid half an octave "
        f"apart. The {runs:,} runs were trained once; each calibration has another {SEEDS} of {len(POOL_SEEDS)} "
        "seeds, so those of one question are not independent. Cost is in floating-point operations, each run counted "
        "to its last step, relative to the grid's. The error is the root mean square one, in octaves, of the predicted "
        f"log2 optimum at width {TARGET}, against a sweep there with {len(TRUTH_SEEDS)} other seeds; covered is how "
        "often the 95 % interval holds that sweep's optimum; half-width is that of this interval. `information, ± p` "
        "stops at the precision p; `at the telescope's cost` has for its budget what the telescope took.",
        "",
        *table_of(pooled),
        "",
        f"At the telescope's cost the information search takes {equal['cost'] / telescope['cost']:.2f} of its "
        f"operations; its error is {equal['error'] / telescope['error']:.2f} of the telescope's, its half-width "
        f"{equal['half_width'] / telescope['half_width']:.2f}.",
    ]
    for name, found in results.items():
        truth = found["truth"]
        lines += [
            "",
            f"## {name}",
            "",
            f"The optimum at width {TARGET} is 2^{truth['log2_optimum']:.2f} ± {truth['standard_error']:.2f} octaves.",
            "",
            *table_of(means[name]),
        ]
    return [*lines, "", f"Runs trained at commit {commits}."]


def main() -> None:
    """Measure, and write docs/results/real_searches.*."""
    parser = arguments(__doc__)
    parser.add_argument("--draws", type=int, default=DRAWS, help="calibrations of each question")
    parser.add_argument("--bank", default="build/searches", help="folder of the runs made so far")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    bank, began = Bank(Path(options.bank)), time.process_time()
    draws = draws_of(POOL_SEEDS, SEEDS, options.draws)
    results = {}
    for name, question in QUESTIONS.items():
        results[name] = compare(bank, question, draws)
        means = {way: mean_of(rows) for way, rows in results[name]["rows"].items()}
        print(name, results[name]["truth"], *table_of(means)[2:], sep="\n", flush=True)
        print(f"{time.process_time() - began:.0f} s of the processor so far", flush=True)
    specs = [specification(**one, widths=WIDTHS, seeds=SEEDS, steps=STEPS) for one in QUESTIONS.values()]
    lines = page(results, bank.commits(specs))
    data = {"seconds": time.process_time() - began, "questions": data_of(results)}
    write_result("real_searches", "Searches on real runs", lines, data, options)


if __name__ == "__main__":
    main()
