"""The figures of docs/: `python -m docs_site.figures` writes them again, from what the library computes."""

import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree.ElementTree import indent, tostring

from widthwise import Base, Target, transfer
from widthwise.figures.axes import Axes
from widthwise.figures.panel import LABEL, Tick, draw_panel
from widthwise.figures.svg import GRID, PAPER, add, document, key_line, path, ramp, text
from widthwise.figures.sweep_report import sweep_report
from widthwise.sweeps import SweepRun, fit_sweep
from widthwise.vocabulary import Optimizer, Parameterization

FOLDER = Path(__file__).parents[1] / "docs" / "figures"
_WIDTH, _HEIGHT, _PANEL = 940, 324, 160  # pixels
_OCTAVES = 4  # from width 512 to 8192


def learning_rates() -> str:
    """Draw the multiplier of AdamW's learning rate over width, for each parameterization and role."""
    root = document(_WIDTH, _HEIGHT, "AdamW's learning rate over width, by role")
    add(root, "rect", width=_WIDTH, height=_HEIGHT, rx=6, fill=PAPER, stroke=GRID)
    x_ticks = [Tick(octave, str(512 * 2**octave)) for octave in range(0, _OCTAVES + 1, 2)]
    for place, parameterization in enumerate(Parameterization):
        left = 70 + place * (_PANEL + 60)
        axes = Axes(0, _OCTAVES, -_OCTAVES - 0.4, 0.4, left, left + _PANEL, 46, 236)
        y_ticks = [Tick(-octave, f"×1/{2**octave}" if octave else "×1") for octave in range(_OCTAVES + 1)]
        draw_panel(root, axes, x_ticks, y_ticks, ("width", ""))
        text(root, left, 30, parameterization.value, size=15, weight="600")
        for line, (slope, roles) in enumerate(_slopes(parameterization).items()):
            style = {"stroke": ramp(line / 2), "stroke-width": "2.4", "fill": "none"}
            path(root, axes, [(0, 0), (_OCTAVES, slope * _OCTAVES)], **style)
            key_line(root, left, 290 + 18 * line, **style)
            text(root, left + 28, 290 + 18 * line, f"{roles}: width^{slope:g}", size=LABEL)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def _slopes(parameterization: Parameterization) -> Mapping[float, str]:
    """Return the roles by the power of width that their rate goes with."""
    target = Target(width=512 * 2**_OCTAVES)
    base = Base(width=512, learning_rate=1.0)
    plan = transfer(parameterization=parameterization, optimizer=Optimizer.ADAMW, base=base, target=target)
    slopes: dict[float, list[str]] = {}
    for role in ("embedding", "hidden", "readout"):
        multiplier = plan.layer(role).learning_rate.multiplier
        slopes.setdefault(math.log2(multiplier) / _OCTAVES, []).append(role)
    return {slope: ", ".join(roles) for slope, roles in slopes.items()}


def sweep() -> str:
    """Draw a sweep over width and tokens, of losses whose optimum moves as width^-0.5 · tokens^-0.25."""
    runs = [
        SweepRun(2.0**octave, _loss(octave, width, tokens) + 0.001 * seed, {"width": width, "tokens": tokens}, seed)
        for width, tokens in itertools.product((128.0, 512.0, 2048.0), (1e9, 4e9))
        for octave, seed in itertools.product(range(-13, -5), range(2))
        if abs(octave - _best(width, tokens)) <= 2
    ]
    fit = fit_sweep(runs)
    return sweep_report(fit, predictions=[fit.predict(width=8192.0, tokens=16e9)]) + "\n"


def _loss(octave: int, width: float, tokens: float) -> float:
    return 3.0 + 0.05 * (octave - _best(width, tokens)) ** 2


def _best(width: float, tokens: float) -> float:
    return -8 - 0.5 * math.log2(width / 128) - 0.25 * math.log2(tokens / 1e9)


#: By the name of its file.
FIGURES: Mapping[str, Callable[[], str]] = {"learning_rates.svg": learning_rates, "sweep.svg": sweep}


def main() -> None:
    """Write every figure."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
