"""What each estimator predicts on public sweeps that nobody here made. A minute or two on two cores.

    python -m benchmarks.public_sweeps --data public_sweeps.csv
    python -m benchmarks.public_sweeps --data public_sweeps.csv --dry --sources tinker

A cell is a set of runs that differ in nothing but the learning rate and the seed. Each task holds cells out, fits the
others and predicts the best learning rate of those held out. The table of runs is not part of this repository; its
columns are source, cell, parameters, tokens, batch_tokens, rank, model, learning_rate, seed, loss and status.
"""

import argparse
import math
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import arguments, write_result
from benchmarks.sweep_methods import METHODS, Guess
from benchmarks.sweep_tasks import AXES, Cell, Reference, Task, read_cells, references, tasks_of, thinned
from widthwise.sweeps import SweepRun, fit_sweep

STEP_LAW = ("steplaw_dense", "steplaw_moe")
#: What was asked of the joint law: octaves (median), regret in percent (mean), coverage, width in octaves (median).
AIM: dict[str, Any] = {"octaves": 0.25, "regret": 0.10, "cover": (0.85, 0.98), "width": 1.0}
MEANING = (
    "* **octaves**: the distance of the predicted learning rate from the held-out cell's optimum under the curve shape "
    "that all cells of its source share (in brackets its mean with the sign).",
    "* **regret**: what that rate loses to the best one, in percent of the loss (held-out losses, PCHIP).",
    "* **cover**: the share of 95 % intervals that hold the optimum under that shape / a cubic through the points "
    "near the lowest loss, which is noisier itself.",
    "* **width**: of the median interval, in octaves.",
    "",
    "Cells without a lowest loss inside their rates are not scored.",
)
TASKS = (
    "* **largest tokens**: of every size; trained on all cells with fewer tokens.",
    "* **largest batch**: of every size and tokens; trained on all cells with a quarter of it or less.",
    "* **largest N**; **two largest of N and D** at once; trained on the cells that are below both.",
    "* **three rates**: as largest tokens, but of each trained cell only three rates a factor of 2 apart.",
    "* **five-fold**: over cells. A method that takes one series has it over the batch or the rank.",
    "* **calibration's estimator** takes the axis for the width; it says nothing of cells without a series.",
)
#: Measured by this script at a commit of before; kept, since the code that it is of is gone.
BEFORE = (
    "The state before, of commit e583584, when nothing in calibration's estimator knew that cells scatter about a law:",
    "",
    "| task | cells | octaves median / 90 % | regret % median / mean / 95 % | cover | width |",
    "|---|---|---|---|---|---|",
    "| steplaw_dense, largest tokens | 33 | 0.23 / 0.57 | 0.059 / 0.076 / 0.21 | 29% / 71% of 7 | 0.51 |",
    "| steplaw_dense, largest batch, ×4 | 12 | 0.28 / 2.08 | 0.481 / 0.717 / 1.89 | 17% / 25% | 0.47 |",
    "| steplaw_dense, largest N | 18 | 0.16 / 0.51 | 0.020 / 0.089 / 0.40 | 76% / 59% of 17 | 0.55 |",
    "| steplaw_dense, five-fold | 113 | 0.17 / 0.51 | 0.032 / 0.091 / 0.28 | 42% / 35% | 0.27 |",
    "| steplaw_moe, largest tokens | 20 | 0.19 / 0.37 | 0.020 / 0.036 / 0.12 | 67% / 44% of 9 | 0.73 |",
    "| steplaw_moe, largest batch, ×4 | 13 | 0.39 / 0.80 | 0.126 / 0.260 / 0.76 | 77% / 77% | 1.29 |",
    "| steplaw_moe, largest N | 15 | 0.17 / 0.76 | 0.049 / 0.230 / 0.93 | 79% / 79% of 14 | 0.47 |",
    "| steplaw_moe, five-fold | 69 | 0.15 / 0.47 | 0.021 / 0.071 / 0.28 | 61% / 65% of 57 | 0.33 |",
    "| all | 409 | 0.21 / 0.71 | 0.039 / 0.116 / 0.46 | 60% / 57% of 284 | 0.41 |",
)


def main() -> None:
    options = _options()
    sources = {name: cells for name, cells in read_cells(Path(options.data)).items() if name in options.sources}
    scored = [score for source, cells in sources.items() for score in score_source(source, cells, options.methods)]
    timings = [_timing(source, [run for cell in cells.values() for run in cell]) for source, cells in sources.items()]
    if set(STEP_LAW) <= set(sources):
        timings.append(_timing("both Step Law sources at once", _together(sources)))
    tasks = list(dict.fromkeys((score["source"], score["task"]) for score in scored))
    rows = [_row(source, task, method, scored) for source, task in tasks for method in options.methods]
    rows += [_row("all", "all", method, scored) for method in options.methods]
    rows = [row for row in rows if row["cells"]]
    write_result(
        "public_sweeps", "Public sweeps", _page(rows, timings), {"aim": AIM, "rows": rows, "timings": timings}, options
    )


def score_source(source: str, cells: dict[str, Cell], methods: Sequence[str]) -> list[dict[str, Any]]:
    """Return one score for each method and held-out cell of every task."""
    known, found = references(cells), []
    for task in tasks_of(source, cells):
        random = np.random.default_rng(0)
        trained = {name: cells[name] for name in task.trained}
        if task.three_rates:
            trained = {name: thinned(cell, random) for name, cell in trained.items()}
        for method in methods:
            guesses = METHODS[method](task, trained, cells)
            found += [
                _score(task, name, method, guess, known[name]) for name, guess in guesses.items() if name in known
            ]
    return found


def _score(task: Task, name: str, method: str, guess: Guess, reference: Reference) -> dict[str, Any]:
    x, interval = guess.x, guess.interval
    return {
        "source": task.source,
        "task": task.name,
        "cell": name,
        "method": method,
        "error": x - reference.shape,
        "regret": reference.regret(x),
        "cover": None if interval is None else interval[0] <= reference.shape <= interval[1],
        "cover_cubic": None if interval is None else interval[0] <= reference.cubic <= interval[1],
        "width": None if interval is None else interval[1] - interval[0],
    }


def _together(sources: Mapping[str, Mapping[str, Cell]]) -> list[SweepRun]:
    """Return the runs of both Step Law sources as one sweep with a group."""
    return [
        replace(run, axes={**run.axes, "source": source})
        for source in STEP_LAW
        for cell in sources[source].values()
        for run in cell
    ]


def _timing(source: str, runs: Sequence[SweepRun]) -> dict[str, Any]:
    """Measure one fit of all cells."""
    start = time.process_time()
    fit = fit_sweep(runs)
    return {"source": source, "cells": len(fit.cells), "runs": len(runs), "seconds": time.process_time() - start}


def _row(source: str, task: str, method: str, scored: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Summarize the scores of one task and method; "all" stands for every task."""
    own = [
        score
        for score in scored
        if score["method"] == method and (source == "all" or (score["source"], score["task"]) == (source, task))
    ]
    by_key = defaultdict(list)
    for score in own:
        for key in ("error", "regret", "cover", "cover_cubic", "width"):
            if score[key] is not None:
                by_key[key].append(float(score[key]))
    octaves, regret = np.abs(by_key["error"]), by_key["regret"]
    return {
        "source": source,
        "task": task,
        "method": method,
        "cells": len(own),
        "octaves_median": _rounded(np.median(octaves)) if own else None,
        "octaves_90": _rounded(np.quantile(octaves, 0.9)) if own else None,
        "bias": _rounded(np.mean(by_key["error"])) if own else None,
        "regret_median": _rounded(np.median(regret)) if own else None,
        "regret_mean": _rounded(np.mean(regret)) if own else None,
        "regret_95": _rounded(np.quantile(regret, 0.95)) if own else None,
        "intervals": len(by_key["cover"]),
        "cover": _rounded(np.mean(by_key["cover"])) if by_key["cover"] else None,
        "cover_cubic": _rounded(np.mean(by_key["cover_cubic"])) if by_key["cover"] else None,
        "width": _rounded(np.median(by_key["width"])) if by_key["width"] else None,
    }


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def _page(rows: Sequence[dict[str, Any]], timings: Sequence[dict[str, Any]]) -> list[str]:
    low, high = AIM["cover"]
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "all")
    return [
        *MEANING,
        "",
        "| source | task | method | cells | octaves median / 90 % | regret % median / mean / 95 % | cover | width |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row) for row in rows),
        "",
        f"Asked of the joint law, on the tasks together: at most {AIM['octaves']} octave (median), at most "
        f"{AIM['regret']} % regret (mean), cover from {low:.0%} to {high:.0%} at a width of at most 1 octave.",
        "",
        *BEFORE,
        "",
        *TASKS,
        "",
        f"One fit of all cells, in seconds of processor time (BLAS threads: {threads}): "
        + "; ".join(f"{one['source']}, {one['cells']} cells, {one['seconds']:.1f}" for one in timings)
        + ".",
    ]


def _line(row: dict[str, Any]) -> str:
    cover = "–" if row["cover"] is None else f"{row['cover']:.0%} / {row['cover_cubic']:.0%}"
    if row["cover"] is not None and row["intervals"] < row["cells"]:
        cover += f" of {row['intervals']}"
    width = "–" if row["width"] is None or math.isnan(row["width"]) else f"{row['width']:.2f}"
    return (
        f"| {row['source']} | {row['task']} | {row['method']} | {row['cells']} "
        f"| {row['octaves_median']:.2f} / {row['octaves_90']:.2f} ({row['bias']:+.2f}) "
        f"| {row['regret_median']:.3f} / {row['regret_mean']:.3f} / {row['regret_95']:.2f} | {cover} | {width} |"
    )


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--data", required=True, help="the table of runs, CSV")
    parser.add_argument("--sources", nargs="+", choices=list(AXES), default=list(AXES))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
