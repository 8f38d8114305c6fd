"""Ticks: round values on an axis, as many as fit, and how numbers are written next to them."""

import math
from itertools import pairwise

from widthwise.figures.svg import tick_step

DIGITS = ((1, 2, 5), (1, 3), (1,))  # of each decade, from dense to sparse
PREFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))  # B: how the field writes parameters and tokens
LETTER = 0.58  # of the font size: the width of a digit in the fonts of a plot


def log_ticks(low: float, high: float, pixels: float, size: int = 12) -> list[float]:
    """Return round values between two values of a logarithmic axis whose labels fit next to each other.

    pixels: the length of the axis; for an upright one, whose labels take a line each, give more of them.
    """
    per_decade = pixels / max(math.log10(high / low), 1e-9)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in DIGITS:
        found = [digit * 10.0**k for k in decades for digit in digits if low <= digit * 10.0**k <= high]
        if len(found) > 1 and _fit(found, per_decade, size):
            return found
    tens = [10.0**k for k in decades if low <= 10.0**k <= high]
    for step in range(2, len(tens)):
        if _fit(tens[::step], per_decade, size):
            return tens[::step]
    return tens[:1] if high / low > 10 else _close(low, high)


def _close(low: float, high: float) -> list[float]:
    """Return a few round values between two that are less than a decade apart."""
    step = tick_step(2 * (high - low))
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)][:4]


def _fit(values: list[float], per_decade: float, size: int) -> bool:
    """Return whether no two labels touch."""
    widths = [len(short(value)) * LETTER * size for value in values]
    gaps = [math.log10(b / a) * per_decade for a, b in pairwise(values)]
    return all(gap > (a + b) / 2 + size / 2 for gap, a, b in zip(gaps, widths, widths[1:], strict=False))


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values between two values of a linear axis."""
    step = tick_step(high - low)
    while math.floor(high / step) - math.ceil(low / step) + 1 > most:
        step = tick_step(8 * step * 1.01)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def short(value: float) -> str:
    """Return a number in a few letters: 2e-3, 0.05, 512, 1.5M, 50B.

    >>> [short(v) for v in (0.002, 0.05, 512.0, 1507328.0, 5e10)]
    ['2e-3', '0.05', '512', '1.51M', '50B']
    """
    if value < 0.01:
        digits, power = f"{value:.2e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    for size, letter in PREFIXES:
        if value >= size and (size > 1e3 or value >= 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"
