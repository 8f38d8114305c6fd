"""Does Muon's best learning rate stay where it is while the width grows, with each of its three scales?

    python -m benchmarks.muon
    python -m benchmarks.muon --widths 32 64 --steps 50 --dry      # a minute, to see what it does

The MLP language model under muP: Muon for the hidden matrices, AdamW for the rest. At the base width the three scales
are one optimizer; theory then prescribes a rate for each tensor (`per_layer`) or every rate stays as it is (`global`).
Trials are kept in the bank, so a second call is quick.
"""

import argparse
import math
from pathlib import Path
from typing import Any

from benchmarks.bank import Bank, specification
from benchmarks.optimum_over_axis import Place, axis_arguments, optima_over, slope_of
from benchmarks.record import write_result
from widthwise.calibration.grids import default_learning_rates
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.estimate.optimum import Optimum
from widthwise.figures.sweep import learning_rate_plot

SCALES = ("muon_unit", "muon_keller", "muon_rms")
RULES = ("per_layer", "global")
PICTURED = ("muon_rms", "global")  # the one that moves


def main() -> None:
    options = _options()
    bank = Bank(Path(options.bank))
    rows: list[dict[str, Any]] = []
    for rule in RULES:
        for optimizer in SCALES:
            rows.append(_row(optimizer, rule, _sweep(bank, optimizer, rule, options)))
            print(_line(rows[-1]), flush=True)
    lines = [
        "| scale | learning rates | "
        + " | ".join(f"best at {width}" for width in options.widths)
        + " | slope | 95 % |",
        "|---|---|" + "---|" * (len(options.widths) + 2),
        *(_line(row) for row in rows),
        "",
        "Best base learning rate at each width, and the slope of its log2 over log2 width: 0 if the prescription "
        f"transfers. muP, {options.steps} steps, {options.seeds} seeds, Muon's momentum 0.95, β (0.9, 0.98), λ 0.1. "
        "`per_layer` takes the rate that theory prescribes for each tensor, by the scale in use; `global` leaves the "
        f"rates of all tensors as at the base. Trials were run at commit {bank.commits()}.",
    ]
    spec = _specification(*PICTURED, options)
    trials = [Trial.from_dict(trial) for trial in bank.trials(spec)]
    picture = learning_rate_plot(CalibrationSpec.from_dict(spec), trials).svg()
    write_result(
        "muon",
        "Muon's three scales over width",
        lines,
        {"slopes": rows},
        options,
        pictures={f"Loss over the learning rate, {PICTURED[0]}, rates as at the base": picture},
    )


def _specification(optimizer: str, rule: str, options: argparse.Namespace) -> dict[str, Any]:
    return specification(
        parameterization="mup",
        optimizer=optimizer,
        widths=list(options.widths),
        learning_rate_rule=rule,
        steps=options.steps,
        learning_rates=list(default_learning_rates(optimizer, "mlp", options.widths[0])),
        seeds=options.seeds,
    )


def _sweep(bank: Bank, optimizer: str, rule: str, options: argparse.Namespace) -> dict[float, Optimum]:
    """The optimum of every width, each sweep centred on the optimum of the one before."""
    spec = _specification(optimizer, rule, options)
    rates = spec["learning_rates"]
    places = [Place(width, spec, width) for width in options.widths]
    return optima_over(bank, places, options.seeds, math.log2(rates[len(rates) // 2]))


def _row(optimizer: str, rule: str, optima: dict[float, Optimum]) -> dict[str, Any]:
    law = slope_of(optima)
    return {
        "optimizer": optimizer,
        "learning_rate_rule": rule,
        "widths": list(optima),
        "optima_log2": [found.log2_learning_rate for found in optima.values()],
        "losses": [found.loss for found in optima.values()],
        "slope": law.slope,
        "interval": law.interval,
    }


def _line(row: dict[str, Any]) -> str:
    low, high = row["interval"] or (math.nan, math.nan)
    best = " | ".join(f"{2**log2:.3g}" for log2 in row["optima_log2"])
    name = f"{row['optimizer']} | {row['learning_rate_rule']}"
    return f"| {name} | {best} | {row['slope']:+.2f} | {low:+.2f} to {high:+.2f} |"


def _options() -> argparse.Namespace:
    return axis_arguments(__doc__, widths=[32, 64, 128], seeds=2).parse_args()


if __name__ == "__main__":
    main()
