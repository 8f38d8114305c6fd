"""The figure of a fitted sweep: curves of cells, the best rate over each axis, and how well held-out cells are met."""

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import SubElement

from widthwise.figures.cells import cells_title, draw_cells
from widthwise.figures.figure import Figure, Rows
from widthwise.figures.held_out import draw_held_out, held_out_title
from widthwise.figures.lettering import clean
from widthwise.figures.over_axes import draw_axes, moving
from widthwise.figures.panel import ABOVE, WIDTH, heading, paper
from widthwise.figures.svg import document, written
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.holdout import HeldOutCell
from widthwise.sweeps.prediction import SweepPrediction

TITLE = "A learning-rate sweep"
CURVES = (
    "dots: mean losses; line: the fitted curve; diamond: optimum",
    "with its 95 % interval; arrow: it may lie beyond; ×: diverged",
)
AXES = (
    "dots: optima, 95 %; open with an arrow: a bound; line: prediction",
    "dark band: 95 % of the law; light: of a cell; diamond: asked",
)
_COLUMNS = ("learning_rate", "loss", "low", "high", "edge")
SCORE = ("bars: 95 % intervals; red: missed; open: a bound", "octaves off: the median; dashes: one octave")


def sweep_report(
    fit: SweepFit, *, predictions: Sequence[SweepPrediction] = (), held_out: Sequence[HeldOutCell] = ()
) -> Figure:
    """Draw a fitted sweep: its cells, the law over each axis, and what was held out."""
    root = document(WIDTH, TITLE)
    SubElement(root, "desc").text = clean(f"{len(fit.cells)} cells over {', '.join(fit.cells[0].axes) or 'no axis'}")
    sheet = paper(root)
    end = draw_cells(root, fit, heading(root, 8, cells_title(fit), CURVES), WIDTH)
    if moving(fit):
        end = heading(root, end, "Best learning rate over each axis", AXES)
        end = draw_axes(root, fit, predictions, end, WIDTH)
    if held_out:
        end = heading(root, end, held_out_title(held_out), SCORE)
        end = draw_held_out(root, held_out, end + ABOVE)
    sheet.set("height", f"{end + 7:.0f}")
    return _data(fit, predictions, held_out).of(TITLE, written(root, end + 8))


def _data(fit: SweepFit, predictions: Sequence[SweepPrediction], held_out: Sequence[HeldOutCell]) -> Rows:
    """Return a row for each run, optimum, prediction and held-out cell, with the axes as columns."""
    names = {name: f"axis_{name}" if name in _COLUMNS else name for name in fit.cells[0].axes}
    rows = Rows("mark", *names.values(), *_COLUMNS)

    def add(mark: str, axes: Mapping[str, float | str], **cells: float | str | None) -> None:
        rows.add(mark=mark, **{names[name]: value for name, value in axes.items()}, **cells)

    for cell in fit.cells:
        for x, loss in zip(cell.x.tolist(), cell.losses.tolist(), strict=True):
            add("mean loss", cell.axes, learning_rate=2.0**x, loss=loss)
        for wall in (cell.wall_below, cell.wall_above):
            if wall is not None:
                add("diverged", cell.axes, learning_rate=2.0**wall)
    for one in fit.optima:
        low, high = one.interval
        add("optimum", one.axes, learning_rate=one.learning_rate, low=low, high=high, edge=one.edge)
    for asked in predictions:
        low, high = asked.interval
        add("prediction", asked.axes, learning_rate=asked.learning_rate, low=low, high=high)
    for held in held_out:
        low, high = held.prediction.interval
        add("held out", held.optimum.axes, learning_rate=held.prediction.learning_rate, low=low, high=high)
    return rows
