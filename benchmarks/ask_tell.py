"""Ask and tell against the full grid and a telescope: error, cover and cost. Two minutes on two cores.

    python -m benchmarks.ask_tell --data public_sweeps.csv
    python -m benchmarks.ask_tell --dry --sweeps 4

The sweeps are simulated, with a law that is drawn, and replayed: public runs that others made, asked for one by one.
All ways end in the same fit (`widthwise.sweeps.fit_sweep`), so that they differ in nothing but the runs. The table of
public runs is not part of this repository; benchmarks/public_sweeps.py has its columns.
"""

import argparse
import math
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ask_tell_cases import SCENARIOS, Case, asked, cost, grid, replayed, simulated, telescope
from benchmarks.record import arguments, write_result
from benchmarks.sweep_tasks import read_cells
from widthwise.sweeps import fit_sweep

PRECISION = 1.5  # octaves, asked of the last way
WAYS = ("full grid", "telescope", "ask/tell", f"ask/tell to ±{PRECISION}")
SOURCES, REPLAYED = ("steplaw_dense", "steplaw_moe"), 4  # sources with three axes, and cases of each of their tasks
MEANING = (
    "* **octaves**: the distance of the predicted learning rate from the optimum at the target, median and root mean "
    "square.",
    "* **cover**: the share of 95 % intervals that hold that optimum; **width**: of the median interval, in octaves.",
    "* **cost**: of all runs, relative to the full grid's, at width²·tokens or parameters·tokens a run.",
    "",
    "* **full grid**: every learning rate of every cell.",
    "* **telescope**: rates a factor of 2 apart; all of them in the cheapest cell, then three around the best of the "
    "cell before it, and more where the lowest loss is at an end.",
    "* **ask/tell**: `Sweep.ask` until nothing is left to learn; it knows neither the law nor where the optima are; "
    "or until half of the interval is no wider than asked.",
)


def main() -> None:
    options = _options()
    jobs: list[tuple[str, int]] = [(scenario.name, seed) for scenario in SCENARIOS for seed in range(options.sweeps)]
    if options.data:
        jobs += [(source, index) for source in SOURCES for index in range(2 * REPLAYED)]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_load, initargs=(options.data,)) as pool:
        scores = [score for found in pool.map(_scores, jobs) for score in found]
    names = list(dict.fromkeys(score["case"] for score in scores))
    rows = [_row(name, [s for s in scores if s["case"] == name], way) for name in names for way in WAYS]
    simulations = [s for s in scores if s["case"] in {scenario.name for scenario in SCENARIOS}]
    rows += [_row("all simulated", simulations, way) for way in WAYS]
    if options.data:
        rows += [_row("all public", [s for s in scores if s not in simulations], way) for way in WAYS]
    write_result("ask_tell", "Ask and tell", _page(rows), {"rows": rows, "scores": scores}, options)


_CASES: dict[str, list[Case]] = {}


def _load(data: str | None) -> None:
    """Read the public sweeps once in every process."""
    if data:
        cells = read_cells(Path(data))
        _CASES.update({source: list(replayed(source, cells[source], REPLAYED)) for source in SOURCES})


def _scores(job: tuple[str, int]) -> list[dict[str, Any]]:
    """Score every way on one case."""
    name, number = job
    scenario = next((one for one in SCENARIOS if one.name == name), None)
    if scenario is None:
        return _scored(_CASES[name][number]) if number < len(_CASES[name]) else []
    return _scored(simulated(scenario, number))


def _scored(case: Case) -> list[dict[str, Any]]:
    whole = grid(case)
    found = []
    for way, runs in zip(WAYS, (whole, telescope(case), asked(case), asked(case, PRECISION)), strict=True):
        prediction = fit_sweep(runs).predict(**case.target)
        low, high = np.log2(prediction.interval)
        found.append(
            {
                "case": case.name,
                "way": way,
                "error": round(math.log2(prediction.learning_rate) - case.truth, 4),
                "covered": bool(low <= case.truth <= high),
                "width": round(float(high - low), 4),
                "runs": len(runs),
                "cost": round(cost(runs) / cost(whole), 4),
            }
        )
    return found


def _row(name: str, scores: Sequence[dict[str, Any]], way: str) -> dict[str, Any]:
    own = [score for score in scores if score["way"] == way]
    error = np.array([score["error"] for score in own])
    return {
        "case": name,
        "way": way,
        "sweeps": len(own),
        "octaves_median": float(np.median(np.abs(error))),
        "octaves_rms": float(np.sqrt(np.mean(error**2))),
        "cover": float(np.mean([score["covered"] for score in own])),
        "width": float(np.median([score["width"] for score in own])),
        "runs": float(np.mean([score["runs"] for score in own])),
        "cost": float(np.mean([score["cost"] for score in own])),
    }


def _page(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [
        *MEANING,
        "",
        "| sweeps | how many | way | octaves median / rms | cover | width | runs | cost |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['case']} | {row['sweeps']} | {row['way']} "
            f"| {row['octaves_median']:.2f} / {row['octaves_rms']:.2f} "
            f"| {row['cover']:.0%} | {row['width']:.2f} | {row['runs']:.1f} | {row['cost']:.0%} |"
            for row in rows
        ),
        "",
        "Simulated: learning rates a factor of √2 apart over nine octaves, noise, curves and scatter (0.15 octave) as "
        "in public sweeps of language models, divergence 0.4 nats above the lowest loss, a law that is drawn for each "
        "sweep. Public: the nine cells nearest to one that is larger than all of them, which is the target; its "
        "optimum is that of its own runs.",
    ]


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--data", help="the table of public runs, CSV; without it the sweeps are simulated alone")
    parser.add_argument("--sweeps", type=int, default=6, help="simulated in each scenario")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes: one on every core
    main()
