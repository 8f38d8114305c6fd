"""Is a calibration right where it extrapolates? Calibrate on small widths, train at one four times beyond, compare.

    python -m benchmarks.held_out_width
    python -m benchmarks.held_out_width --optimizers adam --parameterizations mup --held-out 256 --widths 16 32 64

For every parameterization and optimizer the calibration's widths are swept, and then the held-out width. The loss
there, at the learning rate that each method would have chosen without seeing it, is compared with the lowest:

* theory: the best base learning rate of the widest calibrated width, carried on by the theoretical exponents;
* power law: the plain fit through the optima, extrapolated;
* engine: what `fit_calibration` predicts, with its choice of candidate and its shrinkage towards theory;
* base rate: the base model's own rates at every tensor, as if nothing depended on width.

Regret is (loss − lowest loss) / lowest loss. The loss between two swept learning rates is interpolated (PCHIP).
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator

from benchmarks.bank import Bank, specification
from benchmarks.optimum_over_axis import slope_of
from benchmarks.record import arguments, write_result
from widthwise.calibration.grids import HALF_OCTAVE, default_learning_rates
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate import fit_calibration
from widthwise.estimate.surface import Surface
from widthwise.vocabulary import Parameterization

OPTIMIZERS = ("adam", "adam_atan2", "adam_parameter_scaling", "sgd")
WIDTHS, HELD_OUT = [32, 64, 128], 512
METHODS = ("theory", "power law", "engine", "base rate")
FARTHEST = 3.0  # octaves from theory's rate that the held-out sweep covers; a prediction beyond is read at its edge
FINE = 2001  # points at which the interpolated curve's lowest loss is looked for


def main() -> None:
    options = _options()
    bank = Bank(Path(options.bank))
    cells: list[dict[str, Any]] = []
    for optimizer in options.optimizers:
        for kind in options.parameterizations:
            cells.append(cell(bank, kind, optimizer, options))
            print(_line(cells[-1]), flush=True)
    lines = [
        "Regret of the loss at the held-out width, in percent of the lowest loss; the noise is the standard error of "
        "the engine's regret minus theory's, over seeds.",
        "",
        "| optimizer | parameterization | " + " | ".join(METHODS) + " | noise | law chosen |",
        "|---|---|" + "---|" * (len(METHODS) + 2),
        *(_line(found) for found in cells),
        "",
        *_summary(cells),
        "",
        f"Calibrated on widths {', '.join(map(str, options.widths))}, held out {options.held_out}: the MLP language "
        f"model, {options.steps} steps, {options.seeds} seeds, full alignment. Trials were run at commit "
        f"{bank.commits()}.",
    ]
    default = options.held_out == HELD_OUT and options.widths == WIDTHS
    write_result(
        "held_out_width" if default else f"held_out_width_{options.held_out}",
        "Held-out width: what a calibration is worth where it extrapolates",
        lines,
        {"cells": cells},
        options,
    )


def cell(bank: Bank, kind: str, optimizer: str, options: argparse.Namespace) -> dict[str, Any]:
    """One parameterization and optimizer: calibrate, predict, train at the held-out width, compare."""
    setting = {"parameterization": kind, "optimizer": optimizer, "steps": options.steps}
    spec = specification(**setting, widths=options.widths)
    seeds = range(options.seeds)
    centre = math.log2(np.median(default_learning_rates(optimizer, "mlp", options.widths[0])))
    optima = {}
    for width in options.widths:
        _, optima[width] = bank.sweep_around(spec, width, centre, seeds)
        centre = optima[width].log2_learning_rate
    trials = [Trial.from_dict(trial) for trial in bank.trials(spec) if trial["width"] in options.widths]
    result = fit_calibration(CalibrationSpec.from_dict(spec), trials)
    theory = optima[options.widths[-1]].log2_learning_rate
    predicted = {
        "theory": theory,
        "power law": slope_of(optima).predict(options.held_out)[0],
        "engine": result.predict(options.held_out).log2_learning_rate,
    }
    cover = [min(max(value, theory - FARTHEST), theory + FARTHEST) for value in predicted.values()]
    surface, best = bank.sweep_around(spec, options.held_out, theory, seeds, cover=cover)
    chosen = next(candidate for candidate in result.to_dict()["candidates"] if candidate["chosen"])
    regrets = {name: regret(surface, value) for name, value in predicted.items()}
    regrets["base rate"] = _base_rate_regret(bank, setting, options, optima, surface)
    return {
        **setting,
        "optima_log2": {str(width): found.log2_learning_rate for width, found in optima.items()},
        "predicted_log2": predicted,
        "held_out_log2": best.log2_learning_rate,
        "lowest_loss": best.loss,
        "regret_percent": {name: _mean(values) for name, values in regrets.items()},
        "noise_percent": _noise(regrets["engine"], regrets["theory"]),
        "chosen": chosen["name"],
    }


def regret(surface: Surface, log2_rate: float) -> Any:
    """Regret in percent at a learning rate, one for each seed, (S,); infinite where training diverges there."""
    x = np.log2(surface.learning_rates)
    usable = np.isfinite(surface.losses).all(axis=1)
    x, loss_LxS = x[usable], surface.losses[usable]
    if log2_rate > x[-1] + HALF_OCTAVE / 2 and surface.diverged.any():
        return np.full(loss_LxS.shape[1], np.inf)
    curves = PchipInterpolator(x, loss_LxS, axis=0)
    lowest_x = min(np.linspace(x[0], x[-1], FINE), key=lambda at: float(curves(at).mean()))
    lowest = float(curves(lowest_x).mean())
    return 100.0 * (curves(min(max(log2_rate, x[0]), x[-1])) - curves(lowest_x)) / lowest


def _base_rate_regret(
    bank: Bank, setting: Mapping[str, Any], options: argparse.Namespace, optima: Mapping[int, Any], surface: Surface
) -> Any:
    """Regret of training the held-out width with the base model's learning rate at every tensor."""
    spec = specification(**setting, widths=options.widths, learning_rate_rule="global")
    base = optima[options.widths[0]].log2_learning_rate
    rate = 2.0 ** (HALF_OCTAVE * round(base / HALF_OCTAVE))
    found = bank.run(spec, options.held_out, [rate], range(options.seeds))
    if any(trial["loss"] is None for trial in found):
        return np.full(options.seeds, np.inf)
    usable = np.isfinite(surface.losses).all(axis=1)
    lowest = float(surface.losses[usable].mean(axis=1).min())
    return 100.0 * (np.array([trial["loss"] for trial in found]) - lowest) / lowest


def _mean(values: Any) -> float | None:
    """None for a divergence: JSON has no infinity."""
    return float(np.mean(values)) if np.isfinite(values).all() else None


def _noise(first: Any, second: Any) -> float | None:
    """Standard error of the difference of two regrets over seeds; None for one seed, or a divergence."""
    if len(first) < 2 or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return None
    return float(np.std(first - second, ddof=1) / math.sqrt(len(first)))


def _percent(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.2f}"


def _line(found: Mapping[str, Any]) -> str:
    regrets = " | ".join(_percent(found["regret_percent"][name]) for name in METHODS)
    noise = found["noise_percent"]
    return (
        f"| {found['optimizer']} | {found['parameterization']} | {regrets} "
        f"| {'' if noise is None else f'{noise:.2f}'} | {found['chosen']} |"
    )


def _summary(cells: list[dict[str, Any]]) -> list[str]:
    lines = []
    for name in METHODS:
        values = [math.inf if (v := found["regret_percent"][name]) is None else v for found in cells]
        diverged = sum(math.isinf(value) for value in values)
        worst = "diverged" if diverged else f"{max(values):.2f} %"
        lines.append(
            f"* {name}: median regret {np.median(values):.2f} %, worst {worst}"
            + (f" ({diverged} of {len(values)} cells diverged)" if diverged else "")
        )
    return lines


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    kinds = [kind.value for kind in Parameterization]
    parser.add_argument("--parameterizations", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    parser.add_argument("--held-out", type=int, default=HELD_OUT)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--bank", default="build/bank", help="folder of the trials made so far")
    return parser.parse_args()


if __name__ == "__main__":
    main()
