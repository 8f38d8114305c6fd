"""Sweeps to ask and tell on, and the ways to choose their runs: each case knows what every run gives, and the truth."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.sweep_tasks import AXES, Cell, references, tasks_of
from widthwise.estimate.shape import phi
from widthwise.sweeps import Sweep, SweepRun
from widthwise.sweeps.cell import SAME
from widthwise.sweeps.planned import cost_of, same_place

Axes = Mapping[str, float | str]
Train = Callable[[Axes, float], float | None]


@dataclass(frozen=True)
class Case:
    """One sweep, the place asked for and its optimum."""

    name: str
    cells: tuple[Axes, ...]
    rates: Callable[[Axes], Sequence[float]]
    train: Train
    target: Axes
    truth: float  #: log2 of the learning rate

    def runs(self, chosen: Sequence[tuple[Axes, float]]) -> list[SweepRun]:
        """Return the runs at some cells and rates."""
        return [SweepRun(rate, self.train(axes, rate), axes) for axes, rate in chosen]


@dataclass(frozen=True)
class Scenario:
    """Sweeps with a law that is drawn."""

    name: str
    axes: tuple[Axes, ...]
    target: Axes
    noise: float = 0.0015  # nats, near that of public language models, as the rest here
    scatter: float = 0.15  # octaves


WIDTHS = tuple({"width": float(width)} for width in (64, 128, 256, 512))
SCENARIOS = (
    Scenario("3 widths, ×4", WIDTHS[:3], {"width": 1024.0}),
    Scenario("4 widths, ×8", WIDTHS, {"width": 4096.0}),
    Scenario("4 widths, ×8, noise ×4", WIDTHS, {"width": 4096.0}, noise=0.006),
    Scenario(
        "3 widths × 3 tokens, ×4 both",
        tuple({"width": w, "tokens": d} for w in (64.0, 128.0, 256.0) for d in (1e8, 2e8, 4e8)),
        {"width": 1024.0, "tokens": 1.6e9},
    ),
)
RATES = tuple(float(2.0 ** (-13 + step / 2)) for step in range(19))  # a factor of √2 apart, over nine octaves
LOWEST, CURVATURE, SKEW, DIVERGES = 2.5, 0.012, 0.5, 0.4  # nats, nats per octave², per octave, nats above the lowest


def simulated(scenario: Scenario, seed: int) -> Case:
    """Draw a law, the scatter and the curve of every cell, and the noise of every run."""
    random = np.random.default_rng(seed)
    level, exponents = random.normal(-8.0, 0.7), {"width": random.normal(-0.5, 0.3), "tokens": random.normal(-0.2, 0.2)}

    def law(place: Axes) -> float:
        first = scenario.axes[0]
        return float(
            level + sum(exponents[name] * math.log2(float(place[name]) / float(first[name])) for name in first)
        )

    optima = [law(place) + scenario.scatter * random.normal() for place in scenario.axes]
    kappas = CURVATURE * np.exp(0.4 * random.normal(size=len(optima)))
    skews = SKEW + 0.2 * random.normal(size=len(optima))
    noise = scenario.noise * random.normal(size=(len(optima), len(RATES)))

    def train(axes: Axes, rate: float) -> float | None:
        at = next(index for index, place in enumerate(scenario.axes) if same_place(place, axes))
        rise = float(kappas[at] * phi(np.asarray(math.log2(rate) - optima[at]), float(skews[at])))
        return None if rise > DIVERGES else LOWEST + rise + float(noise[at, RATES.index(rate)])

    truth = law(scenario.target) + scenario.scatter * random.normal()
    return Case(scenario.name, scenario.axes, lambda _: RATES, train, scenario.target, truth)


AT_ONCE = 2  # runs that are asked for before either is told, as two workers would
NEAREST = 9  # trained cells of a public task: those nearest to the target (chosen)


def replayed(source: str, cells: Mapping[str, Cell], most: int) -> Iterator[Case]:
    """Yield up to `most` cases of each kind of a public source: runs that others made, asked for one by one."""
    known = references(cells)
    for kind in ("largest tokens", "largest N"):
        pairs = [
            (name, task.trained)
            for task in tasks_of(source, cells)
            if task.name == kind
            for name in task.held
            if name in known
        ]
        for index in np.unique(np.linspace(0, len(pairs) - 1, most).round().astype(int)):
            name, trained = pairs[index]
            target = cells[name][0].axes
            near = sorted(trained, key=lambda other: _apart(source, cells[other][0].axes, target))[:NEAREST]
            yield _replay(f"{source}, {kind}", {other: cells[other] for other in near}, target, known[name].shape)


def _apart(source: str, one: Axes, other: Axes) -> float:
    """Return how far two places are apart, octaves."""
    return math.hypot(*(math.log2(float(one[axis]) / float(other[axis])) for axis in AXES[source]))


def _replay(name: str, cells: Mapping[str, Cell], target: Axes, truth: float) -> Case:
    def cell(axes: Axes) -> Cell:
        return next(own for own in cells.values() if same_place(own[0].axes, axes))

    def rates(axes: Axes) -> list[float]:
        found: list[float] = []
        for rate in sorted(run.learning_rate for run in cell(axes)):
            if not found or rate > SAME * found[-1]:
                found.append(rate)
        return found

    def train(axes: Axes, rate: float) -> float | None:
        return next(run.loss for run in cell(axes) if abs(math.log(run.learning_rate / rate)) < math.log(SAME))

    places = tuple(own[0].axes for own in cells.values())
    return Case(name, places, rates, train, target, truth)


def grid(case: Case) -> list[SweepRun]:
    """Every rate of every cell."""
    return case.runs([(axes, rate) for axes in case.cells for rate in case.rates(axes)])


def telescope(case: Case) -> list[SweepRun]:
    """Rates a factor of 2 apart: all of them in the cheapest cell, then three around the best of the cell before.

    While the lowest loss of a cell is at an end of its three, the next rate is added there.
    """
    chosen: list[SweepRun] = []
    best: float | None = None
    for axes in sorted(case.cells, key=lambda place: cost_of(None, place)):
        x = np.log2(case.rates(axes))
        ladder = [x[0]]
        for at in x[1:]:
            if at - ladder[-1] > 0.95:
                ladder.append(at)
        middle = 0 if best is None else min(max(int(np.argmin(np.abs(np.array(ladder) - best))), 1), len(ladder) - 2)
        low, high = (0, len(ladder) - 1) if best is None else (max(middle - 1, 0), min(middle + 1, len(ladder) - 1))
        while True:
            runs = case.runs([(axes, float(2.0**at)) for at in ladder[low : high + 1]])
            losses = [math.inf if run.loss is None else run.loss for run in runs]
            at = low + int(np.argmin(losses))
            if at == low and low > 0:
                low -= 1
            elif at == high and high < len(ladder) - 1 and losses[-1] < math.inf:
                high += 1
            else:
                break
        best = float(ladder[at])
        chosen += runs
    return chosen


def asked(case: Case, precision: float | None = None) -> list[SweepRun]:
    """What is asked for until the precision is reached or nothing is left to learn."""
    sweep = Sweep(cells=case.cells, learning_rates=case.rates, target=case.target, precision=precision)
    while not sweep.done:
        for run in sweep.ask(AT_ONCE):
            sweep.tell(run, case.train(run.axes, run.learning_rate))
    return list(sweep.runs)


def cost(runs: Sequence[SweepRun]) -> float:
    """What runs cost."""
    return sum(cost_of(None, run.axes) for run in runs)
