"""A plan without forward multipliers: each is absorbed into the tensor's init, rate and epsilon, where that is exact.

y = m·W x with W' = m·W is y = W' x, and both train alike if W' starts m times as large and moves m times as far: the
equivalence map (a, b, c, g) → (a+θ, b−θ, c−kθ, g+θ) of `widthwise.theory.parameterization.shift` with n^(−θ) = 1/m.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from widthwise.errors import InvalidInputError
from widthwise.theory.optimizers import decay_mode_in_force, epsilon_power, update_scale
from widthwise.transfers.plan import LayerPlan, ModelPlan, Plan, Quantity, RuleNote, TensorPlan
from widthwise.vocabulary import Optimizer, QuantityName, Role, WeightDecayMode, known_word

_RULE = "fold"
_SOURCE = "equivalence map, Everett et al. 2024, arXiv 2407.05872"
_EXACT = 1e-9  # multipliers of two uses that differ by less are one number, rounded differently
_PlanOf = TypeVar("_PlanOf", LayerPlan, TensorPlan)


def folded(plan: Plan) -> Plan:
    """Return an equivalent plan in which every forward multiplier is 1.

    With m the multiplier and k what the optimizer's updates follow (2 for SGD, 1 for the Adam family, 0 for updates
    relative to the parameter): init std × m, learning rate × m^k, gradient RMS × 1/m and ε with it, decoupled decay
    × m^(−k), coupled decay × m^(−2). The network computes and learns the same function, in exact arithmetic; norms of
    gradients change, so that clipping by the norm of all gradients together acts on other proportions.

    Raises InvalidInputError if no equivalent form exists: a tied weight whose uses have different multipliers, or a
    plan that does not say its optimizer.
    """
    optimizer = known_word(Optimizer, str(plan.provenance.get("optimizer")), "plan.provenance.optimizer")
    mode = known_word(
        WeightDecayMode, str(plan.provenance.get("weight_decay_mode")), "plan.provenance.weight_decay_mode"
    )
    multipliers = {tensor.name: tensor.forward_multiplier.multiplier for tensor in plan.tensors}
    for tensor in plan.tensors:
        if tensor.tied_to is not None:
            _refuse_two(tensor, multipliers[tensor.name], multipliers[tensor.tied_to])
    if all(multiplier == 1 for multiplier in multipliers.values()) and all(
        layer.forward_multiplier.multiplier == 1 for layer in plan.layers
    ):
        return plan
    return replace(
        plan,
        layers=tuple(_folded(layer, optimizer, mode) for layer in plan.layers),
        tensors=tuple(_folded(tensor, optimizer, mode) for tensor in plan.tensors),
        rules=(*plan.rules, RuleNote(_RULE, _SOURCE)),
        model=_without_multipliers(plan.model),
        provenance={**plan.provenance, "folded": True},
    )


def _refuse_two(tensor: TensorPlan, own: float, owner: float) -> None:
    if not math.isclose(own, owner, rel_tol=_EXACT):
        raise InvalidInputError(
            f"{tensor.name!r} is tied to {tensor.tied_to!r}, and their forward multipliers differ: {own:.6g} and "
            f"{owner:.6g}. One weight cannot absorb both; keep the multipliers in the forward pass, or untie them",
            field="plan",
        )


def _folded(of: _PlanOf, optimizer: Optimizer, mode: WeightDecayMode) -> _PlanOf:
    forward = of.forward_multiplier
    if forward.multiplier == 1:
        return of
    factors = _factors(forward.multiplier, of.role, optimizer, mode)
    powers = _factors(math.exp(-forward.exponent), of.role, optimizer, mode)  # n^(−a) at n = e: its log is the exponent
    quantities = {
        name: Quantity(
            None if value is None else value * factors[name],
            multiplier * factors[name],
            exponent - math.log(powers[name]),
        )
        for name, (value, multiplier, exponent) in of.quantities.items()
    }
    quantities["forward_multiplier"] = Quantity(1.0, 1.0, 0.0)
    moved = {name: factor for name, factor in factors.items() if name in quantities and factor != 1}
    return of._replace(
        quantities=quantities,
        by_rule={**of.by_rule, _RULE: moved},
        reason=f"{of.reason}; forward × {forward.multiplier:.6g} is folded into the weights (equivalence map)",
    )


def _factors(
    multiplier: float, role: Role, optimizer: Optimizer, mode: WeightDecayMode
) -> Mapping[QuantityName, float]:
    """What each quantity is multiplied by when weights take a forward multiplier in."""
    rate = multiplier ** update_scale(optimizer, role).shift_of_c
    decays = {WeightDecayMode.DECOUPLED: 1 / rate, WeightDecayMode.COUPLED: multiplier**-2}
    return {
        "learning_rate": rate,
        "epsilon": multiplier ** -epsilon_power(optimizer, role),
        "init_std": multiplier,
        "forward_multiplier": 1 / multiplier,
        "weight_decay": decays.get(decay_mode_in_force(optimizer, mode), 1.0),
        "gradient_rms": 1 / multiplier,
    }


def _without_multipliers(model: ModelPlan) -> ModelPlan:
    """The model's quantities with those of embeddings and logits at 1: the weights hold them."""
    changed = {}
    for name in ("embedding_multiplier", "logit_multiplier"):
        quantity = getattr(model, name)
        if quantity is not None and quantity.multiplier != 1:
            changed[name] = quantity._replace(multiplier=1.0, reason=f"folded into the weights; was {quantity.reason}")
    return model._replace(**changed)
