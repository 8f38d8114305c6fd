"""Axes: where a data point lies in the plot."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Axes:
    """Two linear axes over a rectangle of pixels; y grows upwards in the data and downwards in the image."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    left: float
    right: float
    top: float
    bottom: float

    def x(self, value: float) -> float:
        """Pixels from the left."""
        return self.left + (value - self.x_low) / (self.x_high - self.x_low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Pixels from the top."""
        return self.bottom - (value - self.y_low) / (self.y_high - self.y_low) * (self.bottom - self.top)
