"""From a tuned base to every hyperparameter of the target: the product of the rules in force."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.model import Base, Target, by_role
from widthwise.reading.described import DescribedModels
from widthwise.rules.beyond_width.choice import RuleChoices, chosen_rules
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.beyond_width.schedule import schedule_of
from widthwise.rules.contract import (
    Case,
    ChangeName,
    Changes,
    Rule,
    RuleInForce,
    Subject,
    stated_widths,
)
from widthwise.rules.exponents import Exponents
from widthwise.rules.in_force import exponents_in_force
from widthwise.rules.registry import RULES
from widthwise.tensors.blocks import in_block
from widthwise.tensors.multipliers import CodePower, ComputedMultiplier, of_role, of_tensors
from widthwise.tensors.placement import Placement, Tensor, place
from widthwise.tensors.ties import tied_names
from widthwise.theory.alignment import AlignmentLike, Number
from widthwise.theory.optimizers import epsilon_power
from widthwise.transfers.alternatives import alternatives
from widthwise.transfers.cautions import cautions, decay_cautions
from widthwise.transfers.model_quantities import model_plan
from widthwise.transfers.plan import (
    AS_AT_THE_BASE,
    LayerPlan,
    Plan,
    Quantity,
    RuleFactors,
    RuleNote,
    TensorPlan,
    TrainingPlan,
    TrainingQuantity,
)
from widthwise.transfers.published import compared_with_laws
from widthwise.transfers.request import TransferRequest
from widthwise.transfers.requirements import (
    require_no_wider_state_space,
    require_rule_of_rank,
    require_rule_of_sparsity,
    require_values,
)
from widthwise.vocabulary import (
    QUANTITIES,
    Form,
    Layout,
    Optimizer,
    Parameterization,
    QuantityName,
    Role,
    TensorPart,
    WeightDecayMode,
    known_word,
)

#: A rule's name with the rule in force.
_InForce = Sequence[tuple[str, RuleInForce]]
#: What the base says of each quantity of one role; the forward multiplier is relative to the base's.
_Values = Mapping[QuantityName, float | None]
#: Fields of Base that may differ by role, apart from γ.
_TUNED = ("learning_rate", "epsilon", "init_std", "weight_decay", "gradient_rms")
_Numbers = Mapping[QuantityName, float]
_Names = Mapping[Role, Sequence[QuantityName]]
_NO_RULES: RuleChoices = MappingProxyType({})
_ROLES = tuple(Role)  # going over the enumeration itself takes ten times as long


def transfer(
    *,
    parameterization: Parameterization | str,
    optimizer: Optimizer | str,
    base: Base,
    target: Target | None = None,
    alignment: AlignmentLike = "full",
    tensors: Sequence[Tensor] = (),
    model: Mapping[str, Any] | None = None,
    layout: Layout | str | None = None,
    exponents: Exponents | None = None,
    weight_decay_mode: WeightDecayMode | str | None = None,
    form: Form | str = Form.TABLE_9,
    readout_omega: Number | None = None,
    code_multipliers: Sequence[ComputedMultiplier] = (),
    qk_norm: bool = False,
    block_size: int | None = None,
    rules: RuleChoices = _NO_RULES,
) -> Plan:
    """Transfer the base's hyperparameters to the target.

    Every quantity of a role is base value × (target width / base width)^(−exponent); a tensor uses the ratios of its
    own fan-in and fan-out.  `tensors` lists the model's parameters; or `model` describes it at both ends, as
    `{"base": config, "target": config, "roles": {pattern: role}}` with the contents of two Hugging Face config.json or
    with two readings (`widthwise.torch.trace`, `widthwise.jax.trace`), and the sizes follow from it.

    `weight_decay_mode` says how the trainer applies λ; if an optimizer's implementations differ and none is named, the
    plan says which one it took.  `code_multipliers` are those that the model's own code computes; `qk_norm` says that
    it normalises queries and keys; `block_size` is that of Shampoo's and SOAP's preconditioners.
    `rules` names what to do about changes besides width, such as
    `{"depth": "completep", "tokens": {"exponent": 0.3}}` (docs/rules.md).  Raises InvalidInputError, and
    UnplacedTensorsError for tensors that can't be placed.

    >>> plan = transfer(parameterization="standard", optimizer="adam",
    ...                 base=Base(width=256, learning_rate=0.003, epsilon=1e-8), target=Target(width=4096))
    >>> plan.layer("hidden").learning_rate
    Quantity(value=0.0001875, multiplier=0.0625, exponent=1.0)
    """
    words: dict[str, Any] = {
        "parameterization": parameterization,
        "optimizer": optimizer,
        "alignment": alignment,
        "layout": layout,
        "exponents": exponents,
        "weight_decay_mode": weight_decay_mode,
        "form": form,
        "readout_omega": readout_omega,
        "code_multipliers": code_multipliers,
        "qk_norm": qk_norm,
        "block_size": block_size,
        "rules": rules,
    }
    if model is None:
        return plan_of(TransferRequest(base=base, target=target or Target(), tensors=tensors, **words))
    if tensors:
        raise InvalidInputError("tensors and model are both given; a model lists its tensors", field="tensors")
    described = DescribedModels.from_dict(model)
    return plan_of(TransferRequest.of_models(**described._asdict(), base=base, target=target, **words))


def plan_of(request: TransferRequest, rules: Sequence[Rule] = RULES) -> Plan:
    """Answer a request by the product of `rules` and of those that it names. Raises as `transfer` does."""
    try:
        plan = _plan_of(request, rules, chosen_rules(request.rules))
        if not request.alternatives:
            return plan
        return replace(
            plan, alternatives=alternatives(request, lambda one: _plan_of(one, rules, chosen_rules(one.rules)))
        )
    except OverflowError:
        raise InvalidInputError(
            "some quantity is beyond the range of floating point at these sizes; check the shapes and the width"
        ) from None


def _plan_of(request: TransferRequest, always: Sequence[Rule], chosen: Sequence[NamedRule]) -> Plan:
    base, target, tensors = request.base, request.target, request.tensors
    scheme = request.scheme()
    if (base.width is None) != (target.width is None):
        missing = "base" if base.width is None else "target"
        raise InvalidInputError(f"{missing}.width is missing; give both widths or neither", field=f"{missing}.width")
    if base.width is None and not tensors:
        raise InvalidInputError("nothing to transfer: give base.width and target.width, or tensors", field="base.width")
    in_force = exponents_in_force(scheme, request.exponents)  # refuses wrong words before any tensor is looked at
    placements = place(
        tensors,
        request.axis_order(),
        width=_pair(base.width, target.width),
        depth=_pair(base.depth, target.depth),
        head_dim=_pair(base.head_dim, target.head_dim),
    )
    tied = tied_names(tensors, placements)
    require_values(base, tensors, placements, _quantity_names(scheme.optimizer))
    case = Case(
        scheme=scheme,
        exponents=request.exponents,
        in_force=in_force,
        base=base,
        target=target,
        tensors=tensors,
        placements=placements,
        has_ties=bool(tied),
        widths=stated_widths(base, target),
        code_multipliers=request.code_multipliers,
        in_blocks=_in_blocks(request, placements),
        block_size=request.blocks(),
    )
    require_rule_of_sparsity(base, target, chosen)
    if any(tensor.part is not None for tensor in tensors):
        require_rule_of_rank(tensors, placements, chosen)
        require_no_wider_state_space(scheme, tensors, placements)
    applied = [(rule, found) for rule in (*always, *chosen) if (found := rule.apply(case)) is not None]
    named = [(rule.name, found) for rule, found in applied]
    names = _quantity_names(scheme.optimizer)
    values = _base_values(base)
    code = of_tensors(request.code_multipliers, tensors, placements)
    layers = tuple(_layers(case, values, named, names))
    tensor_plans = tuple(_tensor_plans(case, values, named, names, tied=tied, code=code))
    changes: Changes = {name: change for _, found in named for name, change in found.changes.items()}
    laws = compared_with_laws(request, scheme, layers, tensor_plans)
    return Plan(
        layers=layers,
        tensors=tensor_plans,
        warnings=(
            *decay_cautions(scheme.optimizer, request.weight_decay_mode, base),
            *request.cautions,
            *cautions(
                parameterization=scheme.parameterization,
                alignment=scheme.alignment,
                base=base,
                target=target,
                tensors=tensors,
                placements=placements,
                covered=frozenset().union(*(rule.covers for rule, _ in applied)),
                qk_norm=request.qk_norm,
            ),
            *(caution for _, found in applied for caution in found.cautions),
            *laws.cautions,
        ),
        provenance={**_provenance(in_force.provenance, case.widths, chosen), **laws.provenance},
        rules=tuple(RuleNote(name, found.source) for name, found in named),
        model=model_plan(base, target, layers, tensor_plans, changes, qk_norm=request.qk_norm),
        training=_training_plan(base, changes),
    )


def _pair(base: int | None, target: int | None) -> tuple[int, int] | None:
    return None if base is None or target is None else (base, target)


def _layers(case: Case, values: Mapping[Role, _Values], rules: _InForce, names: _Names) -> Iterator[LayerPlan]:
    if case.widths is None:
        return
    ratio = case.widths[1] / case.widths[0]
    for role in _ROLES:
        subject = Subject(role, None, ratio, code=of_role(case.code_multipliers, role))
        yield LayerPlan(role, *_quantities(subject, values[role], rules, names[role]))


def _provenance(
    words: Mapping[str, Any], widths: tuple[int, int] | None, chosen: Sequence[NamedRule]
) -> Mapping[str, Any]:
    found = dict(words)
    if widths is not None:
        found["widths"] = list(widths)
    if chosen:
        found["rules"] = {rule.about.value: rule.to_choice() for rule in chosen}
    return found


def _in_blocks(request: TransferRequest, placements: Sequence[Placement]) -> Sequence[bool | None]:
    """Whether each tensor stands in a residual block; nobody asks unless the request names a rule."""
    if not request.rules:
        return [None] * len(placements)
    depth = _pair(request.base.depth, request.target.depth)
    return [in_block(tensor, placed, depth) for tensor, placed in zip(request.tensors, placements, strict=True)]


def _training_plan(base: Base, changes: Changes) -> TrainingPlan:
    if not changes:
        return AS_AT_THE_BASE
    values: dict[ChangeName, float | None] = {"beta1": base.beta1, "beta2": base.beta2}
    values.update(schedule_of(base).items())

    def changed(name: ChangeName) -> TrainingQuantity | None:
        change, value = changes.get(name), values[name]
        return change and TrainingQuantity(None if value is None else change.of(value), change.reason)

    return TrainingPlan(**{name: changed(name) for name in values})


def _tensor_plans(
    case: Case,
    values: Mapping[Role, _Values],
    rules: _InForce,
    names: _Names,
    *,
    tied: frozenset[str],
    code: Mapping[str, CodePower],
) -> Iterator[TensorPlan]:
    # Large models repeat few shapes many times: what depends on role and fans alone is worked out once.
    known: dict[tuple[object, ...], tuple[Mapping[QuantityName, Quantity], RuleFactors, str]] = {}
    for tensor, (role, fans, *_), inside in zip(case.tensors, case.placements, case.in_blocks, strict=True):
        is_tied = tensor.name in tied
        own_code, owner_code = None, None
        if code:
            own_code = code.get(tensor.name)
            owner_code = code.get(tensor.tied_to) if tensor.tied_to is not None and is_tied else None
        part = None if tensor.part is None else known_word(TensorPart, tensor.part, "tensors.part")
        key = role, fans, is_tied, tensor.decayed, own_code, owner_code, inside, part
        shared = known.get(key)
        if shared is None:
            owner_role = Role.EMBEDDING if is_tied else role  # tied weights are tuned once, as the embedding
            own = values[owner_role]
            if not tensor.decayed and own["weight_decay"] is not None:
                own = {**own, "weight_decay": 0.0}
            subject = Subject(role, fans, None, is_tied, own_code, owner_code, inside, part)
            shared = known[key] = _quantities(subject, own, rules, names[role])
        yield TensorPlan(tensor.name, role, fans.target_in, fans.target_out, tensor.tied_to, *shared)


def _quantities(
    subject: Subject, values: _Values, rules: _InForce, names: Sequence[QuantityName]
) -> tuple[Mapping[QuantityName, Quantity], RuleFactors, str]:
    """Every quantity of one subject as the product of the rules' factors; these factors; the reasons in one line."""
    multipliers: _Numbers = {}
    exponents: _Numbers = {}
    by_rule: dict[str, _Numbers] = {}
    reasons: list[str] = []
    for rule_name, rule in rules:
        own, reason, own_exponents = rule.factors(subject, multipliers)
        if own:
            by_rule[rule_name] = own
            multipliers = _product(multipliers, own) if multipliers else own
        if own_exponents:
            exponents = _sum(exponents, own_exponents) if exponents else own_exponents
        if reason:
            reasons.append(reason)
    quantities: dict[QuantityName, Quantity] = {}
    for name in names:
        value, multiplier = values[name], multipliers.get(name, 1.0)
        transferred = multiplier if value is None else value * multiplier
        if transferred == math.inf:
            raise OverflowError  # a product does not raise as a power does
        quantities[name] = Quantity(None if value is None else transferred, multiplier, exponents.get(name, 0.0))
    return quantities, by_rule, "; ".join(reasons)


def _product(one: _Numbers, other: _Numbers) -> _Numbers:
    return {name: one.get(name, 1.0) * other.get(name, 1.0) for name in QUANTITIES if name in one or name in other}


def _sum(one: _Numbers, other: _Numbers) -> _Numbers:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in QUANTITIES}


@cache
def _quantity_names(optimizer: Optimizer) -> _Names:
    """The quantities of each role's tensors: no epsilon where the optimizer has none."""
    without = tuple(name for name in QUANTITIES if name != "epsilon")
    return {role: QUANTITIES if epsilon_power(optimizer, role) else without for role in _ROLES}


def _base_values(base: Base) -> Mapping[Role, _Values]:
    if base.gamma is None and not any(isinstance(getattr(base, name), Mapping) for name in _TUNED):
        return dict.fromkeys(_ROLES, _values_of(base, Role.HIDDEN))  # the same for every role
    return {role: _values_of(base, role) for role in _ROLES}


def _values_of(base: Base, role: Role) -> _Values:
    learning_rate, gamma = by_role(base.learning_rate, role), by_role(base.gamma, role)
    if learning_rate is not None and gamma is not None:
        learning_rate *= gamma
    return {
        "learning_rate": learning_rate,
        "epsilon": by_role(base.epsilon, role),
        "init_std": by_role(base.init_std, role),
        "forward_multiplier": 1.0,
        "weight_decay": base.weight_decay.get(role, 0.0)  # a role left out is not decayed
        if isinstance(base.weight_decay, Mapping)
        else base.weight_decay,
        "gradient_rms": by_role(base.gradient_rms, role),
    }
