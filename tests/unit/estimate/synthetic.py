"""Synthetic sweeps with a known optimum: a parabola in log2 learning rate, seed noise, a power law over width.

The property tests switch hypothesis's deadline per example off: on a shared machine it measures the neighbours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPEC: dict[str, Any] = {
    "parameterization": "standard",
    "optimizer": "adam",
    "alignment": "full",
    "readout_omega": 0.5,
    "form": "table_9",
    "widths": [64, 128, 256, 512],
}


def parabola(log2_rates: Floats, optimum: float, curvature: float = 0.06, floor: float = 2.0) -> Floats:
    """Loss in nats: `floor` at the optimum, `curvature` more an octave away."""
    return np.asarray(floor + curvature * (log2_rates - optimum) ** 2)


def trial(width: int, learning_rate: float, seed: int, loss: float | None, status: str | None = None) -> dict[str, Any]:
    """One record as the store keeps it; without a status, no loss means diverged."""
    return {
        "width": width,
        "learning_rate": learning_rate,
        "seed": seed,
        "status": status or ("diverged" if loss is None else "completed"),
        "loss": loss,
        "seconds": 1.0,
        "steps": 100,
        "flops": 1e9,
    }


def sweep(
    rng: np.random.Generator,
    *,
    widths: Sequence[int] = (64, 128, 256, 512),
    seeds: int = 3,
    slope: float = 0.0,
    noise: float = 0.01,
    spacing: float = 0.5,
    octaves: float = 6.0,
) -> list[dict[str, Any]]:
    """Trials whose best learning rate goes as width^slope from 2^−8 at the first width.

    The grid lies at a random offset from the optimum. Each seed shifts the losses of a width by a common amount,
    five times the independent noise, as common random numbers do.
    """
    log2_rates = -8 + np.arange(-octaves, octaves + spacing / 2, spacing) + rng.uniform(-0.5, 0.5) * spacing
    trials = []
    for width in widths:
        mean = parabola(log2_rates, -8 + slope * np.log2(width / widths[0]))
        losses = mean[:, None] + noise * (
            rng.standard_normal((log2_rates.size, seeds)) + 5 * rng.standard_normal((1, seeds))
        )
        for i, log2_rate in enumerate(log2_rates):
            for seed in range(seeds):
                trials.append(trial(width, float(2.0**log2_rate), seed, float(losses[i, seed])))
    return trials
