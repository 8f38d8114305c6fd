"""Multiplier, init and gradient exponents of the four parameterizations, and the map between equivalent ones.

A layer computes n^(−a) · W z with W ~ N(0, n^(−2b)) and learning rate ∝ n^(−c); its gradient has RMS ∝ n^(−g).
Source: Everett et al. 2024, "Scaling Exponents Across Parameterizations and Optimizers" (arXiv 2407.05872).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType

from widthwise.errors import InvalidInputError
from widthwise.theory.optimizers import update_scale
from widthwise.vocabulary import Form, Optimizer, Parameterization, Role

HALF = Fraction(1, 2)
ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class InitExponents:
    """Exponents of one role at initialisation: a quantity is proportional to width^(−exponent)."""

    a: Fraction  #: forward multiplier
    b: Fraction  #: init standard deviation
    g: Fraction  #: gradient RMS


def _with_gradients(embedding_ab: tuple, hidden_ab: tuple, readout_ab: tuple) -> Mapping[Role, InitExponents]:  # type: ignore[type-arg]
    """Complete (a, b) with g_l = a_out + b_out + a_l, g_out = a_out (Everett et al. 2024, gradient table)."""
    (a_e, b_e), (a_h, b_h), (a_o, b_o) = ((Fraction(a), Fraction(b)) for a, b in (embedding_ab, hidden_ab, readout_ab))
    backward = a_o + b_o  # the signal that the readout sends back into the features
    return MappingProxyType(
        {
            Role.EMBEDDING: InitExponents(a_e, b_e, backward + a_e),
            Role.HIDDEN: InitExponents(a_h, b_h, backward + a_h),
            Role.READOUT: InitExponents(a_o, b_o, a_o),
            # A gain or bias is an embedding of a constant, with no multiplier and an init of fixed size.
            Role.VECTOR: InitExponents(ZERO, ZERO, backward),
            Role.SCALAR: InitExponents(ZERO, ZERO, ZERO),
        }
    )


#: (a, b) of embedding, hidden and readout: Everett et al. 2024, Table 1, left columns.
_INIT: Mapping[Parameterization, Mapping[Role, InitExponents]] = MappingProxyType(
    {
        Parameterization.STANDARD: _with_gradients((0, 0), (0, HALF), (0, HALF)),
        Parameterization.NTK: _with_gradients((0, 0), (HALF, 0), (HALF, 0)),
        Parameterization.MUP: _with_gradients((-HALF, HALF), (0, HALF), (HALF, HALF)),
        Parameterization.MEAN_FIELD: _with_gradients((0, 0), (HALF, 0), (1, 0)),
    }
)

#: Shift θ of each role from Table 9, the form of Everett et al., to the other two (Tensor Programs V, 2203.03466).
_FORM_SHIFT: Mapping[Form, Mapping[Role, Fraction]] = MappingProxyType(
    {
        Form.TABLE_9: {},
        Form.TABLE_8: {Role.EMBEDDING: HALF, Role.READOUT: HALF},
        Form.TABLE_3: {Role.EMBEDDING: HALF, Role.READOUT: -HALF},
    }
)


def init_exponents(parameterization: Parameterization | str) -> Mapping[Role, InitExponents]:
    """Return the exponents (a, b, g) of every role at initialisation.

    >>> init_exponents("mup")[Role.READOUT]
    InitExponents(a=Fraction(1, 2), b=Fraction(1, 2), g=Fraction(1, 2))
    """
    return _INIT[Parameterization(parameterization)]


def backward_exponent(parameterization: Parameterization | str) -> Fraction:
    """Return a_out + b_out, the exponent of the signal sent back to the features: ½ for {SP, NTK}, 1 for {muP, MFP}."""
    readout = init_exponents(parameterization)[Role.READOUT]
    return readout.a + readout.b


def is_feature_scaled(parameterization: Parameterization | str) -> bool:
    """Return whether it belongs to the class {muP, MFP}, in which initial logits vanish with width."""
    return backward_exponent(parameterization) == 1


@dataclass(frozen=True, slots=True)
class RoleExponents:
    """All four exponents of one role: a quantity is proportional to width^(−exponent)."""

    a: Fraction  #: forward multiplier
    b: Fraction  #: init standard deviation
    c: Fraction  #: learning rate
    g: Fraction  #: gradient RMS at init, and so Adam's epsilon


def shift(
    exponents: RoleExponents, theta: Fraction, optimizer: Optimizer | str, role: Role | None = None
) -> RoleExponents:
    """Move n^(−θ) from the weights into the multiplier, leaving the trained function unchanged.

    (a, b, c, g) → (a+θ, b−θ, c−kθ, g+θ) with k = 2 for SGD, 1 for Adam and 0 for updates relative to the parameter.
    Exact in infinite precision for any θ; Adam's epsilon must follow g (Everett et al. 2024, equivalence classes).
    """
    k = update_scale(optimizer, role).shift_of_c
    return RoleExponents(exponents.a + theta, exponents.b - theta, exponents.c - k * theta, exponents.g + theta)


def convert(
    exponents: Mapping[Role, RoleExponents],
    optimizer: Optimizer | str,
    target: Parameterization | str,
) -> dict[Role, RoleExponents]:
    """Rewrite exponents in an equivalent parameterization: {standard ↔ ntk} or {mup ↔ mean_field}.

    Raises InvalidInputError if the two differ in a_out + b_out, because then no shift makes them the same function.
    """
    wanted = init_exponents(target)
    converted = {role: shift(e, wanted[role].a - e.a, optimizer, role) for role, e in exponents.items()}
    for role, e in converted.items():
        if e.b != wanted[role].b:
            raise InvalidInputError(
                f"no equivalence map leads to {Parameterization(target).value!r}: at the {role.value} a + b is "
                f"{e.a + e.b} here and {wanted[role].a + wanted[role].b} there; "
                "convert within {standard, ntk} or within {mup, mean_field}"
            )
    return converted


def in_form(
    exponents: Mapping[Role, RoleExponents], optimizer: Optimizer | str, form: Form | str
) -> dict[Role, RoleExponents]:
    """Rewrite muP's exponents from the form of Table 9 in another published form (a θ-shift by role)."""
    shifts = _FORM_SHIFT[Form(form)]
    return {
        role: shift(e, shifts[role], optimizer, role) if role in shifts else replace(e) for role, e in exponents.items()
    }
