"""A named rule in force: the same factors for every tensor, or other ones within the residual blocks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from widthwise.caution import Caution
from widthwise.rules.contract import NO_CHANGES, Changes, Factors, Subject
from widthwise.vocabulary import QuantityName, Role

_OUTSIDE = (Role.EMBEDDING, Role.READOUT)  # of the line of a role, which has no tensor to ask


@dataclass(frozen=True, slots=True)
class Everywhere:
    """One set of factors for all tensors."""

    source: str
    multipliers: Mapping[QuantityName, float]
    reason: str
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, _subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """The same for every tensor and role."""
        return Factors(self.multipliers, self.reason)


@dataclass(frozen=True, slots=True)
class ByBlock:
    """One set of factors within the residual blocks and another outside of them."""

    source: str
    inside: Factors
    outside: Factors
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """Those of the blocks for a tensor in one; a role's line is for its tensors in blocks, if it has any there."""
        in_block = subject.role not in _OUTSIDE if subject.in_block is None else subject.in_block
        return self.inside if in_block else self.outside
