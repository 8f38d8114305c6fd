"""The figure of a plan: how each quantity of each role goes from the base's width to the target's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from xml.etree.ElementTree import Element, SubElement

from widthwise.errors import InvalidInputError
from widthwise.figures.axes import Axes
from widthwise.figures.colours import ramp
from widthwise.figures.figure import Figure, Rows
from widthwise.figures.keys import Key, draw_keys
from widthwise.figures.panel import TICK, WIDTH, draw_panel, heading, paper
from widthwise.figures.svg import add, document, key_line, text, written
from widthwise.figures.ticks import log_ticks, width_ticks
from widthwise.transfers.plan import LayerPlan, Plan
from widthwise.vocabulary import QUANTITIES, QuantityName

TITLE = "From base to target"
COLUMNS, ACROSS, GAP = 2, 52, 12  # panels in a row; pixels to the left and to the right of each
HEIGHT, OVER, UNDER = 120, 22, 34  # pixels of a frame, above and under it
MARGIN = 0.5  # octaves around the data at least (chosen)
STRAND = 2.6  # pixels of a line (chosen)


@dataclass(frozen=True)
class _Line:
    """A quantity of a role at both ends."""

    role: str
    base: float
    target: float
    exponent: float
    place: int  #: of the role among all
    roles: int

    @property
    def colour(self) -> str:
        """By the role's place."""
        return ramp(self.place / max(self.roles - 1, 1))


def transfer_plot(plan: Plan) -> Figure:
    """Draw every quantity that the transfer changes over width, both log, with a line for each role.

    A quantity without a value at the base is drawn in multiples of it. Each line joins base and target, so it has the
    slope of everything that the plan changes. Raises `InvalidInputError` for a plan that names no widths.
    """
    widths = plan.provenance.get("widths")
    if not plan.layers or widths is None:
        raise InvalidInputError(
            "a figure is drawn over width: name the width of base and target (--base-width, --target-width)",
            field="plot",
        )
    base_width, target_width = widths
    lines = {name: _lines(plan.layers, name) for name in QUANTITIES}
    moving = [name for name, found in lines.items() if any(line.base != line.target for line in found)]
    still = [name for name, found in lines.items() if found and name not in moving]
    root = document(WIDTH, f"{TITLE}: {_setting(plan)}, width {base_width} to {target_width}")
    sheet = paper(root)
    notes = [f"{_setting(plan)}, width {base_width} to {target_width}"]
    if still:
        notes.append(f"As at the base: {', '.join(map(_words, still))}")
    end = heading(root, 8, TITLE, notes)
    each = WIDTH / COLUMNS
    for place, name in enumerate(moving):
        row, column = divmod(place, COLUMNS)
        top = end + row * (OVER + HEIGHT + UNDER) + OVER
        frame = column * each + ACROSS, (column + 1) * each - GAP, top, top + HEIGHT
        unit = "" if _has_values(plan.layers, name) else ", × base"
        _draw_panel(root, _words(name) + unit, lines[name], (base_width, target_width), frame)
    end += math.ceil(len(moving) / COLUMNS) * (OVER + HEIGHT + UNDER)
    keys = [Key(partial(_draw_key, line), line.role) for line in lines["learning_rate"]]
    end = draw_keys(root, end, keys)
    sheet.set("height", f"{end + 7:.0f}")
    return _data(plan, lines, base_width, target_width).of(TITLE, written(root, end + 8))


def _setting(plan: Plan) -> str:
    known = plan.provenance
    alignment = known.get("alignment")
    named = f"{alignment} alignment" if isinstance(alignment, str) else "measured alignment"
    return " · ".join((str(known.get("parameterization", "")), str(known.get("optimizer", "")), named))


def _words(name: str) -> str:
    return name.replace("_", " ").replace("rms", "RMS")


def _has_values(layers: Sequence[LayerPlan], name: QuantityName) -> bool:
    """Return whether every role has a value, and none that a logarithmic axis lacks."""
    found = [layer.quantities[name].value for layer in layers if name in layer.quantities]
    return all(value is not None and value > 0 for value in found)


def _lines(layers: Sequence[LayerPlan], name: QuantityName) -> list[_Line]:
    """Return each role's line in values, or in multiples of the base's."""
    absolute = _has_values(layers, name)
    lines = []
    for place, layer in enumerate(layers):
        one = layer.quantities.get(name)
        if one is None:
            continue
        target = one.value if absolute and one.value is not None else one.multiplier
        lines.append(_Line(layer.role.value, target / one.multiplier, target, one.exponent, place, len(layers)))
    return lines


def _draw_panel(
    root: Element,
    title: str,
    lines: Sequence[_Line],
    widths: tuple[int, int],
    frame: tuple[float, float, float, float],
) -> None:
    left, right, top, bottom = frame
    x_low, x_high = sorted(map(math.log2, widths))
    ends = [math.log2(end) for line in lines for end in (line.base, line.target)]
    margin = max(0.08 * (max(ends) - min(ends)), MARGIN)
    axes = Axes(x_low - 0.3, x_high + 0.3, min(ends) - margin, max(ends) + margin, left, right, top, bottom)
    text(root, left, top - 7, title, size=TICK, weight="600")
    draw_panel(
        root,
        axes,
        width_ticks(2.0**axes.x_low, 2.0**axes.x_high, right - left, TICK),
        log_ticks(2.0**axes.y_low, 2.0**axes.y_high, bottom - top, TICK, upright=True),
    )
    for line in lines:
        mark = add(root, "g", stroke=line.colour, fill=line.colour, **{"stroke-width": STRAND})
        SubElement(mark, "title").text = (
            f"{line.role}: {line.base:.3g} at width {widths[0]}, {line.target:.3g} at width {widths[1]}, "
            f"∝ width^({0.0 - line.exponent:+.2f})"
        )
        down = _apart(line, lines)
        ends_at = [
            (axes.x(math.log2(width)), axes.y(math.log2(value)) + down)
            for width, value in zip(widths, (line.base, line.target), strict=True)
        ]
        (x1, y1), (x2, y2) = ends_at
        add(mark, "line", x1=x1, y1=y1, x2=x2, y2=y2)
        for x, y in ends_at:
            add(mark, "circle", cx=x, cy=y, r=STRAND * 0.75, stroke="none")


def _apart(line: _Line, lines: Sequence[_Line]) -> float:
    """Return the pixels by which a line is drawn lower, so that lines of equal numbers lie next to each other."""
    alike = [
        other for other in lines if math.isclose(other.base, line.base) and math.isclose(other.target, line.target)
    ]
    return (alike.index(line) - (len(alike) - 1) / 2) * STRAND


def _draw_key(line: _Line, root: Element, x: float, y: float) -> None:
    key_line(root, x, y, stroke=line.colour, width=STRAND)


def _data(plan: Plan, lines: dict[QuantityName, list[_Line]], base_width: int, target_width: int) -> Rows:
    """Return a row for each quantity of each role at each end."""
    rows = Rows("quantity", "unit", "role", "width", "value", "exponent")
    for name, found in lines.items():
        unit = "value" if _has_values(plan.layers, name) else "× base"
        for line in found:
            for width, value in ((base_width, line.base), (target_width, line.target)):
                rows.add(quantity=name, unit=unit, role=line.role, width=width, value=value, exponent=line.exponent)
    return rows
