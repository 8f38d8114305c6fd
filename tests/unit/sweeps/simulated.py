"""Sweeps with a known law, shape and scatter."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from widthwise.sweeps import SweepRun

CURVATURE, SKEW, NOISE = 0.012, 0.5, 0.0015  # near those of public sweeps of language models


def curve(octaves: float, curvature: float = CURVATURE, skew: float = SKEW) -> float:
    """The rise of the loss this far from the optimum: linear when slow, exponential towards divergence."""
    return float(curvature * 2 * (np.expm1(skew * octaves) - skew * octaves) / skew**2)


def simulated(
    places: Sequence[Mapping[str, float | str]],
    law: Callable[[Mapping[str, float | str]], float],
    *,
    scatter: float = 0.15,
    noise: float = NOISE,
    spacing: float = 0.5,
    half_width: float = 2.0,
    seed: int = 0,
) -> tuple[list[SweepRun], list[float]]:
    """Return runs on a grid of rates around every cell's optimum, and log2 of the optima."""
    random = np.random.default_rng(seed)
    runs, optima = [], []
    for place in places:
        optimum = law(place) + scatter * random.normal()
        curvature = CURVATURE * np.exp(0.4 * random.normal())
        middle = spacing * np.round((law(place) + 0.3 * random.normal()) / spacing)
        for step in np.arange(-half_width, half_width + spacing / 2, spacing):
            loss = 2.5 + curve(middle + step - optimum, curvature) + noise * random.normal()
            runs.append(SweepRun(float(2.0 ** (middle + step)), float(loss), place))
        optima.append(float(optimum))
    return runs, optima
