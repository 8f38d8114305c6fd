"""How the best learning rate falls with training tokens: horizons branched from one run with a constant learning rate.

    python -m benchmarks.horizon
    python -m benchmarks.horizon --widths 32 --horizons 50 100 --seeds 1 --dry      # half a minute, to see what it does

The MLP language model under Adam at two widths; minutes on one core. The exponent over tokens is fitted as a
calibration that measures `horizon` fits it, and is compared with the published ones, which disagree.
"""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

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


def main() -> None:
    options = _options()
    for name, value in SINGLE_THREADED.items():  # as a worker's child sets them, before JAX is imported
        os.environ.setdefault(name, value)
    from workers.engine.horizon import run_shard

    spec = _specification(options)
    begun, trials = time.process_time(), []
    for width in options.widths:
        shard = ShardSpec(
            width,
            tuple(2.0**x for x in LOG2_RATES),
            tuple(range(options.seeds)),
            ShardKind.HORIZON,
            horizons=tuple(options.horizons),
        )
        trials += [trial.to_dict() for trial in run_shard(CalibrationSpec.from_dict(spec), shard)]
        print(f"width {width}: {len(trials)} trials, {time.process_time() - begun:.0f} s of processor", flush=True)
    seconds = time.process_time() - begun
    read, typed = CalibrationSpec.from_dict(spec), [Trial.from_dict(trial) for trial in trials]
    result = fit_horizon(read, typed)
    assert result is not None
    alone = {width: fit_horizon(read, [trial for trial in typed if trial.width == width]) for width in options.widths}
    lines = _page(options, result, alone, trials, seconds)
    data = {"spec": spec, "seconds": round(seconds), "result": result.to_dict(), "trials": _brief(trials)}
    write_result("horizon", "How the best learning rate falls with training tokens", lines, data, options)


def _specification(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "readout_omega": None,
        "form": "table_9",
        "widths": options.widths,
        "steps": max(options.horizons),
        "epsilon": 1e-12,
        "measure": ["horizon"],
        "horizons": options.horizons,
        "proxy": MLP,
    }


def _page(
    options: argparse.Namespace,
    result: HorizonResult,
    alone: dict[int, HorizonResult | None],
    trials: Sequence[dict[str, Any]],
    seconds: float,
) -> list[str]:
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
    for name, found in (*((f"width {width}", each) for width, each in alone.items()), ("both, one slope", result)):
        if found is not None and found.law is not None:
            law = found.law
            interval = "none" if law.interval is None else "{:.2f} to {:.2f}".format(*law.interval)
            lines.append(f"| {name} | {law.value:.2f} | {interval} | {law.degrees_of_freedom} |")
    for source, low, high in PUBLISHED:
        lines.append(f"| {source} | {low if low == high else f'{low} to {high}'} | | |")
    steps = sum(trial["steps"] for trial in trials)
    alone_steps = sum(trial["horizon"] for trial in trials)
    lines += [
        "",
        f"The MLP language model (depth 2, 8 bytes of context, batch 256) under Adam, standard parameterization, full "
        f"alignment, {options.seeds} seeds, {len(LOG2_RATES)} learning rates half an octave apart. Branching "
        f"took {steps:,} training steps; a separate run for each horizon would take {alone_steps:,}, "
        f"{alone_steps / steps:.1f} times as many. {seconds:.0f} s of one core.",
    ]
    if result.warnings:
        lines += ["", *(f"* `{code}`: {message}" for code, message in result.warnings)]
    return lines


def _brief(trials: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """[width, learning rate, seed, horizon, loss] of each trial; null where it diverged."""
    return [[t["width"], t["learning_rate"], t["seed"], t["horizon"], t["loss"]] for t in trials]


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--horizons", type=int, nargs="+", default=[100, 200, 400, 800, 1600], help="steps, ascending")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
