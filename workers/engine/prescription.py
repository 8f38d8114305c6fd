"""What the theory prescribes for every tensor of a proxy at one width.

The base model is the standard parameterization at the smallest width. Every multiplier is 1 there, so that all
parameterizations start as one function and one base learning rate means the same in each of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from widthwise import Base, Quantity, Target, Tensor, transfer
from workers.engine.optimizers import ADAMW_WEIGHT_DECAY
from workers.engine.proxies.contract import Proxy
from workers.engine.specification import SweepSpec


@dataclass(frozen=True)
class Prescription:
    """Numbers by tensor name; at learning rate η a tensor is trained with η · learning_rates[name]."""

    width: int
    learning_rates: Mapping[str, float]  #: multiplier of the base learning rate
    epsilons: Mapping[str, float]  #: absolute; Adam's ε, Adafactor's ε₁; 0 for an optimizer that has none
    weight_decays: Mapping[str, float]  #: absolute, decoupled; AdamW alone reads them
    init_stds: Mapping[str, float]
    forward_multipliers: Mapping[str, float]


def prescribe(sweep: SweepSpec, proxy: Proxy, width: int) -> Prescription:
    """The prescription of `sweep` for `proxy` at `width`, from the real tensor shapes at both widths.

    Raises InvalidInputError for a width that the proxy can't have or a combination that the theory can't place.
    """
    base_tensors, target_tensors = proxy.tensor_shapes(sweep.base_width), proxy.tensor_shapes(width)
    plan = transfer(
        parameterization=sweep.parameterization,
        optimizer=sweep.optimizer,
        alignment=sweep.alignment,
        base=Base(width=sweep.base_width, learning_rate=1.0, epsilon=sweep.epsilon, weight_decay=ADAMW_WEIGHT_DECAY),
        target=Target(width=width),
        tensors=[
            Tensor(
                name=name,
                base_shape=base.shape,
                target_shape=target_tensors[name].shape,
                fan_in_axes=base.fan_in_axes,
                fan_out_axes=base.fan_out_axes,
                role=base.role,
            )
            for name, base in base_tensors.items()
        ],
        form=sweep.form,
        readout_omega=sweep.readout_omega,
    )
    planned = {tensor.name: tensor for tensor in plan.tensors}
    return Prescription(
        width=width,
        learning_rates={
            name: 1.0 if sweep.learning_rate_rule == "global" else planned[name].learning_rate.multiplier
            for name in base_tensors
        },
        epsilons={name: _epsilon(sweep, planned[name].epsilon) for name in base_tensors},
        weight_decays={name: ADAMW_WEIGHT_DECAY * planned[name].weight_decay.multiplier for name in base_tensors},
        init_stds={
            name: base.standard_init_std * planned[name].init_std.multiplier for name, base in base_tensors.items()
        },
        forward_multipliers={name: planned[name].forward_multiplier.multiplier for name in base_tensors},
    )


def _epsilon(sweep: SweepSpec, planned: Quantity | None) -> float:
    if planned is None:
        return 0.0
    return sweep.epsilon if sweep.epsilon_rule == "constant" else sweep.epsilon * planned.multiplier
