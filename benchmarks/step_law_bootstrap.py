"""How sure Step Law's coefficients are: a bootstrap over its own grids of sizes and tokens. Seconds on one core.

    python -m benchmarks.step_law_bootstrap --data public_sweeps.csv

Of each pair of N and D it takes the batch with the lowest loss, and the vertex of a parabola through the losses near
its best rate. It fits log η to log N and log D, draws the pairs again with replacement, and prints the covariance of
the coefficients at the pairs' geometric mean, as `widthwise/laws/step_law.py` has it. The table of runs is that of
`benchmarks.public_sweeps`; it is not part of this repository.
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep_tasks import Cell, axis, read_cells
from widthwise.laws.step_law import STEP_LAW

NEAR = 1.3  # octaves about the lowest loss that the parabola takes
DRAWS = 1000
WORST = 50.0  # condition of a drawn design: beyond it, the pairs drawn hardly differ in one of the axes
Curve = list[tuple[float, float]]  # log2 of the learning rate, loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="public_sweeps.csv")
    optima = _optima(read_cells(Path(parser.parse_args().data))["steplaw_dense"])
    logs = np.log(np.array(list(optima)))
    centre = logs.mean(axis=0)
    design = np.column_stack([np.ones(len(logs)), logs - centre])
    rates = np.log(np.array(list(optima.values())))
    published = [math.log(STEP_LAW.rate({"parameters": n, "tokens": d})) for n, d in optima]
    covariance = _bootstrap(design, rates)
    widths = 2 * 1.96 * np.sqrt(np.einsum("ci,ij,cj->c", design, covariance, design)) / math.log(2)
    print(f"{len(optima)} pairs, centre N {math.exp(centre[0]):.3g}, D {math.exp(centre[1]):.3g}")
    print(f"optima about the published law: {np.std(rates - published) / math.log(2):.2f} octaves")
    print(f"width of the 95 % interval at the pairs: {np.median(widths):.2f} octaves in the median")
    print("covariance of (log rate, exponent of N, exponent of D):")
    print("\n".join("  ".join(f"{value: .2g}" for value in row) for row in covariance))


def _optima(cells: Mapping[str, Cell]) -> dict[tuple[float, float], float]:
    """Return the best rate of every pair of N and D, at the batch with the lowest loss."""
    curves: dict[tuple[float, float], list[Curve]] = defaultdict(list)
    for cell in cells.values():
        curve = sorted((math.log2(run.learning_rate), run.loss) for run in cell if run.loss is not None)
        if curve:
            curves[axis(cell, "parameters"), axis(cell, "tokens")].append(curve)
    return {pair: _vertex(min(found, key=_lowest)) for pair, found in sorted(curves.items())}


def _lowest(curve: Curve) -> float:
    return min(loss for _, loss in curve)


def _vertex(curve: Curve) -> float:
    best = min(curve, key=lambda point: point[1])[0]
    near = [point for point in curve if abs(point[0] - best) < NEAR]
    square, slope, _ = np.polyfit([x for x, _ in near], [loss for _, loss in near], 2)
    return float(2.0 ** (-slope / (2 * square)))


def _bootstrap(design: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of the coefficients over draws of the pairs."""
    random = np.random.default_rng(0)
    found: list[NDArray[np.float64]] = []
    while len(found) < DRAWS:
        drawn = random.integers(0, len(rates), len(rates))
        if np.linalg.cond(design[drawn]) < WORST:
            found.append(np.asarray(np.linalg.lstsq(design[drawn], rates[drawn], rcond=None)[0], dtype=np.float64))
    return np.cov(np.array(found).T)


if __name__ == "__main__":
    main()
