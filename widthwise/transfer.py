"""From a tuned base to every hyperparameter of the target: role by role, tensor by tensor."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from widthwise import alignment as alignments
from widthwise.alignment import Alignment, AlignmentLike, Number
from widthwise.cautions import cautions
from widthwise.errors import InvalidInputError
from widthwise.model import Base, Target, by_role
from widthwise.optimizers import default_weight_decay_mode, epsilon_power
from widthwise.parameterization import RoleExponents
from widthwise.plan import Caution, LayerPlan, Plan, Quantity, TensorPlan
from widthwise.scaling import Multipliers, RoleScaling, role_scalings
from widthwise.stability import required_feature_change, theoretical_exponents
from widthwise.tensors import Fans, Placement, Tensor, check_layout, place
from widthwise.tied import tied_exponents, tied_names
from widthwise.vocabulary import Form, Layout, Optimizer, Parameterization, Role, WeightDecayMode
from widthwise.version import VERSION

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
    details: Mapping[str, Any] = field(default_factory=dict)  #: goes into the provenance as it is


def transfer(
    *,
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    base: Base,
    target: Target,
    alignment: AlignmentLike = "full",
    tensors: Sequence[Tensor] = (),
    layout: Layout | str | None = None,
    exponents: Exponents | None = None,
    weight_decay_mode: WeightDecayMode | str | None = None,
    form: Form | str = Form.TABLE_9,
    readout_omega: Number | None = None,
) -> Plan:
    """Transfer the base's hyperparameters to the target.

    Every quantity of a role is base value × (target width / base width)^(−exponent); a tensor uses the ratios of its
    own fan-in and fan-out.  `weight_decay_mode` says how the trainer applies λ (default: decoupled; for SGD coupled,
    which is the same there).  Raises InvalidInputError, and UnplacedTensorsError for tensors that can't be placed.

    >>> plan = transfer(parameterization="standard", optimizer="adam",
    ...                 base=Base(width=256, learning_rate=0.003, epsilon=1e-8), target=Target(width=4096))
    >>> plan.layer("hidden").learning_rate
    Quantity(value=0.0001875, multiplier=0.0625, exponent=1.0)
    """
    kind, opt = (
        _word(Parameterization, parameterization, "parameterization"),
        _word(Optimizer, optimizer, "optimizer"),
    )
    shape, order = _word(Form, form, "form"), check_layout(layout)
    align = alignments.parse(alignment, readout_omega)
    mode = (
        default_weight_decay_mode(opt)
        if weight_decay_mode is None
        else _word(WeightDecayMode, weight_decay_mode, "weight_decay_mode")
    )
    if (base.width is None) != (target.width is None):
        missing = "base" if base.width is None else "target"
        raise InvalidInputError(f"{missing}.width is missing; give both widths or neither", field=f"{missing}.width")
    if base.width is None and not tensors:
        raise InvalidInputError("nothing to transfer: give base.width and target.width, or tensors", field="base.width")

    theory = theoretical_exponents(kind, opt, align, form=shape)
    c = {role: float(e.c) for role, e in theory.items()}
    g = {role: float(e.g) for role, e in theory.items()}
    if exponents is not None:
        c, g = _replaced(exponents, kind, opt, align, theory)
    change = float(required_feature_change(kind, align).last)

    def scalings_of(
        exponents_of: Mapping[Role, RoleExponents],
        learning_rate: Mapping[Role, float],
        gradient: Mapping[Role, float],
    ) -> Mapping[Role, RoleScaling]:
        return role_scalings(
            kind,
            opt,
            exponents_of,
            learning_rate=learning_rate,
            gradient=gradient,
            feature_change=change,
            weight_decay_mode=mode,
        )

    scalings = scalings_of(theory, c, g)
    placements = place(tensors, order)
    tied = tied_names(tensors, placements)
    tied_scalings = scalings
    tie_warnings: tuple[Caution, ...] = ()
    if tied:
        tied_theory, tied_c, tied_g, tie_warnings = tied_exponents(theory, c, g, opt)
        tied_scalings = scalings_of(tied_theory, tied_c, tied_g)
    words = _Words(kind, opt, align, exponents)
    return Plan(
        layers=tuple(_layers(base, target, opt, scalings, words)),
        tensors=tuple(_tensor_plans(tensors, placements, base, opt, scalings, tied, tied_scalings, words)),
        warnings=(
            *cautions(
                parameterization=kind,
                alignment=align,
                base=base,
                target=target,
                tensors=tensors,
                placements=placements,
                g=g,
                has_epsilon=epsilon_power(opt) > 0,
            ),
            *tie_warnings,
        ),
        provenance={
            "parameterization": kind.value,
            "optimizer": opt.value,
            "alignment": align.name,
            "readout_omega": float(align.readout.omega),
            "form": shape.value,
            "weight_decay_mode": mode.value,
            "exponents": {"source": "theory", "reference": REFERENCE}
            if exponents is None
            else {"source": exponents.source, **exponents.details},
            "widthwise": VERSION,
        },
    )


Word = TypeVar("Word", bound=StrEnum)


def _word(kind: type[Word], value: Word | str, name: str) -> Word:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        raise InvalidInputError(f"{name} is {value!r}; give one of {known}", field=name) from None


def _replaced(
    exponents: Exponents,
    kind: Parameterization,
    optimizer: Optimizer,
    align: Alignment,
    theory: Mapping[Role, RoleExponents],
) -> tuple[dict[Role, float], dict[Role, float]]:
    """Learning-rate and gradient exponents in force: theory's, replaced where others are given."""
    measured_in = theoretical_exponents(kind, optimizer, align, form=exponents.form)
    c = {role: float(e.c) for role, e in theory.items()}
    g = {role: float(e.g) for role, e in theory.items()}
    for key, value in exponents.learning_rate.items():
        role = _word(Role, key, "exponents.learning_rate")
        c[role] = float(value) + float(theory[role].c - measured_in[role].c)
    for key, value in exponents.epsilon.items():
        role = _word(Role, key, "exponents.epsilon")
        g[role] = float(value) + float(theory[role].g - measured_in[role].g)
    return c, g


@dataclass(frozen=True, slots=True)
class _Words:
    """What every reason repeats: the setting and the source."""

    parameterization: Parameterization
    optimizer: Optimizer
    alignment: Alignment
    exponents: Exponents | None

    @property
    def source(self) -> str:
        setting = f"{self.parameterization.value}, {self.optimizer.value}, {self.alignment.name} alignment"
        if self.exponents is None:
            return f"{REFERENCE}: {setting}"
        return f"{self.exponents.source} exponents: {setting}"


def _layers(
    base: Base,
    target: Target,
    optimizer: Optimizer,
    scalings: Mapping[Role, RoleScaling],
    words: _Words,
) -> Iterator[LayerPlan]:
    if base.width is None or target.width is None:
        return
    for role, scaling in scalings.items():
        if role is Role.SCALAR:
            fans = Fans(1, 1, 1, 1)
        else:
            fans = Fans(base.width, target.width, base.width, target.width)
        reason = f"width ×{fans.ratio_in:.6g}: learning rate ∝ width^{_exponent(scaling.learning_rate.total)}"
        yield LayerPlan(role, *_quantities(role, scaling, fans, base, optimizer), f"{reason} ({words.source})")


def _tensor_plans(
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    base: Base,
    optimizer: Optimizer,
    scalings: Mapping[Role, RoleScaling],
    tied: frozenset[str],
    tied_scalings: Mapping[Role, RoleScaling],
    words: _Words,
) -> Iterator[TensorPlan]:
    source = words.source
    # Large models repeat few shapes many times: what depends on role and fans alone is worked out once.
    known: dict[tuple[Role, Fans, bool], tuple[Any, ...]] = {}
    for tensor, (role, fans, _, _) in zip(tensors, placements, strict=True):
        is_tied = tensor.name in tied
        shared = known.get((role, fans, is_tied))
        if shared is None:
            scaling = (tied_scalings if is_tied else scalings)[role]
            owner_role = Role.EMBEDDING if is_tied else role  # tied weights are tuned once, as the embedding
            _require_learning_rate(base, owner_role, tensor)
            quantities = _quantities(owner_role, scaling, fans, base, optimizer)
            shared = known[role, fans, is_tied] = (*quantities, _reason(role, scaling, fans, source))
        yield TensorPlan(tensor.name, role, fans.target_in, fans.target_out, tensor.tied_to, *shared)


def _require_learning_rate(base: Base, role: Role, tensor: Tensor) -> None:
    if base.learning_rate is not None and by_role(base.learning_rate, role) is None:
        raise InvalidInputError(
            f"base.learning_rate has no entry for role {role.value!r}, which tensor {tensor.name!r} has; add one, "
            "or give the tensor another role",
            field="base.learning_rate",
        )


def _quantities(
    role: Role, scaling: RoleScaling, fans: Fans, base: Base, optimizer: Optimizer
) -> tuple[Quantity, Quantity | None, Quantity, Quantity, Quantity, Quantity]:
    m: Multipliers = scaling.multipliers(fans)
    learning_rate = by_role(base.learning_rate, role)
    gamma = by_role(base.gamma, role)
    if learning_rate is not None and gamma is not None:
        learning_rate *= gamma

    def quantity(value: float | None, multiplier: float, exponent: float) -> Quantity:
        return Quantity(None if value is None else value * multiplier, multiplier, exponent + 0.0)  # no −0.0

    epsilon = None
    if epsilon_power(optimizer):
        epsilon = quantity(by_role(base.epsilon, role), m.epsilon, scaling.epsilon.total)
    return (
        quantity(learning_rate, m.learning_rate, scaling.learning_rate.total),
        epsilon,
        quantity(by_role(base.init_std, role), m.init_std, scaling.init_std.total),
        quantity(1.0, m.forward_multiplier, scaling.forward_multiplier.total),
        quantity(by_role(base.weight_decay, role), m.weight_decay, scaling.weight_decay_exponent),
        quantity(by_role(base.gradient_rms, role), m.gradient_rms, scaling.gradient_rms.total),
    )


def _reason(role: Role, scaling: RoleScaling, fans: Fans, source: str) -> str:
    power = scaling.learning_rate
    parts = []
    if role is Role.HIDDEN or role is Role.READOUT:
        parts.append(("fan_in", fans.ratio_in, power.fan_in))
    if role is not Role.READOUT and role is not Role.SCALAR:
        parts.append(("fan_out", fans.ratio_out, power.fan_out))
    if not parts:
        return f"no axis grows: as at the base ({source})"
    grown = ", ".join(f"{name} ×{ratio:.6g}" for name, ratio, _ in parts)
    rule = "·".join(f"{name}^{_exponent(e)}" for name, _, e in parts if e) or "1"
    return f"{grown}: learning rate ∝ {rule} ({source})"


def _exponent(value: float) -> str:
    """The power that a quantity ∝ width^(−value) carries, without a negative zero."""
    return f"{-value + 0.0:.4g}"


__all__ = ["Base", "Caution", "Exponents", "Plan", "Target", "Tensor", "transfer"]
