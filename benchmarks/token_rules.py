"""What do the rules of tokens make of the best learning rate when a training gets longer?

    python -m benchmarks.token_rules
    python -m benchmarks.token_rules --steps-over 50 100 --seeds 2 --dry      # half a minute, to see what it does

The MLP language model under Adam at a fixed batch: each number of steps is a training with its own schedule. A rule of
tokens only multiplies the learning rate, so the same trials serve all of them. One exponent is measured at the first
two numbers of steps, and the others test it. benchmarks.horizon measures the exponent itself, at two widths.
"""

import argparse
from pathlib import Path
from typing import Any

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
    slope_of,
    table,
)
from benchmarks.record import write_result
from widthwise.calibration.spec import ProxySpec

WIDTH = 32
CENTRE = -5.0  # log2 of Adam's best rate at 200 steps, about


def main() -> None:
    options = _options()
    bank, seeds, steps = Bank(Path(options.bank)), options.seeds, options.steps_over
    places = [Place(count, _specification(count), WIDTH) for count in steps]
    optima = optima_over(bank, places, seeds, CENTRE)
    measured = -slope_of({count: optima[count] for count in steps[:2]}).slope
    exponents: dict[str, Any] = {
        "no rule": {"exponent": 0.0},
        "default (.3)": "default",
        "exponent ½": {"exponent": 0.5},
        f"measured ({measured:.2f})": {"exponent": measured},
    }
    rows: list[dict[str, Any]] = []
    batch = ProxySpec.from_dict(MLP).batch_size
    for name, rule in exponents.items():
        factors = {
            count: rule_factor({"tokens": rule}, batch_tokens=(batch, batch), tokens=(batch * steps[0], batch * count))
            for count in steps
        }
        rows.append(row_of(name, in_base_rates(optima, factors), excesses(bank, places, optima, seeds, factors)))
    lines = [
        *table("steps", rows),
        "",
        f"Adam, β (0.9, 0.98), SP, width {WIDTH}, batch {batch}, {seeds} seeds; base: {steps[0]} steps. The measured "
        f"exponent is that between {steps[0]} and {steps[1]} steps. ± is a 95 % interval over seeds. Trials were "
        f"run at commit {bank.commits([place.spec for place in places])}.",
    ]
    pictures = {"Loss over the learning rate at each number of steps": picture("steps", bank, places)}
    data = {"rows": rows, "measured": measured}
    write_result("token_rules", "Rules of tokens on a longer training", lines, data, options, pictures=pictures)


def _specification(count: int) -> dict[str, Any]:
    return specification(parameterization="standard", optimizer="adam", widths=[WIDTH], steps=count)


def _options() -> argparse.Namespace:
    parser = axis_arguments(__doc__, seeds=3, steps=None)
    parser.add_argument("--steps-over", type=int, nargs="+", default=[200, 400, 800], help="ascending; base first")
    return parser.parse_args()


if __name__ == "__main__":
    main()
