"""How the best learning rate falls with training tokens: horizons branched from one run with a constant learning rate.

    python -m benchmarks.horizon
    python -m benchmarks.horizon --widths 32 --horizons 50 100 --seeds 1 --dry      # half a minute, to see what it does

The MLP language model under Adam at two widths; minutes on one core. The exponent over tokens is fitted as a
calibration that measures `horizon` fits it, and is compared with the published ones, which disagree. The same
learning rates and seeds are then trained to every horizon by a separate run, with a separate warm-up: what branches
save, and whether they answer alike.
"""

import argparse
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from benchmarks.bank import MLP
from benchmarks.record import arguments, write_result
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate.parts.horizon import PUBLISHED, HorizonResult, fit_horizon
from widthwise.vocabulary import ShardKind
from workers.child import SINGLE_THREADED

# Octaves around the best learning rate of 200 steps at the base width: shorter runs want more, longer ones less
LOG2_RATES = tuple(-7.5 + 0.5 * k for k in range(11))
BRANCHED, APART = "branched from one run", "a run for each horizon"


@dataclass(frozen=True)
class Trained:
    """The trials of every width and horizon in one of the two ways, what they took, and what they say."""

    trials: tuple[Trial, ...]
    runs: int
    seconds: float  #: of the processor, compilation included
    result: HorizonResult

    @property
    def steps(self) -> int:
        """Training steps of all runs; branches share those of their constant phase."""
        return sum(trial.steps or 0 for trial in self.trials)

    @property
    def flops(self) -> float:
        """Operations of all runs."""
        return sum(trial.flops or 0.0 for trial in self.trials)

    @property
    def optima(self) -> dict[tuple[int, int], float]:
        """The log2 optimum of each width and horizon that lies inside its learning rates."""
        return {
            (each.found.width, each.horizon): each.interior.log2_learning_rate
            for each in self.result.optima
            if each.interior is not None
        }


def main() -> None:
    options = _options()
    for name, value in SINGLE_THREADED.items():  # as a worker's child sets them, before JAX is imported
        os.environ.setdefault(name, value)
    spec = _specification(options)
    cells = len(LOG2_RATES) * spec.seeds * len(spec.widths)
    trained = {
        BRANCHED: _timed(spec, branched(spec), cells),
        APART: _timed(spec, apart(spec), cells * len(spec.horizons)),
    }
    own = trained[BRANCHED]
    alone = {width: fit_horizon(spec, [trial for trial in own.trials if trial.width == width]) for width in spec.widths}
    data = {
        "spec": spec.to_dict(),
        "result": own.result.to_dict(),
        "ways": {
            way: {
                "seconds": round(each.seconds),
                "steps": each.steps,
                "flops": each.flops,
                "exponent": each.result.to_dict()["exponent"],
                "trials": _brief(each.trials),
            }
            for way, each in trained.items()
        },
    }
    title = "How the best learning rate falls with training tokens"
    write_result("horizon", title, page(spec, alone, trained), data, options)


def branched(spec: CalibrationSpec) -> Iterator[Trial]:
    """Yield the trials of every width, all horizons from one run for each learning rate and seed."""
    from workers.engine.horizon import run_shard

    for width in spec.widths:
        yield from run_shard(spec, _shard(spec, width, ShardKind.HORIZON, spec.horizons))


def apart(spec: CalibrationSpec) -> Iterator[Trial]:
    """Yield the same trials from a run for each horizon, the whole schedule its own, as a sweep trains it."""
    from workers.engine.sweep import run_shard

    for width, steps in product(spec.widths, spec.horizons):
        plain = replace(spec, steps=steps, early_stopping=False)
        for trial in run_shard(plain, _shard(spec, width, ShardKind.SWEEP)):
            yield replace(trial, horizon=steps)


def _shard(spec: CalibrationSpec, width: int, kind: ShardKind, horizons: tuple[int, ...] = ()) -> ShardSpec:
    return ShardSpec(width, spec.learning_rates, tuple(range(spec.seeds)), kind, horizons=horizons)


def _timed(spec: CalibrationSpec, trials: Iterator[Trial], runs: int) -> Trained:
    begun = time.process_time()
    found = tuple(trials)
    seconds = time.process_time() - begun
    print(f"{runs} runs, {len(found)} trials: {seconds:.0f} s of processor", flush=True)
    result = fit_horizon(spec, found)
    assert result is not None
    return Trained(found, runs, seconds, result)


def _specification(options: argparse.Namespace) -> CalibrationSpec:
    return CalibrationSpec.from_dict(
        {
            "parameterization": "standard",
            "optimizer": "adam",
            "alignment": "full",
            "form": "table_9",
            "widths": options.widths,
            "learning_rates": [2.0**x for x in LOG2_RATES],
            "seeds": options.seeds,
            "steps": max(options.horizons),
            "epsilon": 1e-12,
            "measure": ["horizon"],
            "horizons": options.horizons,
            "proxy": MLP,
        }
    )


def page(spec: CalibrationSpec, alone: Mapping[int, HorizonResult | None], trained: Mapping[str, Trained]) -> list[str]:
    """Return the page's lines: the optima of the branches, the exponent, and what runs apart take and say."""
    result = trained[BRANCHED].result
    lines = [
        "| width | steps | tokens | best learning rate | 95 % interval | loss there |",
        "|---|---|---|---|---|---|",
    ]
    for row in result.to_dict()["optima"]:
        interval = "bound" if row["interval"] is None else "{:.4f} to {:.4f}".format(*row["interval"])
        lines.append(
            f"| {row['width']} | {row['steps']} | {row['tokens']:,} | {row['learning_rate']:.4f} | {interval} "
            f"| {row['loss']:.4f} |"
        )
    lines += ["", "The best learning rate ∝ tokens^(−h), at a fixed batch size:", ""]
    lines += ["| | h | 95 % interval | degrees of freedom |", "|---|---|---|---|"]
    both = (("both, one slope", result), (f"both, {APART}", trained[APART].result))
    for name, found in (*((f"width {width}", each) for width, each in alone.items()), *both):
        if found is not None and found.law is not None:
            law = found.law
            interval = "none" if law.interval is None else "{:.2f} to {:.2f}".format(*law.interval)
            lines.append(f"| {name} | {law.value:.2f} | {interval} | {law.degrees_of_freedom} |")
    for source, low, high in PUBLISHED:
        lines.append(f"| {source} | {low if low == high else f'{low} to {high}'} | | |")
    lines += [
        "",
        "What branching saves, with the same learning rates, seeds and horizons:",
        "",
        "| | runs | training steps | FLOPs | core-seconds |",
        "|---|---|---|---|---|",
        *(
            f"| {way} | {each.runs} | {each.steps:,} | {each.flops:.2g} | {each.seconds:.0f} |"
            for way, each in trained.items()
        ),
        "",
        _compared(trained[BRANCHED], trained[APART]),
        "",
        "The MLP language model (depth 2, 8 bytes of context, batch 256) under Adam, standard parameterization, full "
        f"alignment, {spec.seeds} seeds, {len(LOG2_RATES)} learning rates half an octave apart. Branches share the "
        "warm-up of the shortest horizon; a run for each horizon warms up for 5 % of its own steps.",
    ]
    if result.warnings:
        lines += ["", *(f"* `{code}`: {message}" for code, message in result.warnings)]
    return lines


def _compared(one: Trained, other: Trained) -> str:
    """Say how much more runs apart take, and how far their optima are from the branches'."""
    shared = sorted(set(one.optima) & set(other.optima))
    off = [one.optima[cell] - other.optima[cell] for cell in shared]
    distance = f"{float(np.sqrt(np.mean(np.square(off)))):.2f} octaves (root mean square)" if off else "unknown"
    return (
        f"Runs apart take {other.steps / one.steps:.2f} times the steps, {other.flops / one.flops:.2f} times the "
        f"operations and {other.seconds / one.seconds:.2f} times the seconds. Their optima are {distance} from the "
        f"branches', {math.fsum(off) / max(1, len(off)):+.2f} on average."
    )


def _brief(trials: Sequence[Trial]) -> list[list[Any]]:
    """[width, learning rate, seed, horizon, loss] of each trial; null where it diverged."""
    return [[t.width, t.learning_rate, t.seed, t.horizon, t.loss] for t in trials]


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--horizons", type=int, nargs="+", default=[100, 200, 400, 800, 1600], help="steps, ascending")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
