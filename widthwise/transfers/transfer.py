"""From a tuned base to every hyperparameter of the target: role by role, tensor by tensor."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from widthwise.errors import InvalidInputError
from widthwise.model import Base, Target, by_role
from widthwise.tensors.placement import Fans, Placement, Tensor, place
from widthwise.theory import alignment as alignments
from widthwise.theory.alignment import AlignmentLike, Number
from widthwise.theory.optimizers import default_weight_decay_mode, epsilon_power
from widthwise.theory.scaling import RoleScaling
from widthwise.theory.stability import theoretical_exponents
from widthwise.theory.tied import tied_names
from widthwise.transfers.cautions import cautions, measured_cautions, shift_cautions, widths_of_model
from widthwise.transfers.exponents import Exponents, Setting, Words, measured_setting, shift_multiplier, theory_setting
from widthwise.transfers.plan import QUANTITIES, Caution, LayerPlan, Plan, Quantity, TensorPlan
from widthwise.vocabulary import Form, Layout, Optimizer, Parameterization, Role, WeightDecayMode, known_word

#: Base values of one role, in the order of plan.QUANTITIES; the forward multiplier is relative to the base's.
_Values = tuple[float | None, float | None, float | None, float, float | None, float | None]

#: The quantities of one role or tensor, in the same order; no epsilon where the optimizer has none.
_Quantities = tuple[Quantity, Quantity | None, Quantity, Quantity, Quantity, Quantity]


class _Shift(NamedTuple):
    """The finite-width shift of a plan: one multiplier of all learning rates, and the end of every reason."""

    multiplier: float
    reason: str


_ROLES = tuple(Role)  # going over the enumeration itself takes ten times as long

_UNCHANGED = (1.0,) * len(QUANTITIES)

#: Quantity(…) from one tuple: the constructor of a NamedTuple takes twice as long, and a large model makes thousands.
_new_layer: Callable[[tuple[Any, ...]], LayerPlan] = partial(tuple.__new__, LayerPlan)
_new_quantity: Callable[[tuple[float | None, float, float]], Quantity] = partial(tuple.__new__, Quantity)


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
    kind = known_word(Parameterization, parameterization, "parameterization")
    opt = known_word(Optimizer, optimizer, "optimizer")
    shape = known_word(Form, form, "form")
    order = None if layout is None else known_word(Layout, layout, "layout")
    align = alignments.parse(alignment, readout_omega)
    mode = (
        default_weight_decay_mode(opt)
        if weight_decay_mode is None
        else known_word(WeightDecayMode, weight_decay_mode, "weight_decay_mode")
    )
    if (base.width is None) != (target.width is None):
        missing = "base" if base.width is None else "target"
        raise InvalidInputError(f"{missing}.width is missing; give both widths or neither", field=f"{missing}.width")
    if base.width is None and not tensors:
        raise InvalidInputError("nothing to transfer: give base.width and target.width, or tensors", field="base.width")

    words = Words(kind, opt, align, shape, mode)
    setting = theory_setting(words) if exponents is None else measured_setting(words, exponents)
    placements = place(tensors, order)
    tied = tied_names(tensors, placements)
    _require_learning_rates(base, tensors, placements)
    values = _base_values(base)
    shift = _shift(exponents, base, target, placements)
    return Plan(
        layers=tuple(_layers(base, target, values, setting, shift)),
        tensors=tuple(_tensor_plans(tensors, placements, values, setting, shift=shift, tied=tied)),
        warnings=(
            *cautions(
                parameterization=kind,
                alignment=align,
                base=base,
                target=target,
                tensors=tensors,
                placements=placements,
                g=setting.gradient,
                epsilon_power=epsilon_power(opt),
            ),
            *(setting.tie_warnings if tied else ()),
            *(() if exponents is None else _measured_cautions(words, exponents, base, target, placements)),
        ),
        provenance=setting.provenance,
    )


def _measured_cautions(
    words: Words, exponents: Exponents, base: Base, target: Target, placements: Sequence[Placement]
) -> Iterator[Caution]:
    theory = theoretical_exponents(words.parameterization, words.optimizer, words.alignment, form=exponents.form)
    widths = widths_of_model(base, target, placements)
    yield from measured_cautions(
        widths,
        exponents.widths,
        {known_word(Role, role, "exponents.intervals"): interval for role, interval in exponents.intervals.items()},
        {role: float(e.c) for role, e in theory.items()},
        shifted=bool(exponents.shift),
    )
    yield from shift_cautions(exponents.shift, widths)


def _shift(exponents: Exponents | None, base: Base, target: Target, placements: Sequence[Placement]) -> _Shift:
    """What a measured finite-width shift does to every learning rate, and the words for it."""
    if exponents is None or not exponents.shift:
        return _Shift(1.0, "")
    widths = widths_of_model(base, target, placements)
    multiplier = shift_multiplier(exponents.shift, widths)
    if widths is None:
        return _Shift(1.0, "")
    return _Shift(
        multiplier,
        f"; ×{multiplier:.4g} for a finite-width shift of {exponents.shift:.4g}/n octaves from {widths[0]} to "
        f"{widths[1]} ({exponents.source})",
    )


def _layers(
    base: Base,
    target: Target,
    values: Mapping[Role, _Values],
    setting: Setting,
    shift: _Shift,
) -> Iterator[LayerPlan]:
    if base.width is None or target.width is None:
        return
    ratio = target.width / base.width
    growth = f"width ×{ratio:.6g}"
    for role, scaling in setting.scalings.items():
        if role is Role.SCALAR:
            multipliers, reason = _UNCHANGED, f"{setting.rules[role]}{shift.reason}"
        else:  # both fans grow alike: the role's own law
            multipliers = tuple([ratio**-exponent for exponent in scaling.exponents])
            reason = f"{growth}: {setting.layer_rules[role]}{shift.reason}"
        yield _new_layer((role, *_quantities(values[role], multipliers, scaling, shift), reason))


def _tensor_plans(
    tensors: Sequence[Tensor],
    placements: Sequence[Placement],
    values: Mapping[Role, _Values],
    setting: Setting,
    *,
    shift: _Shift,
    tied: frozenset[str],
) -> Iterator[TensorPlan]:
    # Large models repeat few shapes many times: what depends on role and fans alone is worked out once.
    known: dict[tuple[Role, Fans, bool], tuple[_Quantities, str]] = {}
    for tensor, (role, fans, *_) in zip(tensors, placements, strict=True):
        is_tied = tensor.name in tied
        shared = known.get((role, fans, is_tied))
        if shared is None:
            scaling = (setting.tied_scalings if is_tied else setting.scalings)[role]
            rule = (setting.tied_rules if is_tied else setting.rules)[role]
            owner_role = Role.EMBEDDING if is_tied else role  # tied weights are tuned once, as the embedding
            quantities = _quantities(values[owner_role], scaling.multipliers(fans), scaling, shift)
            shared = known[role, fans, is_tied] = (quantities, f"{_growth(role, fans)}: {rule}{shift.reason}")
        quantities, reason = shared
        yield TensorPlan(tensor.name, role, fans.target_in, fans.target_out, tensor.tied_to, *quantities, reason)


def _require_learning_rates(base: Base, tensors: Sequence[Tensor], placements: Sequence[Placement]) -> None:
    """A learning rate given by role must cover every role that the tensors have."""
    if not isinstance(base.learning_rate, Mapping):
        return
    for tensor, placement in zip(tensors, placements, strict=True):
        if placement.role not in base.learning_rate:
            raise InvalidInputError(
                f"base.learning_rate has no entry for role {placement.role.value!r}, which tensor {tensor.name!r} has; "
                "add one, or give the tensor another role",
                field="base.learning_rate",
            )


def _base_values(base: Base) -> Mapping[Role, _Values]:
    given = (base.learning_rate, base.epsilon, base.init_std, 1.0, base.weight_decay, base.gradient_rms)
    if base.gamma is None and not any(isinstance(values, dict) for values in given):
        return dict.fromkeys(_ROLES, given)  # type: ignore[arg-type]  # no mapping is left among them
    by_roles: dict[Role, _Values] = {}
    for role in Role:
        learning_rate, gamma = by_role(base.learning_rate, role), by_role(base.gamma, role)
        if learning_rate is not None and gamma is not None:
            learning_rate *= gamma
        epsilon, init_std = by_role(base.epsilon, role), by_role(base.init_std, role)
        weight_decay, gradient_rms = by_role(base.weight_decay, role), by_role(base.gradient_rms, role)
        by_roles[role] = (learning_rate, epsilon, init_std, 1.0, weight_decay, gradient_rms)
    return by_roles


def _quantities(values: _Values, multipliers: Sequence[float], scaling: RoleScaling, shift: _Shift) -> _Quantities:
    if shift.multiplier != 1:
        first, *between, of_decay, last = multipliers
        if scaling.weight_decay_mode is WeightDecayMode.DECOUPLED:
            of_decay /= shift.multiplier  # η·λ stays
        multipliers = (first * shift.multiplier, *between, of_decay, last)
    # written out, which takes two thirds of a loop's time: every layer of every answer passes here
    rate, epsilon, std, forward, decay, gradient = values
    m_rate, m_epsilon, m_std, m_forward, m_decay, m_gradient = multipliers
    e_rate, e_epsilon, e_std, e_forward, e_decay, e_gradient = scaling.exponents
    new = _new_quantity
    return (
        new((None if rate is None else rate * m_rate, m_rate, e_rate)),
        new((None if epsilon is None else epsilon * m_epsilon, m_epsilon, e_epsilon)) if scaling.has_epsilon else None,
        new((None if std is None else std * m_std, m_std, e_std)),
        new((None if forward is None else forward * m_forward, m_forward, e_forward)),
        new((None if decay is None else decay * m_decay, m_decay, e_decay)),
        new((None if gradient is None else gradient * m_gradient, m_gradient, e_gradient)),
    )


def _growth(role: Role, fans: Fans) -> str:
    """The first half of a tensor's reason: how its fans grow."""
    base_in, target_in, base_out, target_out = fans
    if role is Role.HIDDEN:
        return f"fan_in ×{target_in / base_in:.6g}, fan_out ×{target_out / base_out:.6g}"
    if role is Role.READOUT:
        return f"fan_in ×{target_in / base_in:.6g}"
    return "no axis grows" if role is Role.SCALAR else f"fan_out ×{target_out / base_out:.6g}"
