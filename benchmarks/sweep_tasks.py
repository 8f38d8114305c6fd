"""Public sweeps as tasks: which cells are held out, what is trained on, and how far a prediction is off."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from widthwise.estimate.shape import CurveShape
from widthwise.sweeps.cell import SweepCell, cells_of
from widthwise.sweeps.learning import NEAREST, learn_shape
from widthwise.sweeps.run import SweepRun, runs_from_rows
from widthwise.sweeps.shape import cell_log_likelihood

Cell = list[SweepRun]  # runs that differ in nothing but learning rate and seed

#: The axes of each source; others follow from them, as width and depth from parameters
AXES = {
    "steplaw_dense": ("parameters", "tokens", "batch_tokens"),
    "steplaw_moe": ("parameters", "tokens", "batch_tokens"),
    "tinker": ("parameters", "rank", "model"),
    "fabian_wsd": ("tokens",),
}
CUBIC_OCTAVES = 1.35  # around the lowest loss, of the cubic reference
FOLDS = 5
TIMES_BATCH = 4  # of the largest batch over the largest one trained on


@dataclass(frozen=True)
class Task:
    """A part of a source held out."""

    source: str
    name: str
    trained: tuple[str, ...]  #: names of cells
    held: tuple[str, ...]
    along: str  #: the axis of the series that methods of one axis use
    three_rates: bool = False  #: of every trained cell only three rates a factor of 2 apart


def read_cells(path: Path) -> dict[str, dict[str, Cell]]:
    """Return the runs of each source of `AXES`, by cell."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, dict[str, Cell]] = {}
    for source, axes in AXES.items():
        own = [row for row in rows if row["source"] == source]
        kept = [{name: row[name] for name in ("learning_rate", "loss", "status", "seed", *axes)} for row in own]
        runs = runs_from_rows(kept, groups=[axis for axis in axes if axis == "model"])
        for row, run in zip(own, runs, strict=True):
            found.setdefault(source, {}).setdefault(row["cell"], []).append(run)
    return found


def axis(cell: Cell, name: str) -> float:
    """The value of one axis with numbers."""
    return float(cell[0].axes[name])


def tasks_of(source: str, cells: Mapping[str, Cell], seed: int = 0) -> Iterator[Task]:
    """Yield the tasks of a source."""
    if "tokens" in AXES[source]:
        tokens = list(_tokens(source, cells))
        yield from tokens
        if "batch_tokens" in AXES[source]:
            yield from _batches(source, cells)
            yield from _sizes(source, cells)
            for task in tokens:
                yield Task(source, "three rates", task.trained, task.held, "tokens", three_rates=True)
    if len(cells) > FOLDS * FOLDS:
        names = list(cells)
        fold = np.random.default_rng(seed).permutation(len(names)) % FOLDS
        for one in range(FOLDS):
            held = tuple(name for name, at in zip(names, fold, strict=True) if at == one)
            along = "batch_tokens" if "batch_tokens" in AXES[source] else "rank"
            yield Task(source, "five-fold", tuple(name for name in names if name not in held), held, along)


def _tokens(source: str, cells: Mapping[str, Cell]) -> Iterator[Task]:
    """Hold out the largest tokens of every size; train on all cells with fewer tokens."""
    sizes = _values(cells, "parameters") if "parameters" in AXES[source] else [None]
    for size in sizes:
        own = {name: c for name, c in cells.items() if size is None or axis(c, "parameters") == size}
        most = max(axis(cell, "tokens") for cell in own.values())
        held = tuple(name for name, cell in own.items() if axis(cell, "tokens") == most)
        trained = tuple(name for name, cell in cells.items() if axis(cell, "tokens") < most)
        yield Task(source, "largest tokens", trained, held, "tokens")


def _batches(source: str, cells: Mapping[str, Cell]) -> Iterator[Task]:
    """Hold out the largest batch of every (N, D); train on all cells with a quarter of it or less."""
    largest: dict[tuple[float, float], float] = {}
    for cell in cells.values():
        key = axis(cell, "parameters"), axis(cell, "tokens")
        largest[key] = max(largest.get(key, 0.0), axis(cell, "batch_tokens"))
    for batch in sorted(set(largest.values())):
        own = [name for name, c in cells.items() if largest[axis(c, "parameters"), axis(c, "tokens")] == batch]
        held = tuple(name for name in own if axis(cells[name], "batch_tokens") == batch)
        trained = tuple(name for name, c in cells.items() if axis(c, "batch_tokens") <= batch / TIMES_BATCH)
        yield Task(source, f"largest batch, ×{TIMES_BATCH}", trained, held, "batch_tokens")


def _sizes(source: str, cells: Mapping[str, Cell]) -> Iterator[Task]:
    """Hold out the largest N; then the two largest of N and of D at once."""
    sizes, tokens = _values(cells, "parameters"), _values(cells, "tokens")
    held = _names(cells, lambda c: axis(c, "parameters") == sizes[-1])
    yield Task(source, "largest N", tuple(name for name in cells if name not in held), held, "parameters")
    held = _names(cells, lambda c: axis(c, "parameters") >= sizes[-2] and axis(c, "tokens") >= tokens[-2])
    trained = _names(cells, lambda c: axis(c, "parameters") < sizes[-2] and axis(c, "tokens") < tokens[-2])
    yield Task(source, "two largest of N and D", trained, held, "parameters")


def _names(cells: Mapping[str, Cell], wanted: Callable[[Cell], bool]) -> tuple[str, ...]:
    return tuple(name for name, cell in cells.items() if wanted(cell))


def _values(cells: Mapping[str, Cell], name: str) -> list[float]:
    return sorted({axis(cell, name) for cell in cells.values()})


def thinned(cell: Cell, random: np.random.Generator) -> Cell:
    """Return the runs at three rates a factor of 2 apart: around the lowest loss of one lattice of such rates."""
    finished = sorted((run for run in cell if not run.diverged), key=lambda run: run.learning_rate)
    if len(finished) < 3:
        return cell
    x = np.log2([run.learning_rate for run in finished])
    start = x[random.integers(min(2, len(x)))]
    lattice = [run for run, at in zip(finished, x, strict=True) if abs(at - start - round(at - start)) < 0.1]
    if len(lattice) < 3:
        lattice = finished
    best = int(np.argmin([run.loss or np.inf for run in lattice]))
    first = min(max(best - 1, 0), len(lattice) - 3)
    return lattice[first : first + 3]


@dataclass(frozen=True)
class Reference:
    """What a held-out cell says itself."""

    shape: float  #: log2 of its optimum under the shape that all cells of its source share
    cubic: float  #: log2 of the minimum of a cubic through the points near its lowest loss
    x: NDArray[np.float64]
    losses: NDArray[np.float64]

    def regret(self, x: float) -> float:
        """Return how much a rate loses to the best one, in percent of its loss; off the grid, as at its end."""
        from scipy.interpolate import PchipInterpolator

        curve = PchipInterpolator(self.x, self.losses)
        fine = np.linspace(self.x[0], self.x[-1], 2001)
        lowest = float(curve(fine).min())
        return 100 * (float(curve(np.clip(x, self.x[0], self.x[-1]))) - lowest) / lowest


def references(cells: Mapping[str, Cell]) -> dict[str, Reference]:
    """Return the reference of every cell that brackets its optimum with at least four losses."""
    tables = {name: cells_of(cell)[0] for name, cell in cells.items()}
    shape = learn_shape(list(tables.values()), most_cells=len(tables))
    return {name: _reference(table, shape) for name, table in tables.items() if _bracketed(table)}


def _bracketed(table: SweepCell) -> bool:
    return table.x.size >= 4 and 0 < int(np.argmin(table.losses)) < table.x.size - 1


def _reference(table: SweepCell, shape: CurveShape) -> Reference:
    grid = np.arange(table.x[0], table.x[-1], 0.02)
    log = cell_log_likelihood(table, shape, grid) - (grid - table.lowest) ** 2 / (2 * max(NEAREST, table.spacing) ** 2)
    weight = np.exp(log - log.max())
    return Reference(float(weight @ grid / weight.sum()), _cubic(table), table.x, table.losses)


def _cubic(table: SweepCell) -> float:
    """Return the minimum of a cubic near the lowest loss; the lowest rate itself if the cubic has none there."""
    near = np.abs(table.x - table.lowest) <= CUBIC_OCTAVES
    if near.sum() < 4:
        near = np.argsort(np.abs(table.x - table.lowest)) < 4
    x = table.x[near] - table.lowest
    found = np.poly1d(np.polyfit(x, table.losses[near], 3))
    fine = np.linspace(x[0], x[-1], 1001)
    return table.lowest + float(fine[np.argmin(found(fine))])


def series_of(names: Sequence[str], cells: Mapping[str, Cell], target: Cell, along: str) -> list[str]:
    """Return the cells that differ from the target along one axis alone, ascending.

    If there are none along the parameters, those with the same tokens per parameter.
    """

    def same(cell: Cell, ratio: bool) -> bool:
        for name, value in target[0].axes.items():
            if name == along:
                continue
            if isinstance(value, str):
                if cell[0].axes[name] != value:
                    return False
                continue
            apart = axis(cell, name) / value
            if ratio and name == "tokens":
                apart *= axis(target, along) / axis(cell, along)
            if abs(np.log2(apart)) > 0.1:
                return False
        return True

    found = [name for name in names if same(cells[name], False)]
    if not found and along == "parameters":
        found = [name for name in names if same(cells[name], True)]
    return sorted(found, key=lambda name: axis(cells[name], along))
