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


def trials(widths: Sequence[int], drift: float) -> list[dict[str, Any]]:
    """Trials whose optimum is 2^-8 at width 64 and moves as width^(−drift)."""
    return [
        {
            "width": width,
            "learning_rate": rate,
            "seed": seed,
            "loss": 2.0 + 0.05 * (math.log2(rate) + 8 + drift * math.log2(width / 64)) ** 2 + 0.001 * seed,
        }
        for width in widths
        for rate in RATES
        for seed in range(2)
    ]
