"""Does the best learning rate stay where it is while the depth grows, with and without CompleteP?

    python -m benchmarks.depth
    python -m benchmarks.depth --architectures mlp transformer     # five times as long
    python -m benchmarks.depth --depths 2 4 --steps 50 --seeds 2 --dry      # a minute, to see what it does

The MLP language model at one width (a norm after each block of one matrix), and if asked the transformer (a norm before
each block of several). The base has the first depth. Trials are kept in the bank, so a second call is quick.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.bank import MLP, Bank, specification
from benchmarks.optimum_over_axis import Place, axis_arguments, excesses, optima_over, picture, row_of, table
from benchmarks.record import write_result

#: The proxy of each architecture and its width: 256 predictions a step, seconds a run at depth 16 on one core.
PROXIES: Mapping[str, tuple[dict[str, Any], int]] = {
    "mlp": (MLP, 32),
    "transformer": ({**MLP, "architecture": "transformer", "sequence_length": 16, "batch_size": 16}, 32),
}
RULES: Mapping[str, Any] = {
    "none": None,
    "completep": "completep",
    "completep, α ½": {"rule": "completep", "alpha": 0.5},
    "depth_mup": "depth_mup",
}
PICTURED = ("none", "completep")
CENTRE = -5.5  # log2 of AdamW's best rate at these sizes, about


def main() -> None:
    options = _options()
    bank = Bank(Path(options.bank))
    rows: list[dict[str, Any]] = []
    pictures: dict[str, str] = {}
    trained: list[Place] = []
    for architecture in options.architectures:
        for name in options.rules:
            places = _places(architecture, name, options)
            trained += places
            optima = optima_over(bank, places, options.seeds, CENTRE)
            rows.append(row_of(f"{architecture}, {name}", optima, excesses(bank, places, optima, options.seeds)))
            print(table("depth", rows[-1:])[4], flush=True)
            if name in PICTURED:
                what = f"Loss over the learning rate at each depth: {architecture}, {name}"
                pictures[what] = picture("depth", bank, places)
    lines = [
        *table("depth", rows),
        "",
        f"AdamW, β (0.9, 0.98), λ 0.1, SP, width {' and '.join(str(PROXIES[a][1]) for a in options.architectures)}, "
        f"{options.steps} steps of 256 predictions, {options.seeds} seeds; base: depth {options.depths[0]}. `none` "
        "leaves the branches and every rate as at the base; the others are the rules of depth in docs/rules.md. ± is a "
        f"95 % interval over seeds. Trials were run at commit {bank.commits([place.spec for place in trained])}.",
    ]
    write_result("depth", "The best learning rate over depth", lines, {"rows": rows}, options, pictures=pictures)


def _places(architecture: str, name: str, options: argparse.Namespace) -> list[Place]:
    proxy, width = PROXIES[architecture]
    rule = RULES[name]
    base = options.depths[0]
    named = {} if rule is None else {"depth": rule}
    return [
        Place(
            depth,
            specification(
                parameterization="standard",
                optimizer="adamw",
                widths=[width],
                steps=options.steps,
                proxy={**proxy, "depth": depth},
                beyond_width={"depth": base, "rules": named if depth > base else {}},
            ),
            width,
        )
        for depth in options.depths
    ]


def _options() -> argparse.Namespace:
    parser = axis_arguments(__doc__, seeds=3)
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--architectures", nargs="+", choices=list(PROXIES), default=["mlp"])
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=["none", "completep", "completep, α ½"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
