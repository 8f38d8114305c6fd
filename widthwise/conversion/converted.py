"""A converted number, and what the conversion rests on."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Converted:
    """A number in another convention."""

    value: float
    exact: bool  #: True: the same update, step by step; False: a heuristic, which `reason` names
    reason: str  #: the identity or the heuristic, with the source

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)
