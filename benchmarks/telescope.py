"""Which few learning rates place an optimum best? Layouts tried on synthetic basins, by error and number of runs.

    python -m benchmarks.telescope

Two basins: one like the MLP proxy's under Adam (nearly even, noise of a hundredth of a nat and a half between learning
rates), and one twice as steep towards divergence. The centre misses the optimum by as much as a prediction does, and
an end that comes out best is extended, as the search does.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from widthwise.estimate.optimum import fit_optimum

# Like the MLP proxy at widths 32 to 128 and 200 steps (read off python -m benchmarks.optimum_over_widths): nats a
# squared octave, noise of one run in nats, and how much a seed tilts the curve, in nats an octave
CURVATURE, NOISE, TILT = 0.03, 0.007, 0.005
MISSES = (0.15, 0.5)  # octaves: standard errors of a prediction from several widths, and from one
DRAWS = 1000  # errors are then known to 2 %
LAYOUTS: dict[str, Sequence[float]] = {  # octaves from the centre
    "3, 1/2 apart": (-0.5, 0.0, 0.5),
    "3, 1 apart": (-1.0, 0.0, 1.0),
    "3, 3/2 apart": (-1.5, 0.0, 1.5),
    "4, 1/2 apart": (-1.0, -0.5, 0.0, 0.5),
    "4, 1 apart": (-1.5, -0.5, 0.5, 1.5),
    "5, 1/4 apart": (-0.5, -0.25, 0.0, 0.25, 0.5),
    "5, 1/2 apart": (-1.0, -0.5, 0.0, 0.5, 1.0),
    "5, 1 apart": (-2.0, -1.0, 0.0, 1.0, 2.0),
    "9, 1/4 apart": tuple(0.25 * k for k in range(-4, 5)),
}


def even(octaves: float) -> float:
    """A basin like the MLP's under Adam."""
    return CURVATURE * octaves**2


def skewed(octaves: float) -> float:
    """A basin of the same curvature, twice as steep upwards as downwards an octave away."""
    return 2 * CURVATURE * (math.exp(octaves) - 1 - octaves)


def errors(
    basin: Callable[[float], float], layout: Sequence[float], seeds: int, miss: float, draws: int
) -> tuple[float, float, float]:
    """Root mean square error of the vertex in octaves, the mean one (bias), and runs; the optimum is at 0."""
    rng = np.random.default_rng(0)
    found, runs = [], []
    for _ in range(draws):
        tilt_S = TILT * rng.standard_normal(seeds)
        # the lattice lies anywhere, and the centre is the point of it nearest the prediction
        centre = 0.5 * round(rng.normal(0, miss) / 0.5) + rng.uniform(-0.25, 0.25)
        losses: dict[float, np.ndarray] = {}
        wanted = [centre + octaves for octaves in layout]
        while wanted:
            for x in wanted:
                losses[x] = basin(x) + NOISE * rng.standard_normal(seeds) + tilt_S * x
            xs = sorted(losses)
            best = min(xs, key=lambda x: float(losses[x].mean()))
            apart = xs[1] - xs[0]
            beyond = {xs[0]: xs[0] - apart, xs[-1]: xs[-1] + apart}
            wanted = [beyond[best]] if best in beyond else []
        optimum = fit_optimum(2.0 ** np.array(xs), np.array([losses[x] for x in xs]))
        found.append(optimum.log2_learning_rate)
        runs.append(len(xs) * seeds)
    return float(np.sqrt(np.mean(np.square(found)))), float(np.mean(found)), float(np.mean(runs))


def main() -> None:
    for basin in (even, skewed):
        for miss in MISSES:
            print(f"\n{basin.__name__} basin, centre off by {miss} octaves: error (bias) in octaves, runs")
            for name, layout in LAYOUTS.items():
                cells = (errors(basin, layout, seeds, miss, DRAWS) for seeds in (1, 2, 3))
                print(f"{name:>14}: " + "   ".join(f"{e:.3f} ({b:+.3f}) {n:4.1f}" for e, b, n in cells))


if __name__ == "__main__":
    main()
