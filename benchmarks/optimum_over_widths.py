"""Does the best base learning rate stay where it is while the width grows? The proxy experiment, on one core.

    python -m benchmarks.optimum_over_widths --widths 32 64 128 256 --seeds 2
    python -m benchmarks.optimum_over_widths --architecture transformer --optimizer sgd --alignment none

It prints the mean held-out loss of every learning rate and width, the optimum of each width and how it moves.
"""

import argparse
import json
import os
import platform
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from widthwise.calibration.grids import default_learning_rates
from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import EstimateError
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.scaling import fit_power_law
from widthwise.vocabulary import TrialStatus
from workers.child import SINGLE_THREADED

# sequence length and batch size (chosen): runs of seconds on one core that still show the theory
PROXIES = {
    "mlp": {"sequence_length": 8, "batch_size": 256},
    "transformer": {"sequence_length": 64, "batch_size": 32},
}


def main() -> None:
    options = _options()
    for name, value in SINGLE_THREADED.items():  # as a worker's child sets them, before JAX is imported
        os.environ.setdefault(name, value)
    from workers.engine.sweep import run_shard

    rates = options.learning_rates or default_learning_rates(
        options.optimizer, options.architecture, min(options.widths)
    )
    options.learning_rates = sorted(rates)
    spec: dict[str, Any] = {
        "parameterization": options.parameterization,
        "optimizer": options.optimizer,
        "alignment": options.alignment,
        "readout_omega": 0.5,
        "widths": options.widths,
        "learning_rates": options.learning_rates,
        "steps": options.steps,
        "epsilon": 1e-12,
        "form": "table_9",
        "proxy": {
            "architecture": options.architecture,
            "depth": options.depth,
            "head_dim": 16,
            "dataset": "python_docs",
            **PROXIES[options.architecture],
        },
    }
    losses: dict[int, dict[float, list[float]]] = {width: defaultdict(list) for width in options.widths}
    for width in options.widths:
        shard = ShardSpec(width, tuple(options.learning_rates), tuple(range(options.seeds)))
        seconds, rates = [], []
        for trial in run_shard(CalibrationSpec.from_dict(spec), shard):
            losses[width][trial.learning_rate].append(np.nan if trial.loss is None else trial.loss)
            if trial.status is TrialStatus.COMPLETED and trial.seconds and trial.flops:
                seconds.append(trial.seconds)
                rates.append(trial.flops / trial.seconds / 1e9)
        print(f"width {width:5d}: {np.median(seconds):7.2f} s a trial, {np.median(rates):5.1f} GFLOP/s", flush=True)
    _report(options.learning_rates, losses)
    if options.output:
        Path(options.output).write_text(json.dumps({"spec": spec, "machine": platform.platform(), "losses": losses}))


def _report(learning_rates: list[float], losses: dict[int, dict[float, list[float]]]) -> None:
    print(f"{'base rate':>12}" + "".join(f"{f'n={width}':>10}" for width in losses))
    for rate in learning_rates:
        row = [float(np.mean(losses[width][rate])) for width in losses]
        print(f"{rate:12.3g}" + "".join(f"{loss:10.4f}" if np.isfinite(loss) else f"{'diverged':>10}" for loss in row))
    optima: dict[int, Optimum] = {}
    for width, by_rate in losses.items():
        by_seed = np.array([by_rate[rate] for rate in learning_rates])
        try:
            optima[width] = fit_optimum(learning_rates, by_seed)
        except EstimateError as error:
            print(f"n={width}: {error}")
            continue
        best = optima[width]
        print(f"n={width}: best base rate {best.learning_rate:.3g} ({best.kind}), loss {best.loss:.4f}")
    inside = [(n, best.log2_learning_rate, best.standard_error) for n, best in optima.items() if best.standard_error]
    if len(inside) >= 2:
        widths, centres, errors = zip(*inside, strict=True)
        law = fit_power_law(widths, centres, errors)
        print(f"slope of the optimum over width: {law.slope:+.3f} ± {law.standard_error:.3f} (0 = transfers)")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=sorted(PROXIES), default="mlp")
    parser.add_argument("--parameterization", default="standard")
    parser.add_argument("--optimizer", default="adam")
    parser.add_argument("--alignment", choices=["full", "none"], default="full")
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--learning-rates", type=float, nargs="+", help="a calibration's own grid unless given")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--output", help="JSON file for every loss")
    return parser.parse_args()


if __name__ == "__main__":
    main()
