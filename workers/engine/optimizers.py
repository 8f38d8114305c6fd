"""Optimizers as optax transformations with a learning rate, an epsilon and a decay for every tensor.

All three may be traced values, so that one compiled program serves every learning rate of a width.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from widthwise.vocabulary import Optimizer

ADAM_B1, ADAM_B2 = 0.9, 0.98  # Everett et al. 2024
ATAN2_A, ATAN2_B = 1.0, 1.0  # Everett et al. 2024; other published constants are 4/π and 1.27 for a
PARAMETER_RMS_FLOOR = 1e-3  # Shazeer and Stern 2018, ε₂; lets a tensor of zeros move
ADAFACTOR_DECAY = 0.8  # Shazeer and Stern 2018, β₂ = 1 − t^−0.8
ADAFACTOR_CLIP = 1.0  # Shazeer and Stern 2018, d
ADAMW_WEIGHT_DECAY = 0.1  # λ at the base width: the usual value for language models

CONSTANTS: dict[Optimizer, dict[str, float]] = {
    Optimizer.SGD: {},
    Optimizer.ADAM: {"b1": ADAM_B1, "b2": ADAM_B2},
    Optimizer.ADAMW: {"b1": ADAM_B1, "b2": ADAM_B2, "weight_decay": ADAMW_WEIGHT_DECAY},
    Optimizer.ADAM_ATAN2: {"b1": ADAM_B1, "b2": ADAM_B2, "a": ATAN2_A, "b": ATAN2_B},
    Optimizer.ADAFACTOR: {
        "decay": ADAFACTOR_DECAY,
        "clip": ADAFACTOR_CLIP,
        "parameter_rms_floor": PARAMETER_RMS_FLOOR,
    },
    Optimizer.ADAM_PARAMETER_SCALING: {"b1": ADAM_B1, "b2": ADAM_B2, "parameter_rms_floor": PARAMETER_RMS_FLOOR},
}  #: the constants in force, recorded with every run: a learning rate means little without them


def constants_of(optimizer: Optimizer, atan2: tuple[float, float]) -> dict[str, float]:
    """The constants in force for `optimizer`, Adam-atan2's (a, b) as given."""
    constants = CONSTANTS[optimizer]
    return {**constants, "a": atan2[0], "b": atan2[1]} if optimizer is Optimizer.ADAM_ATAN2 else constants


Scalars = Mapping[str, jax.Array | float]  #: one value for every tensor, by name


class AdamAtan2State(NamedTuple):
    """First and second moments, shaped as the parameters."""

    steps: jax.Array
    mu: Any
    nu: Any


def scale_by_adam_atan2(
    b1: float = ADAM_B1, b2: float = ADAM_B2, a: float = ATAN2_A, b: float = ATAN2_B
) -> optax.GradientTransformation:
    """Adam without epsilon: update = a·atan2(m̂, b·√v̂), and 0 where both moments are 0.

    Both moments are bias-corrected inside the atan2 (Everett et al. 2024, §4.3). The update lies within ±a·π/2 and does
    not change when all gradients are multiplied by one positive number.
    """

    def init(params: Any) -> AdamAtan2State:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return AdamAtan2State(steps=jnp.zeros([], jnp.int32), mu=zeros, nu=zeros)

    def update(gradients: Any, state: AdamAtan2State, params: Any = None) -> tuple[Any, AdamAtan2State]:
        del params
        steps = state.steps + 1
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, gradients)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * jnp.square(g), state.nu, gradients)

        def step(m: jax.Array, v: jax.Array) -> jax.Array:
            t = steps.astype(m.dtype)
            return a * jnp.arctan2(m / (1 - b1**t), b * jnp.sqrt(v / (1 - b2**t)))

        return jax.tree.map(step, mu, nu), AdamAtan2State(steps=steps, mu=mu, nu=nu)

    return optax.GradientTransformation(init, update)


def _adam(epsilon: jax.Array | float) -> optax.GradientTransformation:
    return optax.scale_by_adam(ADAM_B1, ADAM_B2, eps=epsilon)


def _adafactor(epsilon: jax.Array | float) -> optax.GradientTransformation:
    return optax.chain(
        # optax factors from 128 on by default: that would change the optimizer in the middle of a sweep over widths
        optax.scale_by_factored_rms(decay_rate=ADAFACTOR_DECAY, min_dim_size_to_factor=1, epsilon=epsilon),
        optax.clip_by_block_rms(ADAFACTOR_CLIP),
        optax.scale_by_param_block_rms(PARAMETER_RMS_FLOOR),
    )


_DIRECTIONS: dict[Optimizer, Callable[[jax.Array | float], optax.GradientTransformation]] = {
    Optimizer.SGD: lambda _: optax.identity(),
    Optimizer.ADAM: _adam,
    Optimizer.ADAMW: _adam,
    Optimizer.ADAFACTOR: _adafactor,
    Optimizer.ADAM_PARAMETER_SCALING: lambda epsilon: optax.chain(
        _adam(epsilon), optax.scale_by_param_block_rms(PARAMETER_RMS_FLOOR)
    ),
}


def build_optimizer(
    optimizer: Optimizer,
    *,
    learning_rates: Scalars,
    epsilons: Scalars,
    weight_decays: Scalars,
    atan2: tuple[float, float] = (ATAN2_A, ATAN2_B),
) -> optax.GradientTransformation:
    """`optimizer` with its own learning rate η, epsilon and decoupled decay λ (W ← W − ηλW) for every tensor.

    Parameters are a flat dict with the keys of the three mappings. The state does not depend on the three, so they may
    change from step to step. Optimizers without an epsilon ignore `epsilons`; only AdamW reads `weight_decays`, and
    only Adam-atan2 `atan2`, its constants (a, b).
    """

    def direction(epsilon: jax.Array | float) -> optax.GradientTransformation:
        if optimizer is Optimizer.ADAM_ATAN2:
            return scale_by_adam_atan2(a=atan2[0], b=atan2[1])
        return _DIRECTIONS[optimizer](epsilon)

    def of_tensor(name: str) -> optax.GradientTransformation:
        parts = [direction(epsilons[name])]
        if optimizer is Optimizer.ADAMW:
            parts.append(optax.add_decayed_weights(weight_decays[name]))
        return optax.chain(*parts, optax.scale_by_learning_rate(learning_rates[name]))

    return per_tensor({name: of_tensor(name) for name in learning_rates})


def per_tensor(transformations: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """One transformation for each tensor of a flat dict, with a state of its own."""
    # not optax.partition: the oldest optax that the project allows lacks it

    def init(params: Any) -> Any:
        return {name: part.init(params[name]) for name, part in transformations.items()}

    def update(gradients: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        pairs = {
            name: part.update(gradients[name], state[name], None if params is None else params[name])
            for name, part in transformations.items()
        }
        return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}

    return optax.GradientTransformation(init, update)
