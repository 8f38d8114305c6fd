"""optax's optimizers with a plan's values instead of one learning rate, one epsilon and one decay."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from widthwise.errors import InvalidInputError
from widthwise.optax import directions
from widthwise.optax.directions import Incoming
from widthwise.optax.planned import PlannedState, Schedule, flatten, planned
from widthwise.transfers.plan import Plan, TrainingQuantity
from widthwise.vocabulary import Optimizer

ADAM_B1, ADAM_B2 = 0.9, 0.999  # Kingma and Ba 2015, and optax's
ATAN2_B1, ATAN2_B2 = 0.9, 0.98  # Everett et al. 2024
LION_B1, LION_B2 = 0.9, 0.99  # Chen et al. 2023, algorithm 2
ADAFACTOR_DECAY = 0.8  # Shazeer and Stern 2018, β₂ = 1 − t^−0.8
ADAFACTOR_CLIP = 1.0  # Shazeer and Stern 2018, d
PARAMETER_RMS_FLOOR = 1e-3  # Shazeer and Stern 2018, ε₂; lets a tensor of zeros move
_ADAM = (Optimizer.ADAMW, Optimizer.ADAM)  # one update; how it decays is the plan's


def adamw(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float | None = None,
    b2: float | None = None,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return AdamW with the learning rate, epsilon and weight decay that a plan has for each leaf.

    One transformation with one count trains the whole model. Its state holds nothing of the plan.

    schedule: an optax schedule that is 1 at its peak, such as `optax.warmup_cosine_decay_schedule(0, 1, 100, 10_000)`;
    it multiplies every learning rate, and an independent decay. b1, b2: the plan's if a rule sets them, else 0.9 and
    0.999. fold: forward multipliers are absorbed into rate, epsilon and decay, and by `init` into the weights; False
    if the model has them.

    Raises InvalidInputError for a plan of another optimizer or without the values that it needs, and for tied weights
    that don't fold; its `init` raises for parameters that are not the plan's, and lists both.
    """
    direction = directions.adam(*_betas(plan, (b1, b2), (ADAM_B1, ADAM_B2)))
    return planned(plan, direction, schedule, _ADAM, fold=fold)


def adam(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float | None = None,
    b2: float | None = None,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return Adam with a plan's values: the same as `adamw`, since how λ is applied is the plan's weight_decay_mode."""
    return adamw(plan, schedule=schedule, b1=b1, b2=b2, fold=fold)


def nadam(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float | None = None,
    b2: float | None = None,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return `optax.nadam` with a plan's values. Options and errors are those of `adamw`."""
    direction = directions.adam(*_betas(plan, (b1, b2), (ADAM_B1, ADAM_B2)), nesterov=True)
    return planned(plan, direction, schedule, (Optimizer.NADAM,), fold=fold)


def adamax(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float | None = None,
    b2: float | None = None,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return `optax.adamax` with a plan's values. Options and errors are those of `adamw`."""
    direction = directions.adamax(*_betas(plan, (b1, b2), (ADAM_B1, ADAM_B2)))
    return planned(plan, direction, schedule, (Optimizer.ADAMAX,), fold=fold)


def adam_atan2(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float | None = None,
    b2: float | None = None,
    a: float = 1.0,
    b: float = 1.0,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return Adam-atan2 with a plan's values. Options and errors are those of `adamw`; a, b: of a·atan2(m̂, b·√v̂)."""
    direction = directions.adam_atan2(*_betas(plan, (b1, b2), (ATAN2_B1, ATAN2_B2)), a, b)
    return planned(plan, direction, schedule, (Optimizer.ADAM_ATAN2,), fold=fold)


def adam_parameter_scaling(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float | None = None,
    b2: float | None = None,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return Adam × the RMS of each parameter with a plan's values. Options and errors are those of `adamw`."""
    direction = directions.adam(*_betas(plan, (b1, b2), (ADAM_B1, ADAM_B2)))
    scaled = directions.relative(direction, PARAMETER_RMS_FLOOR)
    return planned(plan, scaled, schedule, (Optimizer.ADAM_PARAMETER_SCALING,), fold=fold)


def sgd(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    momentum: float = 0.0,
    nesterov: bool = False,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return `optax.sgd` with a plan's values. `schedule`, `fold` and errors are those of `adamw`."""
    return planned(plan, directions.sgd(momentum, nesterov=nesterov), schedule, (Optimizer.SGD,), fold=fold)


def lion(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    b1: float = LION_B1,
    b2: float = LION_B2,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return `optax.lion` with a plan's values. `schedule`, `fold` and errors are those of `adamw`."""
    return planned(plan, directions.lion(b1, b2), schedule, (Optimizer.LION,), fold=fold)


def adafactor(
    plan: Plan,
    *,
    schedule: Schedule | None = None,
    decay: float = ADAFACTOR_DECAY,
    clip: float = ADAFACTOR_CLIP,
    fold: bool = True,
) -> optax.GradientTransformation:
    """Return Adafactor with a plan's values, with parameter scaling or without it as the plan says.

    The decay is that of the plan's weight_decay_mode. `schedule`, `fold` and errors are those of `adamw`.
    """
    direction = directions.adafactor(decay, clip)
    if plan.provenance.get("optimizer") == Optimizer.ADAFACTOR:
        direction = directions.relative(direction, PARAMETER_RMS_FLOOR)
    return planned(plan, direction, schedule, (Optimizer.ADAFACTOR, Optimizer.ADAFACTOR_UNSCALED), fold=fold)


def scale_by_adam_atan2(
    b1: float = ATAN2_B1, b2: float = ATAN2_B2, a: float = 1.0, b: float = 1.0
) -> optax.GradientTransformation:
    """Adam without epsilon: update = a·atan2(m̂, b·√v̂), and 0 if both moments are 0.

    Both moments are bias-corrected inside the atan2 (Everett et al. 2024, §4.3). The update lies within ±a·π/2 and does
    not change when all gradients are multiplied by one positive number.
    """
    direction = directions.adam_atan2(b1, b2, a, b)

    def init(params: Any) -> PlannedState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return PlannedState(jnp.zeros([], jnp.int32), {"mu": zeros, "nu": zeros})

    def update(gradients: Any, state: PlannedState, params: Any = None) -> tuple[Any, PlannedState]:
        del params
        count = state.count + 1
        flat, treedef = flatten(gradients)
        kept = zip(*(treedef.flatten_up_to(state.moments[name]) for name in ("mu", "nu")), strict=True)
        found = [
            direction.step(Incoming(gradient, None, 0.0, count), {"mu": mu, "nu": nu})
            for gradient, (mu, nu) in zip(flat, kept, strict=True)
        ]
        moments = {name: treedef.unflatten([after[name] for _, after in found]) for name in ("mu", "nu")}
        return treedef.unflatten([step for step, _ in found]), PlannedState(count, moments)

    return optax.GradientTransformation(init, update)


def _betas(plan: Plan, given: tuple[float | None, float | None], usual: tuple[float, float]) -> tuple[float, float]:
    one, other = (
        _beta(*each)
        for each in zip(("beta1", "beta2"), given, (plan.training.beta1, plan.training.beta2), usual, strict=True)
    )
    return one, other


def _beta(name: str, given: float | None, planned_beta: TrainingQuantity | None, usual: float) -> float:
    """The plan's own β if a rule sets it, which an argument may not contradict."""
    if planned_beta is None:
        return usual if given is None else given
    value = planned_beta.value
    if value is None:
        raise InvalidInputError(
            f"the plan changes {name} ({planned_beta.reason}) and has no value for it; give base.{name}",
            field=f"base.{name}",
        )
    if given is not None and given != value:
        raise InvalidInputError(
            f"{name} is {given}, and the plan sets {value} ({planned_beta.reason}); leave it out, or transfer without "
            "that rule",
            field=name,
        )
    return value
