"""Warnings of a fitted sweep: every reason to trust its law or a prediction less."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from widthwise.caution import Caution
from widthwise.sweeps.cell import Floats, SweepCell
from widthwise.sweeps.estimates import LawEstimate
from widthwise.sweeps.law import log2_axis
from widthwise.sweeps.optimum import edge_of
from widthwise.sweeps.units import unit_cautions
from widthwise.sweeps.unused import ExplainingColumn

INFLATED = 10.0  # variance inflation of an exponent (Marquardt 1970's limit): R² of .9 with the other axes
FAR = 2.0  # octaves beyond the cells (chosen): further than any public sweep could test
MOSTLY_PRIOR = 0.5  # share of the prior's variance that the data removed, below which it is mostly prior
MANY_EDGES = 1 / 3  # of the cells (chosen)
NOT_EXPONENTS = ("level", "saturation_batch", "log_sharpness", "saturation_exponent")


def fit_cautions(cells: Sequence[SweepCell], estimates: Sequence[LawEstimate]) -> Iterator[Caution]:
    """Yield every reason to trust the fit less, in a fixed order."""
    inflation = variance_inflation(cells)
    yield from unit_cautions(cells)
    confounded = [name for name, value in inflation.items() if value > INFLATED]
    if confounded:
        worst = max(inflation.values())
        size = "they move together exactly" if math.isinf(worst) else f"variance inflation up to {worst:.0f}"
        yield Caution(
            "confounded_axes",
            f"{_listed(confounded)} hardly vary apart ({size}), so their exponents are one number split by the priors. "
            "Predictions along the same line hold; add cells off it, such as one size at several numbers of tokens.",
        )
    weak = [one for one in estimates if one.name not in NOT_EXPONENTS and "=" not in one.name]
    weak = [one for one in weak if one.learnt < MOSTLY_PRIOR]
    if weak:
        shares = ", ".join(f"{one.name} ({one.learnt:.0%})" for one in weak)
        yield Caution(
            "mostly_prior",
            f"Little of these exponents comes from the data: {shares}. Add cells that differ more along these axes.",
        )
    if all((cell.run_counts < 2).all() for cell in cells):
        yield Caution(
            "one_seed",
            "Every learning rate was run with one seed, so the noise is known from the curves' fit alone; run a few "
            "rates of one cell with two more.",
        )
    edges = [cell for cell in cells if edge_of(cell) is not None]
    if len(edges) > MANY_EDGES * len(cells):
        yield Caution(
            "many_edges",
            f"In {len(edges)} of {len(cells)} cells the best learning rate is at the edge of those tried, so they "
            "bound the optimum on one side only; extend their learning rates.",
        )
    read = [(rate, cell) for cell in cells for rate in cell.read_as_diverged]
    if read:
        rate, cell = read[0]
        yield Caution(
            "read_as_diverged",
            f"{len(read)} finite losses more than 8 % above their cell's lowest, at higher learning rates, were read "
            f"as diverged; the first is at {rate:.3g}, at {_place(cell.axes)}.",
        )


def column_cautions(columns: Sequence[ExplainingColumn]) -> Iterator[Caution]:
    """Yield a warning for each column that is not an axis and explains what the fit leaves over."""
    for column in columns:
        where = "runs of one cell differ in it" if column.within else "cells with equal axes lie apart by it"
        yield Caution(
            "unused_column",
            f"{column.name} is not an axis, but explains part of what the fit leaves over (p = {column.p_value:.2g}, "
            f"corrected for all such columns): {where}. Make it an axis or a group, or fit one value of it.",
        )


def prediction_cautions(place: Mapping[str, float | str], cells: Sequence[SweepCell]) -> Iterator[Caution]:
    """Yield every reason to trust a prediction at a place less."""
    for name, value in place.items():
        seen = [cell.axes[name] for cell in cells]
        if isinstance(value, str):
            if value not in seen:
                yield Caution(
                    "unknown_level",
                    f"No cell has {name} {value!r}; the prediction is for an average {name}, with a wider interval.",
                )
            continue
        log_C = log2_axis([cell.axes for cell in cells], name)
        beyond = max(math.log2(value) - float(log_C.max()), float(log_C.min()) - math.log2(value))
        if beyond > FAR:
            yield Caution(
                "extrapolation",
                f"{name} {value:.3g} is {beyond:.1f} octaves beyond the cells, which reach from "
                f"{2.0 ** log_C.min():.3g} to {2.0 ** log_C.max():.3g}; the law was never tested that far.",
            )


def variance_inflation(cells: Sequence[SweepCell]) -> dict[str, float]:
    """Return by how much each axis's exponent loses precision because the other axes move with it, infinity if all.

    The diagonal of the inverse of the axes' correlation matrix (Marquardt 1970). Axes with one value are left out.
    """
    places = [cell.axes for cell in cells]
    columns: dict[str, Floats] = {}
    for name, value in places[0].items():
        if not isinstance(value, str):
            z_C = log2_axis(places, name)
            if np.ptp(z_C) > 0.01:
                columns[name] = z_C
    if len(columns) < 2:
        return dict.fromkeys(columns, 1.0)
    values, vectors = np.linalg.eigh(np.corrcoef(list(columns.values())))
    with np.errstate(divide="ignore"):
        inverse = np.where(values > 1e-9, 1 / values, np.inf)  # 1e-9: rounding of an exact dependence
    shares = np.where(vectors**2 > 1e-9, vectors**2, 0)
    found = [sum(share * size for share, size in zip(row, inverse, strict=True) if share) for row in shares]
    return {name: float(value) for name, value in zip(columns, found, strict=True)}


def _place(axes: Mapping[str, float | str]) -> str:
    return ", ".join(f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in axes.items())


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
