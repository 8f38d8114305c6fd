"""A measured exponent, and the contract of a part of a calibration's result."""

from dataclasses import dataclass
from typing import Any, Protocol

from widthwise.caution import Caution
from widthwise.vocabulary import ExponentQuantity, ExponentRole


@dataclass(frozen=True)
class ExponentEstimate:
    """A measured exponent."""

    quantity: ExponentQuantity
    role: ExponentRole
    value: float  #: with the sign in the quantity's law
    standard_error: float
    interval: tuple[float, float] | None  #: 95 %; None with zero degrees of freedom
    degrees_of_freedom: int
    theory: float | None
    widths: tuple[int, ...]  #: used in the fit


class Part(Protocol):
    """The result of one kind of measurement: its JSON, the exponents to store, the reasons to trust it less."""

    @property
    def exponents(self) -> tuple[ExponentEstimate, ...]:
        """Exponents to store; distinct in (quantity, role) among all parts of a calibration."""

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """Reasons to trust it less."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, all finite."""
