"""Columns of a sweep that are not an axis: whether one of them explains what the law, or a curve, leaves over.

**Between cells.** A column with one value in every cell is held against the cells' distances from the law. Near its
mode, a cell's term of the posterior is that of one observation y = f + gradient/curvature of variance 1/curvature, to
which the residual process adds α²·F·Fᵀ. Whitened by that covariance, and with the law's own derivatives projected out,
the column's share of the residuals has an F distribution if the column means nothing.

**Within cells.** A setting that varies among runs with equal axes and rate (two optimizers in one cell) is held against
their losses, less the mean of each such group; it may move the level or, by an interaction with the rate, the optimum.

Columns are many and alike, so the smallest p-value is compared with its own distribution: under random normal residuals
between cells (the rotation test of Langsrud 2005), under permutations within groups (Westfall and Young 1993).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from widthwise.sweeps.cell import SAME, Floats, SweepCell
from widthwise.sweeps.optimum import edge_of
from widthwise.sweeps.posterior import Component, SweepData
from widthwise.sweeps.run import SweepRun

BETWEEN = 0.01  # level of the first test, nearly exact: 4 % of 150 simulated sweeps were below .025, 2.5 % below .017
WITHIN = 0.025  # level of the second; of both together, less than one sweep in twenty is warned about without a reason
DRAWS = 1999  # of the null distribution: p-values down to .0005
LEFT_OVER = 4  # residual degrees of freedom at least (chosen): fewer explain nothing
TOLERANCE = 1e-6  # relative length, below which a column says nothing that the axes don't
MOST_VALUES = 10  # of a setting (chosen): a column with more is an outcome, such as another loss or the time it took


@dataclass(frozen=True)
class ExplainingColumn:
    """A column that is not an axis and explains residuals."""

    name: str
    p_value: float  #: of the smallest p-value among all columns
    within: bool  #: it varies among runs of one cell


def explaining_columns(
    cells: Sequence[SweepCell], data: SweepData, components: Sequence[Component]
) -> tuple[ExplainingColumn, ...]:
    """Return the columns that explain residuals, after correction for the number of columns."""
    between = _between(cells, data, max(components, key=lambda one: one.weight))
    within = _within(cells)
    found = [ExplainingColumn(name, p, within=False) for name, p in between.items() if p < BETWEEN]
    return tuple(found + [ExplainingColumn(name, p, within=True) for name, p in within.items() if p < WITHIN])


def column_values(cell: SweepCell) -> dict[str, float | str]:
    """Return the columns that have one value in all runs of a cell."""
    found: dict[str, float | str] = {}
    for name, value in (cell.runs[0].unused if cell.runs else {}).items():
        values = [run.unused.get(name) for run in cell.runs]
        if all(_equal(value, other) for other in values):
            found[name] = value
    return found


def _equal(value: float | str, other: float | str | None) -> bool:
    if isinstance(value, str) or isinstance(other, str) or other is None:
        return value == other
    low, high = sorted((abs(value), abs(other)))
    return value * other >= 0 and high <= SAME * low


def _between(cells: Sequence[SweepCell], data: SweepData, component: Component) -> dict[str, float]:
    """Return the corrected p-value of every column that varies between cells only."""
    inside = [index for index, cell in enumerate(cells) if cell.x.size and edge_of(cell) is None]
    values = [column_values(cells[index]) for index in inside]
    if len(inside) <= LEFT_OVER:
        return {}
    law_C, jacobian_CxT = data.at_cells(component.theta)
    curvature_C = component.curvature[inside]
    observed_C = (component.centre - law_C)[inside] + component.gradient[inside] / curvature_C
    feature_CxR = component.alpha * data.features.at_cells[inside]
    root_CxC = np.linalg.cholesky(np.diag(1 / curvature_C) + feature_CxR @ feature_CxR.T)
    law_basis = _basis(np.linalg.solve(root_CxC, jacobian_CxT[inside]))
    residual_C = _outside(np.linalg.solve(root_CxC, observed_C), law_basis)
    freedom = len(inside) - law_basis.shape[1]
    bases = {}
    for name in values[0]:
        block = _block([each.get(name) for each in values])
        if block is not None:
            whitened = np.linalg.solve(root_CxC, block)
            basis = _basis(_outside(whitened, law_basis), np.linalg.norm(whitened))
            if 0 < basis.shape[1] <= freedom - LEFT_OVER:
                bases[name] = basis
    random = np.random.default_rng(0)
    null_CxK = _outside(random.normal(size=(len(inside), DRAWS)), law_basis)
    return _corrected(bases, residual_C, null_CxK, freedom)


def _within(cells: Sequence[SweepCell]) -> dict[str, float]:
    """Return the corrected p-value of every setting that varies among runs of equal axes and rate."""
    groups = [group for cell in cells for group in _repeats(cell)]
    runs = [run for group in groups for run in group]
    if len(runs) - len(groups) <= LEFT_OVER:
        return {}
    loss_R = np.concatenate([_centred([float(run.loss or 0) for run in group]) for group in groups])
    member_R = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    rate_R = np.log2([run.learning_rate for run in runs])
    bases = {}
    for name in dict.fromkeys(name for run in runs for name in run.unused):
        values = [run.unused.get(name) for run in runs]
        counts = [values.count(value) for value in set(values)]
        if None in values or len(counts) > MOST_VALUES or min(counts) < 2:
            continue
        block = _block([str(value) for value in values])
        if block is not None:
            both = np.hstack([block, block * (rate_R - rate_R.mean())[:, None]])
            centred = both - _means(both, member_R)
            basis = _basis(centred, np.linalg.norm(both))
            if 0 < basis.shape[1] <= len(runs) - len(groups) - LEFT_OVER:
                bases[name] = basis
    if not bases:
        return {}
    random = np.random.default_rng(0)
    shuffled = [loss_R[np.lexsort((random.random(len(runs)), member_R))] for _ in range(DRAWS)]
    return _corrected(bases, loss_R, np.array(shuffled).T, len(runs) - len(groups))


def _repeats(cell: SweepCell) -> list[list[SweepRun]]:
    """Return the runs of a cell that have a loss, in groups of two or more with one rate."""
    found: dict[int, list[SweepRun]] = defaultdict(list)
    for run in cell.runs:
        at = np.abs(cell.x - np.log2(run.learning_rate)) if cell.x.size else np.array([np.inf])
        if not run.diverged and at.min() < np.log2(SAME):
            found[int(at.argmin())].append(run)
    return [group for group in found.values() if len(group) > 1]


def _block(values: Sequence[float | str | None]) -> Floats | None:
    """Return a column as a design: one for each word but the first, or one of numbers; None if it says nothing."""
    kinds = {type(value) is str for value in values}
    if None in values or len(kinds) > 1 or len(set(values)) < 2:
        return None
    if kinds == {True}:
        levels = sorted({str(value) for value in values})
        return np.array([[float(value == level) for level in levels[1:]] for value in values])
    numbers = np.array([float(value) for value in values if value is not None])
    return (np.log2(numbers) if (numbers > 0).all() else numbers)[:, None]


def _basis(block: Floats, scale: float | np.floating | None = None) -> Floats:
    """Return an orthonormal basis of what the columns span, less directions that are rounding."""
    left, sizes, _ = np.linalg.svd(block, full_matrices=False)
    most = float(sizes[0]) if scale is None and sizes.size else float(scale or 0)
    return np.asarray(left[:, sizes > TOLERANCE * most])


def _outside(block: Floats, basis: Floats) -> Floats:
    return np.asarray(block - basis @ (basis.T @ block))


def _centred(values: Sequence[float]) -> Floats:
    return np.asarray(np.array(values) - np.mean(values))


def _means(block: Floats, member_R: np.ndarray) -> Floats:
    """Return the mean over each group, at each of its members."""
    count = np.bincount(member_R)
    means = np.column_stack([np.bincount(member_R, weights=column) / count for column in block.T])
    return np.asarray(means[member_R])


def _corrected(bases: dict[str, Floats], residual: Floats, null: Floats, freedom: int) -> dict[str, float]:
    """Return each column's share of draws in which the smallest p-value of any column is as small."""
    if not bases:
        return {}
    smallest_K = np.min([_p_values(basis, null, freedom) for basis in bases.values()], axis=0)
    found = {name: _p_values(basis, residual[:, None], freedom)[0] for name, basis in bases.items()}
    return {name: float((1 + (smallest_K <= p).sum()) / (1 + smallest_K.size)) for name, p in found.items()}


def _p_values(basis: Floats, residual_NxK: Floats, freedom: int) -> Floats:
    """Return the p-value of the F test of one column for each set of residuals."""
    size = basis.shape[1]
    explained_K = ((basis.T @ residual_NxK) ** 2).sum(axis=0)
    left_K = np.maximum((residual_NxK**2).sum(axis=0) - explained_K, 1e-300)
    return np.asarray(stats.f.sf(explained_K / size / (left_K / (freedom - size)), size, freedom - size))
