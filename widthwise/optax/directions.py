"""Directions: what each optimizer makes of one leaf's gradients, before decay and learning rate.

A direction works on one leaf with that leaf's epsilon, so that one transformation serves a whole model.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

Moments: TypeAlias = Mapping[str, Any]  #: what a direction keeps of one leaf, by name


class Incoming(NamedTuple):
    """What arrives for one leaf at one step."""

    gradient: jax.Array
    parameter: jax.Array | None  #: None if the caller gave none
    epsilon: float  #: of this leaf; 0 if the optimizer has none
    steps: jax.Array  #: 1 at the first step


class Direction(NamedTuple):
    """An optimizer's update of one leaf."""

    init: Callable[[jax.Array, float], Moments]  #: the moments of a parameter and its epsilon
    step: Callable[[Incoming, Moments], tuple[jax.Array, Moments]]
    needs_parameter: bool = False


def adam(b1: float, b2: float, *, nesterov: bool = False) -> Direction:
    """m̂/(√v̂ + ε), as `optax.scale_by_adam`."""

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        mu, nu = _moments(now.gradient, moments, b1, b2)
        ahead = _corrected(mu, b1, now.steps)
        if nesterov:
            ahead = b1 * _corrected(mu, b1, now.steps + 1) + (1 - b1) * _corrected(now.gradient, b1, now.steps)
        update = ahead / (jnp.sqrt(_corrected(nu, b2, now.steps)) + now.epsilon)
        return update, {"mu": mu, "nu": nu}

    return Direction(_zeros("mu", "nu"), step)


def adam_atan2(b1: float, b2: float, a: float, b: float) -> Direction:
    """a·atan2(m̂, b·√v̂), and 0 if both moments are 0 (Everett et al. 2024, §4.3)."""

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        mu, nu = _moments(now.gradient, moments, b1, b2)
        update = a * jnp.arctan2(_corrected(mu, b1, now.steps), b * jnp.sqrt(_corrected(nu, b2, now.steps)))
        return update, {"mu": mu, "nu": nu}

    return Direction(_zeros("mu", "nu"), step)


def adamax(b1: float, b2: float) -> Direction:
    """m̂ over the largest recent |g| + ε, as `optax.scale_by_adamax`."""

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        mu = b1 * moments["mu"] + (1 - b1) * now.gradient
        nu = jnp.maximum(jnp.abs(now.gradient) + now.epsilon, b2 * moments["nu"])
        return _corrected(mu, b1, now.steps) / nu, {"mu": mu, "nu": nu}

    return Direction(_zeros("mu", "nu"), step)


def sgd(momentum: float, *, nesterov: bool = False) -> Direction:
    """The gradient, or its trace with momentum, as `optax.sgd`."""

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        if not momentum:
            return now.gradient, {}
        trace = now.gradient + momentum * moments["trace"]
        return (now.gradient + momentum * trace if nesterov else trace), {"trace": trace}

    return Direction(_zeros("trace") if momentum else _zeros(), step)


def lion(b1: float, b2: float) -> Direction:
    """sign(β₁m + (1 − β₁)g) (Chen et al. 2023, 2302.06675, algorithm 2)."""

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        update = jnp.sign(b1 * moments["mu"] + (1 - b1) * now.gradient)
        return update, {"mu": b2 * moments["mu"] + (1 - b2) * now.gradient}

    return Direction(_zeros("mu"), step)


def adafactor(decay: float, clip: float) -> Direction:
    """g/√v with factored v, clipped to RMS `clip`, as `optax.adafactor`; ε₁ is added to g²."""

    def parts(epsilon: float) -> optax.GradientTransformation:
        # by default optax factors from 128 on, which would change the optimizer between base and target
        factored = optax.scale_by_factored_rms(decay_rate=decay, min_dim_size_to_factor=1, epsilon=epsilon)
        return optax.chain(factored, optax.clip_by_block_rms(clip))

    def init(parameter: jax.Array, epsilon: float) -> Moments:
        return {"factored": parts(epsilon).init(parameter)}

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        update, state = parts(now.epsilon).update(now.gradient, moments["factored"], now.parameter)
        return update, {"factored": state}

    return Direction(init, step, needs_parameter=True)


def relative(direction: Direction, floor: float) -> Direction:
    """A direction × the RMS of the parameter, at least `floor`."""

    def step(now: Incoming, moments: Moments) -> tuple[jax.Array, Moments]:
        assert now.parameter is not None  # noqa: S101 - `needs_parameter` says so
        update, moments = direction.step(now, moments)
        return update * jnp.maximum(jnp.sqrt(jnp.mean(jnp.square(now.parameter))), floor), moments

    return Direction(direction.init, step, needs_parameter=True)


def _zeros(*names: str) -> Callable[[jax.Array, float], Moments]:
    return lambda parameter, _epsilon: {name: jnp.zeros_like(parameter) for name in names}


def _moments(gradient: jax.Array, moments: Moments, b1: float, b2: float) -> tuple[jax.Array, jax.Array]:
    return b1 * moments["mu"] + (1 - b1) * gradient, b2 * moments["nu"] + (1 - b2) * jnp.square(gradient)


def _corrected(moment: jax.Array, decay: float, steps: jax.Array) -> jax.Array:
    exact = jnp.promote_types(moment.dtype, jnp.float32)  # bfloat16 counts to 256
    return moment / (1 - decay ** steps.astype(exact)).astype(moment.dtype)
