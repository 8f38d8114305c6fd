"""Ticks: decades and 1-2-5 on an axis, labelled where the labels fit, and how numbers are written next to them."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from widthwise.figures.lettering import length

LABELLED = ((1, 2, 5), (1, 5), (1, 2), (1,))  # of each decade, from dense to sparse
PREFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))  # B: how the field writes parameters and tokens
LONGEST = 12  # letters of a loss on an axis (chosen)
CLOSE = 7  # pixels between two lines at least (chosen)


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float  #: in the units of the axis
    label: str  #: empty where it has no room


def log_ticks(low: float, high: float, pixels: float, size: int = 12, *, upright: bool = False) -> list[Tick]:
    """Return ticks at log2 of round values, with labels that do not touch.

    Decades and their multiples by 2 and 5; where fewer than two of these are in sight, multiples of a round step.
    upright: the labels stand above each other and take a line each.
    """
    room = _Room(low, high, pixels, size, upright)
    values = [digit * 10.0**k for k in _decades(low, high) for digit in (1, 2, 5) if low <= digit * 10.0**k <= high]
    if len(values) < 2:
        return [Tick(math.log2(value), short(value)) for value in _close(low, high, room.fit)]
    labelled = room.labelled(values)
    if (math.log2(values[1] / values[0]) * room.per_octave) < CLOSE:
        values = labelled
    return [Tick(math.log2(value), short(value) if value in labelled else "") for value in values]


def width_ticks(low: float, high: float, pixels: float, size: int = 12) -> list[Tick]:
    """Return ticks at log2 of powers of two, as widths go, with labels that do not touch."""
    powers = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
    values = [2.0**k for k in powers]
    room = _Room(low, high, pixels, size, upright=False)
    for step in range(1, len(values) + 1):
        if room.fit(values[::step], integer):
            return [Tick(math.log2(value), integer(value)) for value in values[::step]]
    return log_ticks(low, high, pixels, size)


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values between two values of a linear axis."""
    step = tick_step(high - low)
    while math.floor(high / step) - math.ceil(low / step) + 1 > most:
        step = tick_step(8 * step * 1.01)
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def loss_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return ticks of a linear axis, all with as many decimals as their step needs."""
    values = linear_ticks(low, high, most)
    step = values[1] - values[0] if len(values) > 1 else tick_step(high - low)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = [f"{value:.{decimals}f}" for value in values]
    if max(map(len, labels), default=0) > LONGEST:
        labels = [f"{value:.6g}" for value in values]
    return [Tick(value, label) for value, label in zip(values, labels, strict=True)]


def tick_step(span: float) -> float:
    """Return a round step, 1, 2 or 5 times a power of ten, that makes four to ten ticks."""
    rough = span / 8
    power = 10.0 ** math.floor(math.log10(rough))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)


def short(value: float) -> str:
    """Return a number in a few letters: 2e-3, 0.05, 512, 1.5M, 50B.

    >>> [short(v) for v in (0.002, 0.05, 512.0, 1507328.0, 5e10)]
    ['2e-3', '0.05', '512', '1.51M', '50B']
    """
    if value < 0.01:
        digits, power = f"{value:.2e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    if value >= 1e15:
        digits, power = f"{value:.2e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    for size, letter in PREFIXES:
        if value >= size and (size > 1e3 or value >= 1e4):
            return f"{value / size:.3g}{letter}"
    return f"{value:.4g}"


def integer(value: float) -> str:
    """Return a width in digits, shorter from a million on."""
    return f"{value:.0f}" if value < 1e6 else short(value)


class _Room(NamedTuple):
    """The length of a logarithmic axis, and which labels fit on it."""

    low: float
    high: float
    pixels: float
    size: int
    upright: bool

    @property
    def per_octave(self) -> float:
        return self.pixels / max(math.log2(self.high / self.low), 1e-9)

    def fit(self, values: Sequence[float], words: Callable[[float], str] = short) -> bool:
        """Return whether no two labels touch, nor say the same."""
        labels = [words(value) for value in values]
        if len(set(labels)) < len(labels):
            return False
        sizes = [self.size * 0.8 if self.upright else length(label, self.size) for label in labels]
        gaps = [math.log2(b / a) * self.per_octave for a, b in pairwise(values)]
        return all(gap > (a + b) / 2 + self.size / 2 for gap, a, b in zip(gaps, sizes, sizes[1:], strict=False))

    def labelled(self, values: Sequence[float]) -> list[float]:
        """Return the values with a label: as dense a regular choice as fits, or two, or one."""
        for digits in LABELLED:
            found = [value for value in values if round(value / 10.0 ** _decade(value)) in digits]
            if len(found) > 1 and self.fit(found):
                return found
        tens = [value for value in values if round(value / 10.0 ** _decade(value)) == 1]
        for step in range(2, len(tens)):
            if self.fit(tens[::step]):
                return tens[::step]
        ends = [values[0], values[-1]]
        return ends if self.fit(ends) else tens[:1] or ends[:1]


def _decades(low: float, high: float) -> range:
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


def _decade(value: float) -> int:
    return math.floor(math.log10(value) + 1e-9)


def _close(low: float, high: float, fit: Callable[[Sequence[float]], bool]) -> list[float]:
    """Return a few round values between two that are less than a decade apart."""
    step = tick_step(2 * (high - low))
    found: list[float] = []
    for _ in range(4):
        found = [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if len(found) <= 5 and fit(found):
            return found
        step = tick_step(8 * step * 1.01)
    return found[:1]
