"""The figure of a fitted sweep: curves of cells, the best rate over each axis, and how well held-out cells are met."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from widthwise.figures.cells import cells_title, draw_cells
from widthwise.figures.held_out import draw_held_out, held_out_title
from widthwise.figures.over_axes import draw_axes, moving
from widthwise.figures.panel import fitting
from widthwise.figures.svg import FAINT, GRID, PAPER, add, document, text
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.holdout import HeldOutCell
from widthwise.sweeps.prediction import SweepPrediction

WIDTH, EDGE = 480, 14  # pixels: a phone shows 380 of them
CURVES = (
    "dots: mean losses; line: the fitted curve; diamond: optimum",
    "with its 95 % interval; arrow: it may lie beyond; ×: diverged",
)
AXES = (
    "dots: optima, 95 %; open with an arrow: a bound; line: prediction",
    "dark band: 95 % of the law; light: of a cell; diamond: asked",
)
SCORE = ("bars: 95 % intervals; red: missed; open: a bound", "octaves off: the median; dashes: one octave")


def sweep_report(
    fit: SweepFit, *, predictions: Sequence[SweepPrediction] = (), held_out: Sequence[HeldOutCell] = ()
) -> str:
    """Draw a fitted sweep as an SVG document that is readable from 380 pixels up, on its own light background."""
    root = document(WIDTH, 0, "A learning-rate sweep")
    paper = add(root, "rect", width=WIDTH, rx=6, fill=PAPER, stroke=GRID)
    SubElement(root, "desc").text = f"{len(fit.cells)} cells over {', '.join(fit.cells[0].axes) or 'no axis'}"
    end = _heading(root, 8, cells_title(fit), CURVES)
    end = draw_cells(root, fit, end, WIDTH)
    if moving(fit):
        end = _heading(root, end, "Best learning rate over each axis", AXES)
        end = draw_axes(root, fit, predictions, end, WIDTH)
    if held_out:
        end = _heading(root, end, held_out_title(held_out), SCORE)
        end = draw_held_out(root, held_out, end + 6)
    height = f"{end + 8:.0f}"
    paper.set("height", height)
    root.set("height", height)
    root.set("viewBox", f"0 0 {WIDTH} {height}")
    indent(root)
    return tostring(root, encoding="unicode")


def _heading(root: Element, top: float, title: str, notes: Sequence[str]) -> float:
    """Write the title of a part and what its marks mean; return where they end."""
    text(root, EDGE, top + 20, fitting(title, WIDTH - 2 * EDGE, 15), size=15, weight="600")
    for line, note in enumerate(notes):
        text(root, EDGE, top + 38 + 15 * line, note, size=12, fill=FAINT)
    return top + 38 + 15 * len(notes)
