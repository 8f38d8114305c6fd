"""Which parameterization reaches the lowest loss, each at its own best learning rate, and what does a transfer cost it?

    python -m benchmarks.parameterizations
    python -m benchmarks.parameterizations --widths 32 64 --steps 50 --seeds 2 --dry      # a minute

The MLP language model under Adam, with theory's rate for each tensor, and SP with one global rate besides. At the
base width all are one model. Under Adam SP and NTK are equivalent with their rates per tensor, and so are muP and
mean-field (2407.05872, section 2.2): NTK and mean-field are therefore trained at the best rate of the other of their
pair alone, which shows that only rounding is between them. Trials are kept in the bank.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bank import Bank, specification
from benchmarks.optimum_over_axis import (
    Excess,
    Place,
    axis_arguments,
    excesses,
    gap,
    optima_over,
    picture,
    row_of,
    table,
)
from benchmarks.record import write_result
from widthwise.estimate.optimum import Optimum

CENTRE = -5.5  # log2 of Adam's best rate at the base, about
#: By the name on the page: parameterization, rule of the learning rates, and the slope expected of the best rate.
KINDS: Mapping[str, tuple[str, str, float]] = {
    "SP, per layer": ("standard", "per_layer", 0.0),
    "muP": ("mup", "per_layer", 0.0),
    "SP, one global rate": ("standard", "global", -1.0),
}
#: Equivalent to another of them: its parameterization, and which.
PAIRS: Mapping[str, tuple[str, str]] = {"NTK": ("ntk", "SP, per layer"), "mean-field": ("mean_field", "muP")}
REFERENCE = "SP, per layer"
PICTURED = ("SP, per layer", "muP")


def main() -> None:
    options = _options()
    bank, seeds = Bank(Path(options.bank)), options.seeds
    places = {name: [_place(name, width, options) for width in options.widths] for name in options.kinds}
    optima: dict[str, dict[float, Optimum]] = {}
    rows: list[dict[str, Any]] = []
    for name, each in list(places.items()):
        optima[name] = optima_over(bank, each, seeds, CENTRE, slope=KINDS[name][2])
        rows.append(row_of(name, optima[name], excesses(bank, each, optima[name], seeds)))
        print(name, rows[-1]["optima_log2"], flush=True)
    for name, (_, other) in PAIRS.items():
        if other in places:
            places[name], optima[name] = [_place(name, width, options) for width in options.widths], optima[other]
    against = _against(bank, places, optima, seeds)
    heads = " | ".join(f"width {width}" for width in options.widths[1:])
    lines = [
        *table("width", rows),
        "",
        f"Nats against {REFERENCE}, each at its own best rate and with the same seeds (negative: better):",
        "",
        f"| parameterization | {heads} |",
        "|---|" + "---|" * (len(options.widths) - 1),
        *(f"| {name} | {' | '.join(map(str, gaps))} |" for name, gaps in against.items()),
        "",
        "NTK and mean-field stand at the best rates of SP and muP, to which they are equivalent under Adam.",
        "",
        f"Adam, β (0.9, 0.98), full alignment, {options.steps} steps of 256 predictions, {seeds} seeds; base: width "
        f"{options.widths[0]}. ± is a 95 % interval over seeds. Trials were run at commit "
        f"{bank.commits([place.spec for each in places.values() for place in each])}.",
    ]
    data = {"rows": rows, "against": {name: [[gap.mean, gap.half] for gap in gaps] for name, gaps in against.items()}}
    pictures = {
        f"Loss over the learning rate at each width: {name}": picture("width", bank, places[name])
        for name in PICTURED
        if name in places
    }
    title = "Parameterizations, each at its own best rate"
    write_result("parameterizations", title, lines, data, options, pictures=pictures)


def _against(
    bank: Bank, places: Mapping[str, list[Place]], optima: Mapping[str, Mapping[float, Optimum]], seeds: int
) -> dict[str, list[Excess]]:
    """What each loses against the reference, beyond the base."""

    def best(name: str, index: int) -> tuple[Place, float]:
        place = places[name][index]
        return place, optima[name][place.value].learning_rate

    return {
        name: [gap(bank, best(name, index), best(REFERENCE, index), seeds) for index in range(1, len(places[name]))]
        for name in places
        if name != REFERENCE
    }


def _place(name: str, width: int, options: argparse.Namespace) -> Place:
    parameterization, rule = (PAIRS[name][0], "per_layer") if name in PAIRS else KINDS[name][:2]
    is_base = width == options.widths[0]  # one model there, so it is trained once
    spec = specification(
        parameterization="standard" if is_base else parameterization,
        optimizer="adam",
        widths=list(options.widths),
        steps=options.steps,
        learning_rate_rule="per_layer" if is_base else rule,
    )
    return Place(width, spec, width)


def _options() -> argparse.Namespace:
    parser = axis_arguments(__doc__, seeds=3, widths=[32, 64, 128])
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
