"""Plans and parameters that the tests of widthwise.optax share."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from widthwise import Base, Plan, Target, Tensor, transfer

BASE = {"embed": (32, 8), "up": (8, 16), "down": (16, 8), "gain": (8,), "head": (8, 32)}
SHAPES = {"embed": (32, 32), "up": (32, 128), "down": (128, 32), "gain": (32,), "head": (32, 32)}
ROLES = {"embed": "embedding", "head": "readout"}
WITHOUT_EPSILON = ("sgd", "lion", "adam_atan2")


def exported(
    optimizer: str = "adamw",
    parameterization: str = "mup",
    *,
    names: Mapping[str, str] | None = None,
    tied: bool = False,
    **more: Any,
) -> Plan:
    """A plan as it comes out of JSON: ×4 as wide, every leaf with an own epsilon and decay."""
    known = dict.fromkeys(BASE) if names is None else names
    tensors = [
        Tensor(known[name] or name, BASE[name], SHAPES[name], role=ROLES.get(name), decayed=name != "gain")
        for name in BASE
    ]
    if tied:
        head = Tensor("head", BASE["embed"], SHAPES["embed"], role="readout", tied_to="embed")
        tensors = [*tensors[:-1], head]
    fields: dict[str, Any] = {"learning_rate": 0.02, "weight_decay": 0.1, "init_std": 0.05, **more.pop("base", {})}
    if optimizer not in WITHOUT_EPSILON:
        fields = {"epsilon": 1e-3, **fields}
    plan = transfer(
        parameterization=parameterization,
        optimizer=optimizer,
        base=Base(**fields),
        target=Target(**more.pop("target", {})),
        tensors=tensors,
        layout="in_out",
        **more,
    )
    return Plan.from_dict(json.loads(json.dumps(plan.to_dict())))


def parameters(seed: int = 0) -> dict[str, jax.Array]:
    """Parameters of the target."""
    draw = np.random.default_rng(seed)
    return {name: jnp.asarray(0.1 * draw.normal(size=shape), jnp.float32) for name, shape in SHAPES.items()}
