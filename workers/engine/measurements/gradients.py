"""The size of every tensor's gradient, and of the second moment that the optimizer's epsilon is compared with."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from widthwise.calibration.looks import init_and_along_the_run
from widthwise.optax.planned import PlannedState
from widthwise.vocabulary import Measured
from workers.engine.measurements.kind import MeasuredTensor, MeasurementKind, Numbers
from workers.engine.measurements.norms import rms
from workers.engine.optimizers import ADAM_B2
from workers.engine.proxies.contract import Params

# Below it a square is smaller than float32's smallest normal number, and v loses digits or becomes 0,
# while m does not: |g| near 1e-19, where Everett et al. 2024 see an epsilon of 1e-25 and less fail.
SQUARE_UNDERFLOW = float(np.sqrt(np.finfo(np.float32).tiny))


def gradient_sizes(gradients: Params, optimizer_state: Any) -> dict[str, dict[str, jax.Array]]:
    """Return, by tensor, scalars of its gradient and of the second moment v̂ before that gradient enters it:

    `gradient_rms`; `underflow_share`, the share of its entries that are not 0 but whose square is lost in float32;
    and for an optimizer that keeps v, `second_moment_root`, the RMS of √v̂, and `second_moment_root_typical`, its
    geometric mean over the entries that ever had a gradient. Epsilon is compared with √v̂ entry by entry, while the RMS
    is dominated by the largest entries. v̂ is corrected for its start at 0; before the first update it is 0.
    """
    sizes = {}
    for name, gradient in gradients.items():
        sizes[name] = {
            "gradient_rms": rms(gradient),
            "underflow_share": jnp.mean((gradient != 0) & (jnp.abs(gradient) < SQUARE_UNDERFLOW), dtype=np.float32),
        }
        moment = _second_moment(optimizer_state[name])
        if moment is not None:
            moved = moment > 0
            typical = jnp.exp(0.5 * jnp.mean(jnp.log(jnp.where(moved, moment, 1.0)), where=moved))
            sizes[name]["second_moment_root"] = jnp.sqrt(jnp.mean(moment))
            sizes[name]["second_moment_root_typical"] = jnp.where(jnp.any(moved), typical, 0.0)
    return sizes


def _second_moment(state: Any) -> jax.Array | None:
    """Return the bias-corrected v̂ of one tensor's optimizer state; None if it holds no second moment per entry."""
    for node in jax.tree.leaves(state, is_leaf=lambda node: _nu_of(node) is not None):
        nu = _nu_of(node)
        if nu is not None:
            updates = node.count.astype(nu.dtype)
            return jnp.where(updates > 0, nu / jnp.maximum(1.0 - ADAM_B2**updates, 1.0 - ADAM_B2), 0.0)
    return None


def _nu_of(node: Any) -> jax.Array | None:
    """The second moment that a state of optax, or of widthwise.optax, holds next to its `count` of updates."""
    return node.moments.get("nu") if isinstance(node, PlannedState) else getattr(node, "nu", None)


def _beside_epsilon(sizes: Mapping[str, float], tensor: MeasuredTensor) -> Numbers:
    return {**sizes, "epsilon": tensor.prescription.epsilons[tensor.name]}


EPSILON = MeasurementKind(
    name=Measured.EPSILON,
    steps=init_and_along_the_run,
    look=lambda view: gradient_sizes(view.gradients(), view.optimizer_state),
    describe=_beside_epsilon,
)
