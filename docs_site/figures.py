"""The figures of docs/: `python -m docs_site.figures` writes them again, from what the library computes."""

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from widthwise import Base, Target, transfer
from widthwise.figures.figure import Figure
from widthwise.figures.sweep_report import sweep_report
from widthwise.figures.transfer import transfer_plot
from widthwise.sweeps import SweepRun, fit_sweep

FOLDER = Path(__file__).parents[1] / "docs" / "figures"


def plan() -> Figure:
    """Draw the plan that docs/reading_a_plan.md explains."""
    base = Base(width=512, learning_rate=0.004, epsilon=1e-8, weight_decay=0.1, init_std=0.02)
    found = transfer(parameterization="mup", optimizer="adamw", base=base, target=Target(width=2048))
    return transfer_plot(found)


def sweep() -> Figure:
    """Draw a sweep over width and tokens, of losses whose optimum moves as width^-0.5 · tokens^-0.25."""
    runs = [
        SweepRun(2.0**octave, _loss(octave, width, tokens) + 0.001 * seed, {"width": width, "tokens": tokens}, seed)
        for width, tokens in itertools.product((128.0, 512.0, 2048.0), (1e9, 4e9))
        for octave, seed in itertools.product(range(-13, -5), range(2))
        if abs(octave - _best(width, tokens)) <= 2
    ]
    fit = fit_sweep(runs)
    return sweep_report(fit, predictions=[fit.predict(width=8192.0, tokens=16e9)])


def _loss(octave: int, width: float, tokens: float) -> float:
    return 3.0 + 0.05 * (octave - _best(width, tokens)) ** 2


def _best(width: float, tokens: float) -> float:
    return -8 - 0.5 * math.log2(width / 128) - 0.25 * math.log2(tokens / 1e9)


#: By the name of its file.
FIGURES: Mapping[str, Callable[[], Figure]] = {"plan.svg": plan, "sweep.svg": sweep}


def main() -> None:
    """Write every figure."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        draw().save(FOLDER / name)


if __name__ == "__main__":
    main()
