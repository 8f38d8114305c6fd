"""Does the best learning rate follow the batch as the square root, and as the form with saturation?

    python -m benchmarks.batch_size
    python -m benchmarks.batch_size --batch-sizes 32 64 128 --windows 6400 --seeds 2 --dry      # a minute

The MLP language model under Adam at a fixed number of windows, so that a batch of twice the size takes half the steps.
`surge` takes its noise scale from the smallest, the middle and the largest batch, and the two others test it. Trials
are kept in the bank, so a second call is quick.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bank import MLP, Bank, specification
from benchmarks.optimum_over_axis import (
    Place,
    axis_arguments,
    excesses,
    in_base_rates,
    optima_over,
    picture,
    row_of,
    rule_factor,
    table,
)
from benchmarks.record import write_result
from widthwise.estimate.optimum import Optimum

WIDTH = 32
BETAS = {"beta1": 0.95, "beta2": 0.995}  # at the base: 1 − β × 16 leaves both in range, and β₂^16 is above β₁²
SHORT = {"beta1": 0.95, "beta2": 0.98}  # β₂^8 is below β₁²: Zhang et al. 2026, 2603.02092, need β₁ < √β₂
CENTRE = -6.5  # log2 of Adam's best rate at the smallest batch, about
NOISE_SCALES = 2.0 ** np.linspace(3, 18, 601)  # looked through: windows


def main() -> None:
    options = _options()
    bank, seeds = Bank(Path(options.bank)), options.seeds
    base = options.batch_sizes[0]
    rows: list[dict[str, Any]] = []
    rooted = _places("square_root", BETAS, options)
    optima = optima_over(bank, rooted, seeds, CENTRE)
    rows.append(row_of("square_root", optima, excesses(bank, rooted, optima, seeds)))
    short = _places("half_life", SHORT, options)
    optima = optima_over(bank, short, seeds, CENTRE)
    rows.append(row_of("half_life, β₂ .98 at the base", optima, excesses(bank, short, optima, seeds)))
    halved = _places("half_life", BETAS, options)
    optima = optima_over(bank, halved, seeds, CENTRE)
    rows.append(row_of("half_life", optima, excesses(bank, halved, optima, seeds)))
    actual = in_base_rates(optima, {size: math.sqrt(base / size) for size in options.batch_sizes})
    rows.append(
        row_of(
            "η as at the base",
            actual,
            excesses(bank, halved, optima, seeds, {size: math.sqrt(base / size) for size in options.batch_sizes}),
        )
    )
    fitted = [options.batch_sizes[0], options.batch_sizes[len(options.batch_sizes) // 2], options.batch_sizes[-1]]
    scale = noise_scale({size: actual[size] for size in fitted})
    factors = {size: _surge_over_root(scale, base, size) for size in options.batch_sizes}
    surged = in_base_rates(optima, factors)
    rows.append(row_of("surge", surged, excesses(bank, halved, optima, seeds, factors)))
    lines = [
        *table("batch", rows),
        "",
        f"Adam, β (0.95, 0.995) at the base, SP, width {WIDTH}, {options.windows:,} windows of one predicted byte, "
        f"{seeds} seeds; base: batch {base}. `square_root` moves both β with the batch, `half_life` β₂ alone. "
        "From .98 it is below β₁² from batch 256 on, where Adam is not shown to converge (2603.02092). "
        "`surge` and the line without a rule of η are read from the trials of `half_life`, which has their β₂. "
        f"`surge` has a noise scale of {scale:.0f} windows, fitted to the best rates at batch "
        f"{', '.join(map(str, fitted))}; the others test it. ± is a 95 % interval over seeds. Trials were run at "
        f"commit {bank.commits([place.spec for place in (*rooted, *short, *halved)])}.",
    ]
    pictures = {
        "Loss over the base learning rate at each batch: square_root": picture("batch_tokens", bank, rooted),
        "Loss over the base learning rate at each batch: half_life": picture("batch_tokens", bank, halved),
    }
    data = {"rows": rows, "noise_scale": scale}
    write_result("batch_size", "The best learning rate over the batch", lines, data, options, pictures=pictures)


def noise_scale(optima: Mapping[float, Optimum]) -> float:
    """The noise scale of the surge form that best fits optima, weighted by their errors."""
    batch_B = np.array(list(optima))
    log2_B = np.array([found.log2_learning_rate for found in optima.values()])
    weight_B = np.array([1 / (found.standard_error or 1.0) ** 2 for found in optima.values()])

    def misfit(scale: float) -> float:
        left_B = log2_B + np.log2(np.sqrt(scale / batch_B) + np.sqrt(batch_B / scale))
        return float(weight_B @ (left_B - np.average(left_B, weights=weight_B)) ** 2)

    return float(min(NOISE_SCALES, key=misfit))


def _surge_over_root(scale: float, base: int, size: int) -> float:
    """The factor of `surge` next to that of `half_life`, by the library's own rules."""
    sizes = {"batch_tokens": (base, size), "tokens": (base, base)}
    surge = rule_factor({"batch": {"rule": "surge", "noise_scale": scale}}, **sizes)
    return surge / rule_factor({"batch": "half_life"}, **sizes)


def _places(rule: str, betas: Mapping[str, float], options: argparse.Namespace) -> list[Place]:
    base = options.batch_sizes[0]
    return [
        Place(
            size,
            specification(
                parameterization="standard",
                optimizer="adam",
                widths=[WIDTH],
                steps=options.windows // size,
                proxy={**MLP, "batch_size": size},
                beyond_width={
                    **betas,
                    "batch_size": base,
                    "steps": options.windows // base,
                    "rules": {} if size == base else {"batch": rule},
                },
            ),
            WIDTH,
        )
        for size in options.batch_sizes
    ]


def _options() -> argparse.Namespace:
    parser = axis_arguments(__doc__, seeds=3, steps=None)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 64, 128, 256, 512], help="ascending")
    parser.add_argument("--windows", type=int, default=51_200, help="of the whole training, whatever the batch")
    return parser.parse_args()


if __name__ == "__main__":
    main()
