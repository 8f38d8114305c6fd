"""What depends on the words of a request alone: its exponents, split over fans, and how its reasons are worded."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from widthwise.errors import InvalidInputError
from widthwise.theory.alignment import Alignment
from widthwise.theory.parameterization import RoleExponents
from widthwise.theory.scaling import Power, RoleScaling, role_scalings
from widthwise.theory.stability import required_feature_change, theoretical_exponents
from widthwise.theory.tied import tied_exponents
from widthwise.transfers.plan import Caution
from widthwise.version import VERSION
from widthwise.vocabulary import Form, Optimizer, Parameterization, Role, WeightDecayMode, known_word

MAX_EXPONENT = 5  # chosen: no theory or measurement comes near, and multipliers stay finite for any shape
MAX_SHIFT = 8  # octaves between base and target (chosen): ×256, far from where an expansion in 1/width means anything
REFERENCE = "Everett et al. 2024, arXiv 2407.05872, Table 1"


@dataclass(frozen=True, slots=True)
class Exponents:
    """Exponents that replace theory's: measured ones, or a user's own.

    `learning_rate` and `epsilon` map roles to c and g; roles left out keep theory's.  `form` is the form of muP that
    they were measured in; a transfer in another form converts them.
    """

    learning_rate: Mapping[Role | str, float] = field(default_factory=dict)
    epsilon: Mapping[Role | str, float] = field(default_factory=dict)
    form: Form | str = Form.TABLE_9
    source: str = "custom"
    widths: Sequence[int] = ()  #: behind the measurement, for the warnings
    #: 95 % intervals of the learning-rate exponents by role, in the same form; None where there is none
    intervals: Mapping[Role | str, tuple[float, float] | None] = field(default_factory=dict)
    #: k, octaves × width: at width n every best learning rate lies k/n octaves below its limit (2505.02222)
    shift: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)  #: goes into the provenance as it is


class Words(NamedTuple):
    """The words of a request: what its exponents depend on."""

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: Alignment
    form: Form
    weight_decay_mode: WeightDecayMode


@dataclass(frozen=True, slots=True)
class Setting:
    """Everything that depends on the words of a request alone, not on its sizes."""

    scalings: Mapping[Role, RoleScaling]
    tied_scalings: Mapping[Role, RoleScaling]  #: for an embedding and a readout that share weights
    tie_warnings: tuple[Caution, ...]
    gradient: Mapping[Role, float]  #: g in force
    layer_rules: Mapping[Role, str]  #: ends the reason of a role
    rules: Mapping[Role, str]  #: ends the reason of a tensor
    tied_rules: Mapping[Role, str]
    provenance: Mapping[str, Any]


@lru_cache(maxsize=256)  # theory has 4 × 6 × 2 settings in three forms and modes; measured alignments add a few
def theory_setting(words: Words) -> Setting:
    """Theory's exponents for these words."""
    theory = theoretical_exponents(words.parameterization, words.optimizer, words.alignment, form=words.form)
    c = {role: float(e.c) for role, e in theory.items()}
    g = {role: float(e.g) for role, e in theory.items()}
    return _scaled(words, theory, c, g, {"source": "theory", "reference": REFERENCE})


def measured_setting(words: Words, exponents: Exponents) -> Setting:
    """As `theory_setting`, with the exponents given in place of theory's."""
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


def shift_multiplier(shift: float, widths: tuple[int, int] | None) -> float:
    """What the finite-width shift k adds to every learning rate between the base and the target width: 2^(k/b − k/n).

    1 where the widths are not known, and exactly 1 where they are equal. Raises InvalidInputError for more than
    `MAX_SHIFT` octaves.

    >>> shift_multiplier(64.0, (64, 128))
    1.4142135623730951
    """
    if not shift or widths is None:
        return 1.0
    base, target = widths
    octaves = shift * (1 / base - 1 / target)
    if not abs(octaves) <= MAX_SHIFT:  # a NaN is refused as well
        raise InvalidInputError(
            f"a finite-width shift of {shift} octaves × width moves the learning rate by {octaves:.3g} octaves from "
            f"width {base} to {target}, beyond ±{MAX_SHIFT}; give the shift measured, or a wider base",
            field="exponents.shift",
        )
    multiplier: float = 2.0**octaves
    return multiplier


def _finite(value: float, role: Role) -> float:
    if not math.isfinite(value) or abs(value) > MAX_EXPONENT:
        raise InvalidInputError(
            f"the exponent given for {role.value} is {value}; it must lie within ±{MAX_EXPONENT}", field="exponents"
        )
    return float(value)


def _scaled(
    words: Words,
    theory: Mapping[Role, RoleExponents],
    c: Mapping[Role, float],
    g: Mapping[Role, float],
    exponents: Mapping[str, Any],
) -> Setting:
    """The setting for the c and g in force; `exponents` says where they come from."""
    kind, optimizer, align, form, mode = words
    source = exponents.get("reference", f"{exponents['source']} exponents")
    change = float(required_feature_change(kind, align).last)
    tied_theory, tied_c, tied_g, tie_warnings = tied_exponents(theory, c, g, optimizer)
    scalings = role_scalings(kind, optimizer, theory, c=c, g=g, feature_change=change, weight_decay_mode=mode)
    tied = role_scalings(
        kind, optimizer, tied_theory, c=tied_c, g=tied_g, feature_change=change, weight_decay_mode=mode
    )
    setting = f"({source}: {kind.value}, {optimizer.value}, {align.name} alignment)"
    return Setting(
        scalings,
        tied,
        tie_warnings,
        g,
        {
            role: f"learning rate ∝ width^{_exponent(scaling.learning_rate.total)} {setting}"
            for role, scaling in scalings.items()
        },
        {role: f"{_rule(role, scaling.learning_rate)} {setting}" for role, scaling in scalings.items()},
        {role: f"{_rule(role, scaling.learning_rate)} {setting}" for role, scaling in tied.items()},
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
    """The second half: what the learning rate follows."""
    if role is Role.SCALAR:
        return "as at the base"
    if role is Role.READOUT:
        return f"learning rate ∝ fan_in^{_exponent(power.fan_in)}"
    if role is Role.HIDDEN:
        on_out = f"·fan_out^{_exponent(power.fan_out)}" if power.fan_out else ""
        return f"learning rate ∝ fan_in^{_exponent(power.fan_in)}{on_out}"
    return f"learning rate ∝ fan_out^{_exponent(power.fan_out)}"


def _exponent(value: float) -> str:
    """The power that a quantity ∝ width^(−value) carries, without a negative zero."""
    return f"{-value + 0.0:.4g}"
