"""Colours: each with the one that takes its place on a dark page, and a ramp that reads in grey and colour-blind."""

from xml.etree.ElementTree import Element, SubElement

# Figures bring their own background, so that they fit any page.
INK, FAINT, GRID, PAPER = "#1f2430", "#5b6273", "#e4e7ee", "#ffffff"
BAND, LIGHT_BAND, MISSED = "#c9d4e6", "#e3e8f1", "#b3261e"
SHADES = 32  # steps of the ramp (chosen): finer than an eye tells apart

_Rgb = tuple[int, int, int]
#: Dark to light on paper, with the hues of viridis (van der Walt and Smith 2015) and no colour too light for a line.
_RAMP: tuple[_Rgb, ...] = (
    (0x44, 0x01, 0x54),
    (0x41, 0x44, 0x87),
    (0x2A, 0x78, 0x8E),
    (0x1F, 0x94, 0x7E),
    (0x6A, 0xA4, 0x1C),
)
_DARK_RAMP: tuple[_Rgb, ...] = (
    (0x8B, 0x80, 0xF9),
    (0x4F, 0xA8, 0xF0),
    (0x35, 0xC9, 0xB0),
    (0x86, 0xDC, 0x5C),
    (0xFD, 0xE7, 0x25),
)


def _mixed(ramp: tuple[_Rgb, ...], position: float) -> str:
    at = position * (len(ramp) - 1)
    k = min(int(at), len(ramp) - 2)
    return "#" + "".join(f"{round(a + (b - a) * (at - k)):02x}" for a, b in zip(ramp[k], ramp[k + 1], strict=True))


#: By a colour on paper, the one on a dark page.
DARK = {
    INK: "#e6e8ee",
    FAINT: "#a3aabb",
    GRID: "#2b3140",
    PAPER: "#151820",
    BAND: "#30456b",
    LIGHT_BAND: "#232e45",
    MISSED: "#ff8a80",
    **{_mixed(_RAMP, k / SHADES): _mixed(_DARK_RAMP, k / SHADES) for k in range(SHADES + 1)},
}


def ramp(position: float) -> str:
    """Return a colour of the ramp: 0 for the smallest, 1 for the largest."""
    return _mixed(_RAMP, round(position * SHADES) / SHADES)


def add_dark_page(root: Element) -> None:
    """Add the rule by which a viewer that prefers a dark page sees every colour of the drawing changed.

    A renderer for print knows no such preference and draws what the attributes say.
    """
    used = {(name, colour) for each in root.iter() for name in ("fill", "stroke") if (colour := each.get(name)) in DARK}
    rules = "".join(
        f'.widthwise[{name}="{colour}"],.widthwise [{name}="{colour}"]{{{name}:{DARK[colour]}}}'
        for name, colour in sorted(used)
    )
    root.set("class", "widthwise")
    style = SubElement(root, "style")
    style.text = f"@media (prefers-color-scheme: dark){{{rules}}}"
    root.remove(style)
    root.insert(1, style)  # after the title, before all that it styles
