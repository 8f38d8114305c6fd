"""The exponents in force, theory's or measured, split over fans: everything that does not depend on a model's sizes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.exponents import Exponents
from widthwise.theory.alignment import Alignment
from widthwise.theory.optimizers import OPTIMIZERS, update_scale
from widthwise.theory.parameterization import RoleExponents
from widthwise.theory.scaling import Power, RoleScaling, role_scalings
from widthwise.theory.stability import required_feature_change, theoretical_exponents
from widthwise.theory.tied import tied_exponents
from widthwise.version import VERSION
from widthwise.vocabulary import Form, Optimizer, Parameterization, Role, WeightDecayMode, known_word

MAX_EXPONENT = 5  # chosen: far beyond any theory or measurement, and multipliers stay finite for any shape
REFERENCE = "Everett et al. 2024, arXiv 2407.05872, Table 1"


class Scheme(NamedTuple):
    """The words of a request that theory's exponents depend on."""

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: Alignment
    form: Form
    weight_decay_mode: WeightDecayMode


@dataclass(frozen=True, slots=True)
class ExponentsInForce:
    """Everything that depends only on the words of a request and the exponents, not on its sizes."""

    scalings: Mapping[Role, RoleScaling]
    tied_scalings: Mapping[Role, RoleScaling]  #: for an embedding and a readout that share weights
    tie_cautions: tuple[Caution, ...]
    gradient: Mapping[Role, float]  #: g in force
    layer_rules: Mapping[Role, str]  #: ends the reason of a role
    rules: Mapping[Role, str]  #: ends the reason of a tensor
    tied_rules: Mapping[Role, str]
    provenance: Mapping[str, Any]


def exponents_in_force(words: Scheme, exponents: Exponents | None) -> ExponentsInForce:
    """Return theory's exponents for these words, or the ones given instead."""
    return theory_in_force(words) if exponents is None else measured_in_force(words, exponents)


@lru_cache(maxsize=1024)  # theory has 6 × 12 × 2 prescriptions in three modes; measured alignments add a few
def theory_in_force(words: Scheme) -> ExponentsInForce:
    """Return theory's exponents for these words."""
    theory = theoretical_exponents(words.parameterization, words.optimizer, words.alignment, form=words.form)
    c = {role: float(e.c) for role, e in theory.items()}
    g = {role: float(e.g) for role, e in theory.items()}
    return _scaled(words, theory, c, g, {"source": "theory", "reference": REFERENCE})


def measured_in_force(words: Scheme, exponents: Exponents) -> ExponentsInForce:
    """Like `theory_in_force`, with given exponents instead of theory's."""
    kind, optimizer, align, form, _ = words
    theory = theoretical_exponents(kind, optimizer, align, form=form)
    measured_in = theoretical_exponents(kind, optimizer, align, form=exponents.form)
    c = {role: float(e.c) for role, e in theory.items()}
    g = {role: float(e.g) for role, e in theory.items()}
    for key, value in exponents.learning_rate.items():
        role = known_word(Role, key, "exponents.learning_rate")
        c[role] = _finite(value, role) + float(theory[role].c - measured_in[role].c)
    for key, value in exponents.epsilon.items():
        role = known_word(Role, key, "exponents.epsilon")
        g[role] = _finite(value, role) + float(theory[role].g - measured_in[role].g)
    shift = {"shift": exponents.shift} if exponents.shift else {}
    return _scaled(words, theory, c, g, {"source": exponents.source, **shift, **exponents.details})


def _finite(value: float, role: Role) -> float:
    if not math.isfinite(value) or abs(value) > MAX_EXPONENT:
        raise InvalidInputError(
            f"the exponent given for {role.value} is {value}; it must lie within ±{MAX_EXPONENT}", field="exponents"
        )
    return float(value)


def _scaled(
    words: Scheme,
    theory: Mapping[Role, RoleExponents],
    c: Mapping[Role, float],
    g: Mapping[Role, float],
    exponents: Mapping[str, Any],
) -> ExponentsInForce:
    """Return what is in force for these c and g; `exponents` says where they come from."""
    kind, optimizer, align, form, mode = words
    source = exponents.get("reference", f"{exponents['source']} exponents")
    change = float(required_feature_change(kind, align).last)
    tied_theory, tied_c, tied_g, tie_warnings = tied_exponents(theory, c, g, optimizer)
    scalings = role_scalings(kind, optimizer, theory, c=c, g=g, feature_change=change, weight_decay_mode=mode)
    tied = role_scalings(
        kind, optimizer, tied_theory, c=tied_c, g=tied_g, feature_change=change, weight_decay_mode=mode
    )
    words_of_setting = f"{kind.value}, {OPTIMIZERS[optimizer].label}, {align.name} alignment"

    def setting(role: Role) -> str:
        return f"({update_scale(optimizer, role).source or source}: {words_of_setting})"

    return ExponentsInForce(
        scalings,
        tied,
        tie_warnings,
        g,
        {
            role: f"learning rate ∝ width^{_exponent(scaling.learning_rate.total)} {setting(role)}"
            for role, scaling in scalings.items()
        },
        {role: f"{_rule(role, scaling.learning_rate)} {setting(role)}" for role, scaling in scalings.items()},
        {role: f"{_rule(role, scaling.learning_rate)} {setting(role)}" for role, scaling in tied.items()},
        MappingProxyType(
            {
                "parameterization": kind.value,
                "optimizer": optimizer.value,
                "alignment": align.name,
                "readout_omega": float(align.readout.omega),
                "form": form.value,
                "weight_decay_mode": mode.value,
                "exponents": exponents,
                "widthwise": VERSION,
            }
        ),
    )


def _rule(role: Role, power: Power) -> str:
    """Return the second half of a reason: the law of the learning rate."""
    if role is Role.SCALAR:
        return "as at the base"
    if role is Role.READOUT:
        return f"learning rate ∝ fan_in^{_exponent(power.fan_in)}"
    if role is Role.HIDDEN:
        on_out = f"·fan_out^{_exponent(power.fan_out)}" if power.fan_out else ""
        return f"learning rate ∝ fan_in^{_exponent(power.fan_in)}{on_out}"
    return f"learning rate ∝ fan_out^{_exponent(power.fan_out)}"


def _exponent(value: float) -> str:
    """Return the power in a quantity ∝ width^(−value), without a negative zero."""
    return f"{-value + 0.0:.4g}"
