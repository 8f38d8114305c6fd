"""A measured exponent, and what each measurement of a calibration hands on: a part of the result."""

from dataclasses import dataclass
from typing import Any, Protocol

from widthwise.caution import Caution
from widthwise.vocabulary import ExponentQuantity, ExponentRole


@dataclass(frozen=True)
class ExponentEstimate:
    """A measured exponent."""

    quantity: ExponentQuantity
    role: ExponentRole
    value: float  #: with the sign that the quantity's law gives it
    standard_error: float
    interval: tuple[float, float] | None  #: 95 %; None at zero degrees of freedom
    degrees_of_freedom: int
    theory: float | None
    widths: tuple[int, ...]  #: behind the fit


class Part(Protocol):
    """What one kind of measurement found: its own JSON, the exponents to store, the reasons to trust it less."""

    @property
    def exponents(self) -> tuple[ExponentEstimate, ...]:
        """Exponents to store; distinct in (quantity, role) among all parts of a calibration."""

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """Reasons to trust it less."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, all finite."""
