"""Alignment of updates with activations: the exponents α, ω and u of Everett et al. 2024, section 3."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import AlignmentKind, AlignmentName

Number = Fraction | float | int

_LOWEST, _HIGHEST = Fraction(1, 2), Fraction(1)


def checked_exponent(value: Number, field: str) -> Fraction:
    """Return an alignment exponent as an exact fraction; raises InvalidInputError outside [½, 1]."""
    if math.isnan(value) or not _LOWEST <= value <= _HIGHEST:
        raise InvalidInputError(
            f"{field} is {value}; an alignment exponent lies between 0.5 (random) and 1 (aligned)",
            field=field,
        )
    return Fraction(value)


@dataclass(frozen=True, slots=True)
class RoleAlignment:
    """Alignment exponents of one role, each between ½ (random, central limit) and 1 (aligned, large numbers)."""

    alpha: Fraction  #: update of the weights with the initial activations, ΔW z
    omega: Fraction  #: initial weights with the change of the activations, W Δz
    u: Fraction  #: update of the weights with the change of the activations, ΔW Δz

    @classmethod
    def of(cls, alpha: Number, omega: Number, u: Number, *, role: str = "hidden") -> "RoleAlignment":
        """Check the three numbers and keep them exactly; raises InvalidInputError outside [½, 1]."""
        return cls(
            *(checked_exponent(v, f"alignment.{role}.{k}") for k, v in (("alpha", alpha), ("omega", omega), ("u", u)))
        )

    @property
    def p(self) -> Fraction:
        """The larger of α and u: how strongly an update acts on the activations if features move."""
        return max(self.alpha, self.u)


@dataclass(frozen=True, slots=True)
class Alignment:
    """Alignment of hidden layers and readout (embeddings have none, since their input is fixed)."""

    name: str
    hidden: RoleAlignment
    readout: RoleAlignment

    def __hash__(self) -> int:
        # Equality compares everything; hashing six fractions would cost more than the plan that is looked up.
        return hash(self.name)


FULL = Alignment(AlignmentName.FULL.value, RoleAlignment.of(1, 0.5, 1), RoleAlignment.of(1, 0.5, 1))
NONE = Alignment(AlignmentName.NONE.value, RoleAlignment.of(0.5, 0.5, 0.5), RoleAlignment.of(0.5, 0.5, 0.5))
_NAMED: Mapping[str, Alignment] = {AlignmentName.FULL: FULL, AlignmentName.NONE: NONE}

AlignmentLike = Alignment | str | Mapping[str, Mapping[str, float]]


def parse(alignment: AlignmentLike, readout_omega: Number | None = None) -> Alignment:
    """Return the alignment for a name or for measured exponents by role.

    `alignment` is "full", "none", an Alignment, or {"hidden": {"alpha", "omega", "u"}, "readout": {…}}.
    `readout_omega` replaces the readout's ω: ½ is typical of language models, 1 is muP's worst case
    (Everett et al. 2024, section 3.2).  Default: ½ for named alignments, the measured value otherwise.
    """
    if isinstance(alignment, Alignment):
        parsed = alignment
    elif isinstance(alignment, str):
        if alignment not in _NAMED:
            raise InvalidInputError(
                f"alignment is {alignment!r}; give 'full', 'none' or the measured exponents by role",
                field="alignment",
            )
        parsed = _NAMED[alignment]
    else:
        parsed = _measured(alignment)
    if readout_omega is None:
        return parsed
    omega = checked_exponent(readout_omega, "readout_omega")
    return replace(parsed, readout=replace(parsed.readout, omega=omega))


def kind_of(alignment: str | Mapping[str, Mapping[str, float]]) -> AlignmentKind:
    """Return the kind of a specification's alignment, under which exponents are stored and found.

    >>> kind_of("full").value, kind_of({"hidden": {}, "readout": {}}).value
    ('full', 'measured')
    """
    return AlignmentKind(alignment) if isinstance(alignment, str) else AlignmentKind.MEASURED


def _measured(by_role: Mapping[str, Mapping[str, float]]) -> Alignment:
    if set(by_role) != {"hidden", "readout"}:
        raise InvalidInputError(
            f"measured alignment names {sorted(by_role)}; it needs exactly 'hidden' and 'readout'",
            field="alignment",
        )
    roles = {}
    for role, values in by_role.items():
        if set(values) != {"alpha", "omega", "u"}:
            raise InvalidInputError(
                f"alignment.{role} names {sorted(values)}; it needs exactly 'alpha', 'omega' and 'u'",
                field=f"alignment.{role}",
            )
        roles[role] = RoleAlignment.of(values["alpha"], values["omega"], values["u"], role=role)
    return Alignment(AlignmentKind.MEASURED.value, roles["hidden"], roles["readout"])
