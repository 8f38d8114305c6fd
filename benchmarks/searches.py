"""What does each search of a calibration cost, and how well does it predict, where the truth is known?

    python -m benchmarks.searches

Whole calibrations, round after round, on the synthetic losses of `known_truth`: every run has its own noise, every seed
of a width a shift at all learning rates, and every model an optimum that scatters about the law. The grid, the
telescope and the information search ask for runs of the same world. Judged is the prediction of the log2 optimum at
four times the largest width: its error, whether the 95 % interval holds the optimum of a model there, and the
operations that it took, relative to the grid's. `at the telescope's cost` has for its budget what the telescope took in
that world, and no precision.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.known_truth import BASE, CENTRE, COMMON, FAR, RISE, SCATTERS, SPACING, Scenario
from benchmarks.record import arguments, write_result
from widthwise.calibration.cost import run_flops
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import fit_calibration
from widthwise.search.information import information_round
from widthwise.search.rounds import next_round
from widthwise.vocabulary import TrialStatus

SCENARIOS = (
    Scenario("no drift"),
    Scenario("drift +0.1", drift=0.1),
    Scenario("shift ½", shift=0.5),
    Scenario("three times the noise", noise=0.03),
    Scenario("wandering seeds", wander=0.1),
    Scenario("close to divergence", edge=1.1),
)
PRECISIONS = (1.0, 0.75, 0.6)  # octaves; the telescope's half-widths are near the last
GRID, TELESCOPE, EQUAL = "grid", "telescope", "information, at the telescope's cost"
POINTS = 6  # of the grid on each side of its middle


class World:
    """The losses of every run of one calibration: the same whoever asks for them, and in whatever order."""

    def __init__(self, scenario: Scenario, scatter: float, number: Sequence[int]) -> None:
        rng = np.random.default_rng(number)
        self.scenario, self.scatter, self.number = scenario, scatter, number
        self.offset = float(rng.uniform(-0.5, 0.5) * SPACING)  # of the true optima from the lattice of the grid
        widths = [BASE * 2**index for index in range(scenario.widths)]
        self.optima = {width: self.law(width) + scatter * float(rng.standard_normal()) for width in widths}

    def law(self, width: float) -> float:
        """log2 of the best learning rate, on average over models."""
        return self.scenario.optimum(width) + self.offset

    def loss(self, width: int, learning_rate: float, seed: int) -> float | None:
        """The loss of a run; None if it diverges."""
        octaves = math.log2(learning_rate) - self.optima[width]
        if octaves > self.scenario.edge:
            return None
        shift, wander = np.random.default_rng([*self.number, width, seed]).standard_normal(2)
        own = np.random.default_rng([*self.number, width, seed, round(1024 * (octaves + 64))]).standard_normal()
        octaves -= self.scenario.wander * wander
        return float(2 + RISE * (math.expm1(octaves) - octaves) + self.scenario.noise * (own + COMMON * shift))


def search(world: World, **asked: Any) -> dict[str, Any]:
    """Run a calibration of a world to its end, and judge its prediction."""
    scenario = world.scenario
    spec = CalibrationSpec.from_dict(
        {
            "parameterization": "standard",
            "optimizer": "adam",
            "widths": sorted(world.optima),
            "seeds": scenario.seeds,
            "learning_rates": [2.0 ** (CENTRE + SPACING * k) for k in range(-POINTS, POINTS + 1)],
            "mesh": SPACING,
            **asked,
        }
    )
    trials: list[Trial] = []
    rounds = 0
    while shards := next_round(spec, trials):
        rounds += 1
        for width, rate, seed, *_ in sorted(cell for shard in shards for cell in shard.trials()):
            loss = world.loss(width, rate, seed)
            status = TrialStatus.DIVERGED if loss is None else TrialStatus.COMPLETED
            trials.append(Trial(width, rate, seed, status, loss))
    far = FAR * max(spec.widths)
    found, law = fit_calibration(spec, trials).predict(far), world.law(far)
    low, high = found.interval or (math.nan, math.nan)
    return {
        "flops": sum(run_flops(spec, trial.width) for trial in trials),
        "error": found.log2_learning_rate - law,
        "covered": held(low - law, high - law, world.scatter),
        "half_width": (high - low) / 2,
        "rounds": rounds,
        "trials": len(trials),
        "end": information_round(spec, trials).end if spec.is_information else None,
    }


def held(low: float, high: float, scatter: float) -> float:
    """The probability that a model's optimum, which scatters about the law, is between two distances from the law."""
    if not scatter:
        return float(low <= 0 <= high)
    below, above = (math.erf(end / scatter / math.sqrt(2)) for end in (low, high))
    return (above - below) / 2


def compare(scenario: Scenario, draws: int, seed: int) -> dict[str, dict[str, Any]]:
    """Means over some worlds of what each search finds, by search."""
    found: dict[str, list[dict[str, Any]]] = {}
    for draw in range(draws):
        world = World(scenario, SCATTERS[draw % len(SCATTERS)], [seed, draw])
        one = {GRID: search(world, search="grid"), TELESCOPE: search(world, search="telescope")}
        one[EQUAL] = search(world, search="information", budget=one[TELESCOPE]["flops"])
        for precision in PRECISIONS:
            one[f"information, ± {precision:g}"] = search(world, search="information", precision=precision)
        for way, row in one.items():
            found.setdefault(way, []).append({**row, "cost": row["flops"] / one[GRID]["flops"]})
    return {way: mean_of(rows) for way, rows in found.items()}


def mean_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means over calibrations, the root mean square error, and how often each end came."""
    ends = Counter(row["end"].value for row in rows if row["end"] is not None)
    return {
        **{name: float(np.mean([row[name] for row in rows])) for name in ("cost", "covered", "half_width", "rounds")},
        "error": float(np.sqrt(np.mean([row["error"] ** 2 for row in rows]))),
        "trials": float(np.mean([row["trials"] for row in rows])),
        "ends": dict(ends),
        "draws": len(rows),
    }


def pooled_of(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the same over all scenarios, which have equally many draws."""
    pooled = {}
    for way in next(iter(results.values())):
        rows = [found[way] for found in results.values()]
        ends = Counter[str]()
        for row in rows:
            ends.update(row["ends"])
        names = ("cost", "covered", "half_width", "rounds", "trials")
        pooled[way] = {
            **{name: float(np.mean([row[name] for row in rows])) for name in names},
            "error": float(np.sqrt(np.mean([row["error"] ** 2 for row in rows]))),
            "ends": dict(ends),
            "draws": sum(row["draws"] for row in rows),
        }
    return pooled


def table_of(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a row for each search."""
    lines = [
        "| search | cost | trials | rounds | error at ×4 | half-width | covered | ended by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for way, row in found.items():
        ends = ", ".join(f"{end.replace('_', ' ')} {count}" for end, count in sorted(row["ends"].items())) or "–"
        lines.append(
            f"| {way} | {row['cost']:.3f} | {row['trials']:.0f} | {row['rounds']:.1f} | {row['error']:.3f} | "
            f"{row['half_width']:.2f} | {row['covered']:.1%} | {ends} |"
        )
    return lines


def page(results: Mapping[str, Mapping[str, Mapping[str, Any]]], pooled: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The page's lines."""
    draws = pooled[GRID]["draws"]
    telescope, equal = pooled[TELESCOPE], pooled[EQUAL]
    lines = [
        f"{draws} synthetic calibrations, {draws // len(results)} of each of {len(results)} scenarios: four widths, "
        f"{BASE} to {BASE * 8}, three seeds, a grid of {2 * POINTS + 1} learning rates half an octave apart; noise, "
        "scatter and laws as in [known truth](known_truth.md). Cost is in floating-point operations, relative to the "
        f"grid's. The error is the root mean square one, in octaves, of the predicted log2 optimum at ×{FAR}, against "
        "the law; covered is how often the 95 % interval holds the optimum of one model there; half-width is that of "
        "this interval. `information, ± p` stops at the precision p.",
        "",
        *table_of(pooled),
        "",
        f"At the telescope's cost the information search takes {equal['cost'] / telescope['cost']:.2f} of its "
        f"operations; its error is {equal['error'] / telescope['error']:.2f} of the telescope's, its half-width "
        f"{equal['half_width'] / telescope['half_width']:.2f}.",
    ]
    for name, found in results.items():
        lines += ["", f"## {name[0].upper()}{name[1:]}", "", *table_of(found)]
    return lines


def main() -> None:
    """Measure, and write docs/results/searches.*."""
    parser = arguments(__doc__)
    parser.add_argument("--draws", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.perf_counter()
    results = {}
    for index, scenario in enumerate(SCENARIOS):
        results[scenario.name] = compare(scenario, options.draws, options.seed + 1000 * index)
        print(scenario.name, *table_of(results[scenario.name])[2:], sep="\n", flush=True)
    pooled = pooled_of(results)
    seconds = time.perf_counter() - began
    print(f"{seconds:.0f} s")
    data = {"seconds": seconds, "pooled": pooled, "scenarios": results}
    write_result("searches", "Searches on known truth", page(results, pooled), data, options)


if __name__ == "__main__":
    main()
