"""Is a calibration right where the truth is known? Synthetic sweeps, through the same fit that trials go through.

    python -m benchmarks.known_truth

The loss of a run, x octaves above its width's optimum, is 2 + 0.12·(eˣ − 1 − x) nats plus noise: steep towards
divergence, flat away from it, 0.06 nats an octave from the optimum. Noise: each run's own part, five times
that for what a seed shifts at all learning rates of a width, and for some scenarios a seed's own optimum that wanders.
Runs diverge above an edge, or end early where they are far from the best of their seed. A telescope runs a few learning
rates around a prediction at all widths but the smallest, and more where the best is at an end. The optimum follows a
known law over widths; the grid lies at a random offset.

The optimum of every model scatters about the law: not at all in a third of the calibrations of every scenario, and by
0.1 and 0.2 octave, as on public sweeps, in the others.

Reported for each scenario: how often the 95 % interval holds the true exponent, and the true log2 optimum of a model at
four times the largest width, with the bias of both; and how often the law's own interval holds the law there.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.record import arguments, write_result
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.errors import EstimateError
from widthwise.estimate import CalibrationResult, fit_calibration

BASE = 64  # the smallest width
CENTRE = -8.0  # log2 optimum at the base width
RISE = 0.12  # nats; the curvature at the optimum is half of it
COMMON = 5.0  # what a seed shifts at all learning rates of a width, over the noise of a run
FAR = 4  # times the largest width: where predictions are judged
SPACING = 0.5  # octaves between learning rates
SCATTERS = (0.0, 0.1, 0.2)  # octaves, standard deviation of a model's optimum about the law, in turn


COVERED = {
    "exponent": "exponent_covered",
    f"optimum of a model at ×{FAR}": "prediction_covered",
    f"the law at ×{FAR}": "law_covered",
    "exponent, plain power law": "plain_covered",
}
SIZES = {
    "interval of the exponent": "exponent_interval",
    f"interval of the optimum at ×{FAR}": "prediction_interval",
    f"interval of the law at ×{FAR}": "law_interval",
    "error of the exponent": "exponent_error",
    f"error of the prediction at ×{FAR}": "prediction_error",
}


@dataclass(frozen=True)
class Scenario:
    """What is true, how noisy it is, and what is run."""

    name: str
    drift: float = 0.0  #: LR* ∝ n^(−drift)
    shift: float = 0.0  #: κ: octaves between the optimum at the base width and at infinite width
    rule: str = "per_layer"
    widths: int = 4  #: doublings from BASE
    seeds: int = 3
    noise: float = 0.01  #: nats, of one run
    wander: float = 0.0  #: octaves, standard deviation of a seed's own optimum at a width
    edge: float = 2.6  #: octaves above the optimum from where runs diverge
    stop: float | None = None  #: nats above the best of their seed from where runs are ended early
    points: tuple[int, ...] = field(default=())  #: learning rates at each width, the last for all further; () = all

    def optimum(self, width: float) -> float:
        """log2 of the best base learning rate."""
        return CENTRE - self.drift * math.log2(width / BASE) + self.shift * (1 - BASE / width)


def _each() -> Iterator[Scenario]:
    """One change at a time from a common one, and the combinations that are hardest."""
    laws: dict[str, dict[str, Any]] = {
        "no drift": {},
        "drift +0.1": {"drift": 0.1},
        "drift −0.1": {"drift": -0.1},
        "drift 1": {"drift": 1.0},
        "shift ¼": {"shift": 0.25},
        "shift ½": {"shift": 0.5},
        "shift −1": {"shift": -1.0},
    }
    for name, law in laws.items():
        yield Scenario(name, **law)
        yield Scenario(f"{name}, 3 widths, 2 seeds", **law, widths=3, seeds=2)
    for name in ("no drift", "drift +0.1", "shift ½"):
        law = laws[name]
        yield Scenario(f"{name}, 5 widths", **law, widths=5)
        yield Scenario(f"{name}, a third of the noise", **law, noise=0.003)
        yield Scenario(f"{name}, three times the noise", **law, noise=0.03)
        yield Scenario(f"{name}, wandering seeds", **law, wander=0.1)
        yield Scenario(f"{name}, close to divergence", **law, edge=1.1)
        yield Scenario(f"{name}, stopped early", **law, stop=0.1)
        yield Scenario(f"{name}, telescope 5", **law, points=(0, 5), stop=0.1)
        yield Scenario(f"{name}, telescope 5 and 3", **law, widths=5, points=(0, 5, 5, 3), stop=0.1)
    yield Scenario("global rule, drift 1", drift=1.0, rule="global")
    yield Scenario("global rule, drift 0.85", drift=0.85, rule="global")


SCENARIOS = tuple(_each())


def trials(scenario: Scenario, scatter: float, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One calibration's trials."""
    records = []
    lattice_L = CENTRE + np.arange(-6, 6.01, SPACING) + rng.uniform(-0.5, 0.5) * SPACING
    for index in range(scenario.widths):
        width = BASE * 2**index
        optimum = scenario.optimum(width) + scatter * rng.standard_normal()
        x_L = lattice_L + SPACING * round((optimum - CENTRE) / SPACING)
        u_LxS = x_L[:, None] - optimum - scenario.wander * rng.standard_normal(scenario.seeds)
        noise_LxS = rng.standard_normal(u_LxS.shape) + COMMON * rng.standard_normal(scenario.seeds)
        loss_LxS = 2 + RISE * (np.exp(u_LxS) - 1 - u_LxS) + scenario.noise * noise_LxS
        diverged_L = x_L - optimum > scenario.edge
        points = scenario.points[min(index, len(scenario.points) - 1)] if scenario.points else 0
        low, high = _tried(points, x_L - optimum, np.where(diverged_L, np.inf, loss_LxS.mean(axis=1)), rng)
        best_S = loss_LxS[low:high][~diverged_L[low:high]].min(axis=0)
        stopped_LxS = loss_LxS > best_S + (math.inf if scenario.stop is None else scenario.stop)
        for i in range(low, high):
            for j in range(scenario.seeds):
                status = "diverged" if diverged_L[i] else "stopped" if stopped_LxS[i, j] else "completed"
                records.append(
                    {
                        "width": width,
                        "learning_rate": float(2.0 ** x_L[i]),
                        "seed": j,
                        "status": status,
                        "loss": float(loss_LxS[i, j]) if status == "completed" else None,
                    }
                )
    return records


def _tried(points: int, distance_L: np.ndarray, mean_L: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Half-open range of the lattice that is run: all of it, or a few points around a prediction, extended at its ends.

    The prediction lies within half a spacing of the optimum. Where the best of the few is at an end, more are run.
    """
    if not points:
        return 0, distance_L.size
    centre = int(np.argmin(np.abs(distance_L + rng.uniform(-0.5, 0.5) * SPACING)))
    low, high = centre - points // 2, centre - points // 2 + points
    while True:
        best = low + int(np.argmin(mean_L[low:high]))
        if best == low and low > 0:
            low -= 1
        elif best == high - 1 and high < distance_L.size:
            high += 1
        else:
            return low, high


def judge(scenario: Scenario, draws: int, seed: int) -> dict[str, Any]:
    """Bias and coverage over many draws, of all scatters and of each."""
    spec = {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "form": "table_9",
        "widths": [BASE * 2**k for k in range(scenario.widths)],
        "learning_rate_rule": scenario.rule,
    }
    read = CalibrationSpec.from_dict(spec)
    rows, chosen = [], {"none": 0, "shift": 0, "power": 0}
    for draw in range(draws):
        scatter = SCATTERS[draw % len(SCATTERS)]
        found = trials(scenario, scatter, np.random.default_rng([seed, draw]))
        try:
            result = fit_calibration(read, [Trial.from_dict(trial) for trial in found])
        except EstimateError:
            continue
        row = _judged(scenario, scatter, result)
        if row is not None and result.candidates is not None:
            chosen[result.candidates.chosen.name] += 1
            rows.append({"scatter": scatter, **row})
    apart = {str(scatter): [row for row in rows if row["scatter"] == scatter] for scatter in SCATTERS}
    return {
        **asdict(scenario),
        "draws": len(rows),
        "without_interval": draws - len(rows),
        "chosen": {name: count / len(rows) for name, count in chosen.items()},
        **_means(rows),
        "by_scatter": {scatter: _means(of) for scatter, of in apart.items() if of},
    }


def _judged(scenario: Scenario, scatter: float, result: CalibrationResult) -> dict[str, float] | None:
    """What one calibration says, and how far it is from the truth; None without intervals."""
    drift, plain, far = result.drift, result.power_law, BASE * 2 ** (scenario.widths - 1) * FAR
    if drift is None or plain is None or drift.interval is None or plain.interval is None:
        return None
    predicted, law = result.predict(far), scenario.optimum(far)
    assert predicted.interval is not None
    assert predicted.law_interval is not None
    low, high = predicted.interval
    exact = float(low <= law <= high)
    return {
        "exponent_covered": _within(scenario.drift, drift.interval),
        # The probability that a model lies inside: it scatters about the law.
        "prediction_covered": _normal((high - law) / scatter) - _normal((low - law) / scatter) if scatter else exact,
        "law_covered": _within(law, predicted.law_interval),
        "plain_covered": _within(-scenario.drift, plain.interval),
        "exponent_bias": drift.value - scenario.drift,
        "prediction_bias": predicted.log2_learning_rate - law,
        "exponent_interval": drift.interval[1] - drift.interval[0],
        "prediction_interval": high - low,
        "law_interval": predicted.law_interval[1] - predicted.law_interval[0],
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of every column, and the root mean square errors of exponent and prediction."""
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0] if name != "scatter"}
    errors = {
        f"{what}_error": float(np.sqrt(np.mean([row[f"{what}_bias"] ** 2 for row in rows])))
        for what in ("exponent", "prediction")
    }
    return means | errors


def _normal(z: float) -> float:
    return (1 + math.erf(z / math.sqrt(2))) / 2


def _within(value: float, interval: tuple[float, float]) -> float:
    return float(interval[0] <= value <= interval[1])


def summary(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """The page's table."""
    lines = [
        "| scenario | exponent covered | bias | prediction covered | by scatter | bias | error | interval | "
        "law covered | interval | chosen: none, shift, power |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        shares = ", ".join(f"{share:.0%}" for share in result["chosen"].values())
        apart = ", ".join(f"{found['prediction_covered']:.0%}" for found in result["by_scatter"].values())
        lines.append(
            f"| {result['name']} | {result['exponent_covered']:.1%} | {result['exponent_bias']:+.3f} | "
            f"{result['prediction_covered']:.1%} | {apart} | {result['prediction_bias']:+.3f} | "
            f"{result['prediction_error']:.2f} | {result['prediction_interval']:.2f} | {result['law_covered']:.1%} | "
            f"{result['law_interval']:.2f} | {shares} |"
        )
    return lines


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="scenarios whose name holds this; no page is made")
    options = parser.parse_args()
    began = time.perf_counter()
    results = []
    for index, scenario in enumerate(SCENARIOS):
        if options.only is None or options.only in scenario.name:
            results.append(judge(scenario, options.draws, options.seed + 1000 * index))
            print(summary(results)[-1], flush=True)
    seconds = time.perf_counter() - began
    overall = _overall(results)
    print(f"{seconds:.0f} s; overall {overall}")
    if options.only is None:
        data = {"seconds": seconds, "overall": overall, "scenarios": results}
        write_result("known_truth", "Known truth", _page(results, overall), data, options)


def _overall(results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Coverages over all scenarios, apart by what is true and by scatter, and errors and intervals by scatter."""
    truths = {
        "drift": [r for r in results if r["drift"] != _theory_drift(r)],
        "theory": [r for r in results if r["drift"] == _theory_drift(r) and not r["shift"]],
        "shift": [r for r in results if r["shift"]],
        "all": list(results),
    }
    overall = {
        f"{what} ({truth})": float(np.mean([r[what] for r in of]))
        for what in COVERED.values()
        for truth, of in truths.items()
        if of
    }
    for scatter in map(str, SCATTERS):
        for what in (*COVERED.values(), *SIZES.values()):
            found = [r["by_scatter"][scatter][what] for r in results if scatter in r["by_scatter"]]
            overall[f"{what} (scatter {scatter})"] = float(np.mean(found))
    return overall


def _theory_drift(result: Mapping[str, Any]) -> float:
    return 1.0 if result["rule"] == "global" else 0.0  # standard, Adam, full alignment


def _page(results: Sequence[Mapping[str, Any]], overall: Mapping[str, float]) -> list[str]:
    outside = [r["name"] for r in results if not 0.9 <= r["prediction_covered"] <= 0.99]
    below = [r["name"] for r in results if r["exponent_covered"] < 0.92]
    columns = ("drift", "theory", "shift", *(f"scatter {scatter}" for scatter in SCATTERS), "all")
    return [
        f"{results[0]['draws'] + results[0]['without_interval']} synthetic calibrations of each scenario, through "
        "`widthwise.estimate.fit_calibration`. Unless its name says otherwise a scenario has 4 widths from 64 to 512, "
        f"3 seeds, noise of {Scenario('').noise:g} nats and learning rates half an octave apart; a shift is κ = k/b "
        f"in octaves. In a third of the calibrations each, optima scatter about the law by "
        f"{', '.join(map(str, SCATTERS))} octave. How often the 95 % interval holds the truth, of the exponent, of "
        f"the log2 optimum of a model at {FAR} times the largest width, which scatters too, and of the law there:",
        "",
        "| | a drift off theory's | theory's, no shift | a shift | "
        + " | ".join(f"scatter {scatter}" for scatter in SCATTERS)
        + " | all |",
        "|---|" + "---|" * len(columns),
        *(
            f"| {name} | " + " | ".join(f"{overall[f'{what} ({column})']:.1%}" for column in columns) + " |"
            for name, what in COVERED.items()
        ),
        "",
        "By scatter, the mean width of the intervals and the root mean square error of the values themselves, the "
        "exponents and, in octaves, the predictions, from the law:",
        "",
        "| | " + " | ".join(f"scatter {scatter}" for scatter in SCATTERS) + " |",
        "|---|" + "---|" * len(SCATTERS),
        *(
            f"| {name} | " + " | ".join(f"{overall[f'{what} (scatter {scatter})']:.3f}" for scatter in SCATTERS) + " |"
            for name, what in SIZES.items()
        ),
        "",
        "An interval of the exponent that allows for a finite-width shift keeps theory's value unless the shape of the "
        "data refutes it; so where theory's value is the truth it hardly ever misses. A few widths cannot rule out a "
        "scatter, so intervals are wider than they would need to be without any.",
        "",
        "Exponent covered under 92 %: " + ("; ".join(below) or "nowhere") + ".",
        "",
        f"Optimum at ×{FAR} covered outside 90 to 99 %: " + ("; ".join(outside) or "nowhere") + ".",
        "",
        "By scenario, with the bias of the exponent, the coverage, bias, root mean square error and mean interval of "
        "the prediction, in octaves, and how often each candidate was chosen:",
        "",
        *summary(results),
    ]


if __name__ == "__main__":
    main()
