"""Searches replayed over real runs: many calibrations of one question, whose runs are trained once and then shared.

A draw is a calibration with some of the pool's seeds, on the lattice of learning rates or between its points. All draws
advance together, round by round, so that what a round needs and nobody has run yet is trained in one go. Every run
counts to its last step: which ones early stopping would have ended is not replayed.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from widthwise.calibration.cost import run_flops
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.search.rounds import next_round

Cell = tuple[int, float, int]  #: width, learning rate, seed
Train = Callable[[Sequence[Cell]], Iterable[Trial]]  #: real runs of these cells, in any order
CURVE_OCTAVES = 1.35  # on each side of the lowest mean, as for public sweeps: beyond, the skew is no longer a cubic's
CURVE_DEGREE = 3  # of the polynomial in log2 learning rate whose minimum is an optimum: a basin and its skew


@dataclass
class Pool:
    """Real runs by width, learning rate and seed; what is asked for and missing is trained."""

    train: Train
    known: dict[Cell, Trial] = field(default_factory=dict)

    def fill(self, cells: Iterable[Cell]) -> None:
        """Train those of these cells that are missing."""
        missing = sorted(set(cells) - set(self.known))
        if missing:
            found = {(each.width, each.learning_rate, each.seed): each for each in self.train(missing)}
            self.known |= {cell: found[cell] for cell in missing}

    def losses(self, width: int, rates: Sequence[float], seeds: Sequence[int]) -> np.ndarray:
        """Return (n_lr, n_seeds) losses in nats, infinite where a run diverged; all are in the pool."""
        loss_LxS = [[self.known[width, rate, seed].loss for seed in seeds] for rate in rates]
        return np.array([[math.inf if loss is None else loss for loss in row] for row in loss_LxS])


@dataclass(frozen=True)
class Draw:
    """One calibration's part of a pool."""

    seeds: tuple[int, ...]  #: of the pool, in the place of its seeds 0, 1, …
    offset: float = 0.0  #: octaves from the lattice on which the search believes to be to the pool's learning rates

    def cell(self, width: int, rate: float, seed: int) -> Cell:
        """Return the cell of the pool that stands for one of the search's."""
        return width, _shifted(rate, self.offset), self.seeds[seed]

    def on_lattice(self, rates: Iterable[float], mesh: float) -> list[float]:
        """Return those of the pool's rates that the search can ask for, as it names them: multiples of the mesh."""
        octaves = {rate: math.log2(_shifted(rate, -self.offset)) / mesh for rate in rates}
        return [_shifted(rate, -self.offset) for rate, at in octaves.items() if abs(at - round(at)) < 1e-6]


def _shifted(rate: float, octaves: float) -> float:
    """Return a rate so many octaves away, to the last bit the power of two that a lattice has there."""
    return 2.0 ** round(math.log2(rate) + octaves, 9) if octaves else rate


@dataclass
class Replay:
    """A calibration whose runs come from a pool."""

    spec: CalibrationSpec
    draw: Draw
    trials: list[Trial] = field(default_factory=list)
    rounds: int = 0

    @property
    def flops(self) -> float:
        """Operations of its runs, each counted to its last step."""
        return sum(run_flops(self.spec, trial.width) for trial in self.trials)


def replay(pool: Pool, asked: Iterable[tuple[CalibrationSpec, Draw]]) -> list[Replay]:
    """Return the whole search of each draw, in order; the pool grows by what they need."""
    replays = [Replay(spec, draw) for spec, draw in asked]
    going = replays
    while going:
        wanted = {id(each): _wanted(each) for each in going}
        going = [each for each in going if wanted[id(each)]]
        pool.fill(each.draw.cell(*cell) for each in going for cell in wanted[id(each)])
        for each in going:
            each.rounds += 1
            for width, rate, seed in wanted[id(each)]:
                real = pool.known[each.draw.cell(width, rate, seed)]
                each.trials.append(replace(real, learning_rate=rate, seed=seed))
    return replays


def _wanted(one: Replay) -> list[Cell]:
    shards = next_round(one.spec, one.trials)
    return sorted((trial.width, trial.learning_rate, trial.seed) for shard in shards for trial in shard.trials())


def draws_of(pool_seeds: Sequence[int], seeds: int, most: int, offsets: Sequence[float] = (0.0,)) -> list[Draw]:
    """Return at most so many draws, each with its own `seeds` of the pool's seeds and one of the offsets in turn."""
    chosen = list(combinations(pool_seeds, seeds))
    np.random.default_rng(0).shuffle(chosen)
    return [Draw(tuple(map(int, each)), offsets[k % len(offsets)]) for k, each in enumerate(chosen[:most])]


def optimum_of(x_L: np.ndarray, mean_L: np.ndarray) -> float:
    """Return the log2 rate at which a smooth curve through the finite means near the lowest is lowest."""
    near = np.isfinite(mean_L) & (np.abs(x_L - x_L[np.argmin(mean_L)]) <= CURVE_OCTAVES)
    return minimum(x_L[near], mean_L[near])[0]


def minimum(x_L: np.ndarray, mean_L: np.ndarray) -> tuple[float, float]:
    """Return where the smooth curve through the means is lowest within their range, and how low."""
    curve = np.polyfit(x_L - x_L.mean(), mean_L, min(CURVE_DEGREE, x_L.size - 1))  # fewer points next to a divergence
    fine = np.linspace(x_L[0], x_L[-1], 2001)
    y = np.polyval(curve, fine - x_L.mean())
    return float(fine[y.argmin()]), float(y.min())


def jackknife(x_L: np.ndarray, loss_LxS: np.ndarray) -> float:
    """Return the standard error of the optimum of the mean curve, from leaving each seed out in turn."""
    number = loss_LxS.shape[1]
    left_out = [optimum_of(x_L, np.delete(loss_LxS, s, axis=1).mean(axis=1)) for s in range(number)]
    return math.sqrt((number - 1) * float(np.var(left_out)))
