"""A calibration whose answer is known: the loss is a parabola in log learning rate that moves with the width."""

import math
from collections.abc import Sequence
from typing import Any

RATES = [2.0**power for power in range(-12, -3)]


def spec(**changes: Any) -> dict[str, Any]:
    """A small specification."""
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "widths": [64, 128, 256],
        "seeds": 2,
        "steps": 10,
        "learning_rates": RATES,
        **changes,
    }


def bowl_loss(width: int, learning_rate: float, seed: int, drift: float) -> float:
    """A loss whose optimum is 2^-6 at width 64 and moves as width^(−drift)."""
    return 2.0 + 0.05 * (math.log2(learning_rate) + 6 + drift * math.log2(width / 64)) ** 2 + 0.001 * seed


def trials(widths: Sequence[int], drift: float) -> list[dict[str, Any]]:
    """The trials of a specification as an external runner uploads them."""
    return [
        {"width": width, "learning_rate": rate, "seed": seed, "loss": bowl_loss(width, rate, seed, drift)}
        for width in widths
        for rate in RATES
        for seed in range(2)
    ]
