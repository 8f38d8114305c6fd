"""The theory's prescription for every tensor of a proxy at one width.

The base model is the standard parameterization at the smallest width. All multipliers are 1 there, so every
parameterization starts from the same function and a base learning rate means the same in all of them. It means the same
in all of Muon's scales too: a hidden matrix is updated by the RMS of AdamW's update there.

A tied readout uses the embedding table, whose entries start at 1 and not at 1/√n. The factor that an untied readout has
in its init therefore moves into the forward multiplier: 1/√n at the base, times what the plan prescribes from there
(the equivalence map of widthwise.theory.tied). So a tied model starts with logits of the same size as an untied one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from widthwise import Plan, Quantity, Tensor, transfer
from widthwise.calibration.spec import CalibrationSpec
from widthwise.vocabulary import EpsilonRule, LearningRateRule, Role
from workers.engine.beyond_width import ONLY_WIDTH, BeyondWidth
from workers.engine.optimizers import engine_optimizer
from workers.engine.proxies.contract import Proxy, TensorSpec


@dataclass(frozen=True)
class Prescription:
    """Numbers by tensor name; at base learning rate η, a tensor is trained with η · learning_rates[name]."""

    width: int
    learning_rates: Mapping[str, float]  #: multiplier of the base learning rate
    epsilons: Mapping[str, float]  #: absolute; Adam's ε, Adafactor's ε₁; 0 for an optimizer that has none
    weight_decays: Mapping[str, float]  #: absolute; only AdamW reads them
    init_stds: Mapping[str, float]
    forward_multipliers: Mapping[str, float]  #: also of a tied readout, which is not a tensor
    residual_multiplier: float = 1.0  #: of every residual branch
    #: what rules make of the optimizer's constants, by name
    constants: Mapping[str, float] = field(default_factory=dict)


def prescribe(spec: CalibrationSpec, proxy: Proxy, width: int, beyond: BeyondWidth = ONLY_WIDTH) -> Prescription:
    """The prescription of `spec` for `proxy` at `width`, from the real tensor shapes at both widths.

    beyond: what else differs from the base, and by which rules.

    Raises InvalidInputError for a width that the proxy can't have or a combination that the theory can't place.
    """
    base_tensors, base_uses = proxy.tensor_shapes(spec.base_width), proxy.uses(spec.base_width)
    target_uses = proxy.uses(width)
    plan = transfer(
        parameterization=spec.parameterization,
        optimizer=spec.optimizer,
        alignment=spec.alignment,
        base=beyond.base(spec, proxy.predictions),
        target=beyond.target(spec, width, proxy.predictions),
        tensors=[
            Tensor(
                name=name,
                base_shape=base.shape,
                target_shape=target_uses[name].shape,
                fan_in_axes=base.fan_in_axes,
                fan_out_axes=base.fan_out_axes,
                role=base.role,
                tied_to=proxy.tied.get(name),
                in_block=base.in_block,
            )
            for name, base in base_uses.items()
        ],
        form=spec.form,
        readout_omega=spec.readout_omega,
        weight_decay_mode=beyond.weight_decay_mode,
        rules=json.loads(beyond.rules),
    )
    residual = plan.model.residual_multiplier
    planned = {tensor.name: tensor for tensor in plan.tensors}
    return Prescription(
        width=width,
        learning_rates={
            name: _rate_at_base(spec, base)
            * (1.0 if spec.learning_rate_rule is LearningRateRule.GLOBAL else planned[name].learning_rate.multiplier)
            for name, base in base_tensors.items()
        },
        epsilons={name: _epsilon(spec, planned[name].epsilon) for name in base_tensors},
        weight_decays={
            name: beyond.weight_decay * planned[name].weight_decay.multiplier / _rate_at_base(spec, base)
            for name, base in base_tensors.items()
        },
        init_stds={
            name: base.standard_init_std * planned[name].init_std.multiplier for name, base in base_tensors.items()
        },
        forward_multipliers={
            name: _base_multiplier(proxy, name, base_uses) * planned[name].forward_multiplier.multiplier
            for name in base_uses
        },
        residual_multiplier=1.0 if residual is None else residual.multiplier,
        constants=_constants(beyond, plan),
    )


def _constants(beyond: BeyondWidth, plan: Plan) -> dict[str, float]:
    """Adam's constants that the base states or a rule changes, as the optimizers name them."""
    found: dict[str, float] = {}
    for name, stated, changed in (
        ("b1", beyond.beta1, plan.training.beta1),
        ("b2", beyond.beta2, plan.training.beta2),
    ):
        value = stated if changed is None or changed.value is None else changed.value
        if value is not None:
            found[name] = value
    return found


def _rate_at_base(spec: CalibrationSpec, base: TensorSpec) -> float:
    """1; for a matrix whose update is scaled by its shape, what makes a base learning rate mean the same there.

    Its decay is divided by it, so that η·λ does not depend on the scale either.
    """
    hidden = engine_optimizer(spec.optimizer).hidden
    return 1.0 if hidden is None or base.role is not Role.HIDDEN else hidden.rate_at_base(base.fan_in, base.fan_out)


def _base_multiplier(proxy: Proxy, name: str, uses: Mapping[str, TensorSpec]) -> float:
    """1; for a tied readout, the factor that turns the table's init into a readout's."""
    owner = proxy.tied.get(name)
    return 1.0 if owner is None else uses[name].standard_init_std / uses[owner].standard_init_std


def _epsilon(spec: CalibrationSpec, planned: Quantity | None) -> float:
    if planned is None:
        return 0.0
    return spec.epsilon if spec.epsilon_rule is EpsilonRule.CONSTANT else spec.epsilon * planned.multiplier
