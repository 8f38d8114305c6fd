"""Measurement records whose truth is known: every scalar is a power of the width, times noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: tensor → (role, fan-in at width 1)
TENSORS = {
    "embedding": ("embedding", 256),
    "first": ("hidden", 1),
    "second": ("hidden", 4),
    "readout": ("readout", 1),
}
WIDTHS = (64, 128, 256, 512)

Exponents = Mapping[str, float]  #: scalar → power of the width


def records(
    kind: str,
    by_step: Mapping[int, Mapping[str, Exponents]],
    *,
    widths: Sequence[int] = WIDTHS,
    seeds: int = 2,
    noise: float = 0.0,
    constants: Mapping[str, float] | None = None,
    level: float = 1.0,
    draw: int = 0,
) -> list[dict[str, Any]]:
    """One record for each width and seed; `by_step` says, for each step and tensor, each scalar's power of the width.

    `constants` are scalars that do not scale. Alignment is written as the engine does, as a log to the base fan-in.
    """
    generator = np.random.default_rng(draw)
    found = []
    for seed in range(seeds):
        own = np.exp(generator.normal(0, 0.3))  # a seed's own level, the same at every width
        for width in widths:
            snapshots = []
            for step, tensors in by_step.items():
                described: dict[str, dict[str, Any]] = {}
                for name, powers in tensors.items():
                    role, share = TENSORS[name]
                    fan_in = share if role == "embedding" else share * width
                    sizes = {
                        key: level * own * width**power * np.exp(generator.normal(0, noise))
                        for key, power in powers.items()
                    }
                    if kind == "alignment":
                        sizes = {key: np.log(size) / np.log(fan_in) for key, size in sizes.items()}
                    described[name] = {
                        "role": role,
                        "fan_in": fan_in,
                        **{key: float(size) for key, size in sizes.items()},
                        **(constants or {}),
                    }
                snapshots.append({"step": step, "tensors": described})
            data = {"learning_rate": 0.01, "steps": 100, "diverged_at": None, "snapshots": snapshots}
            found.append({"width": width, "seed": seed, "kind": kind, "data": data})
    return found


def specification(**changes: Any) -> dict[str, Any]:
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "form": "table_9",
        "measure": ["epsilon", "alignment", "coordinates"],
        **changes,
    }
