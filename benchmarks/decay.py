"""What do the rules of weight decay make of the best learning rate, and of the loss, while the width grows?

    python -m benchmarks.decay
    python -m benchmarks.decay --widths 32 64 --steps 50 --seeds 2 --dry      # a minute, to see what it does

The MLP language model under muP with AdamW: η of hidden matrices falls as 1/width, and the rules differ in what becomes
of η·λ. λ is large, so that weights forget within the run. Trials are kept in the bank, so a second call is quick.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bank import Bank, specification
from benchmarks.optimum_over_axis import Place, axis_arguments, excesses, gap, optima_over, picture, row_of, table
from benchmarks.record import write_result

RULES: Mapping[str, str] = {
    "constant_product": "constant_product (η·λ kept)",
    "root_width": "root_width (η·λ × 1/√m)",
    "compute_optimal": "compute_optimal (λ kept, η·λ × 1/m)",
}
PICTURED = ("constant_product", "compute_optimal")
CENTRE = -5.5  # log2 of the best rate at the base, about


def main() -> None:
    options = _options()
    bank, seeds = Bank(Path(options.bank)), options.seeds
    rows: list[dict[str, Any]] = []
    pictures: dict[str, str] = {}
    trained: list[Place] = []
    widest: dict[str, tuple[Place, float]] = {}
    for rule in options.rules:
        name = RULES[rule]
        places = [_place(rule, width, options) for width in options.widths]
        trained += places
        optima = optima_over(bank, places, seeds, CENTRE)
        rows.append(row_of(name, optima, excesses(bank, places, optima, seeds)))
        print(name, rows[-1]["optima_log2"], flush=True)
        base = optima[options.widths[0]].learning_rate
        widest[rule] = places[-1], base
        if rule in PICTURED:
            pictures[f"Loss over the learning rate at each width: {name}"] = picture("width", bank, places)
    kept = widest["constant_product"]
    lost = {rule: gap(bank, each, kept, seeds) for rule, each in widest.items() if each is not kept}
    lines = [
        *table("width", rows),
        "",
        f"At width {options.widths[-1]}, at the base's best rate and λ, a rule loses so many nats against η·λ kept: "
        + "; ".join(f"{rule} {each}" for rule, each in lost.items())
        + ". λ is chosen so large that the rules differ within a short run: less decay then has the lower loss, which "
        "says nothing of the best λ. Where the best rate lies is what tells the rules apart.",
        "",
        f"muP, AdamW, β (0.9, 0.98), λ {options.weight_decay:g} at the base, {options.steps} steps of 256 predictions, "
        f"{seeds} seeds; base: width {options.widths[0]}. Negative: better. ± is a 95 % interval over seeds. Trials "
        f"were run at commit {bank.commits([place.spec for place in trained])}.",
    ]
    data = {"rows": rows, "against_kept": {rule: [each.mean, each.half] for rule, each in lost.items()}}
    write_result("decay", "Rules of weight decay over width", lines, data, options, pictures=pictures)


def _place(rule: str, width: int, options: argparse.Namespace) -> Place:
    named = {} if width == options.widths[0] else {"rules": {"weight_decay": rule}}
    spec = specification(
        parameterization="mup",
        optimizer="adamw",
        widths=list(options.widths),
        steps=options.steps,
        beyond_width={"weight_decay": options.weight_decay, **named},
    )
    return Place(width, spec, width)


def _options() -> argparse.Namespace:
    parser = axis_arguments(__doc__, seeds=3, widths=[32, 64, 128])
    parser.add_argument("--weight-decay", type=float, default=1.0, help="λ at the base")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    return parser.parse_args()


if __name__ == "__main__":
    main()
