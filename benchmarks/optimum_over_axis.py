"""The best learning rate over any axis: a sweep at each value, how it drifts, and what the base's best rate costs.

A benchmark lists its places, the base first. The learning rates are those of the base: what a rule prescribes for
another place is in its trials, so the best rate stays where it is if the rule is right.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.bank import Bank
from benchmarks.record import arguments
from widthwise import Base, Target, transfer
from widthwise.calibration.grids import HALF_OCTAVE
from widthwise.estimate.intervals import moderated_errors, quantile
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.scaling import PowerLaw, fit_power_law
from widthwise.figures.sweep_report import sweep_report
from widthwise.sweeps import SweepRun, fit_sweep


@dataclass(frozen=True)
class Place:
    """One value of the axis."""

    value: float
    spec: Mapping[str, Any]  #: what is trained there (`benchmarks.bank.specification`)
    width: int


@dataclass(frozen=True)
class Excess:
    """Nats that a learning rate loses against the best one of its place, the same seeds in both."""

    mean: float
    half: float  #: of the 95 % interval over seeds; NaN with one seed

    def __str__(self) -> str:
        """As a page writes it."""
        if math.isnan(self.mean):
            return "diverged"
        return f"{self.mean:+.3f}" + ("" if math.isnan(self.half) else f" ± {self.half:.3f}")


def axis_arguments(
    description: str | None, *, seeds: int, steps: int | None = 200, widths: Sequence[int] = ()
) -> argparse.ArgumentParser:
    """The command line of a benchmark with sweeps: seeds, the bank, and steps and widths where they are an option."""
    parser = arguments(description)
    if widths:
        parser.add_argument("--widths", type=int, nargs="+", default=list(widths))
    if steps is not None:
        parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--bank", default="build/bank", help="folder of the trials made so far")
    return parser


def optima_over(
    bank: Bank, places: Sequence[Place], seeds: int, centre: float, *, slope: float = 0.0
) -> dict[float, Optimum]:
    """The optimum of every place, each sweep centred where the one before points.

    centre: log2 of the learning rate where the first is looked for. slope: the expected one of log2 over log2.
    """
    optima: dict[float, Optimum] = {}
    before = places[0].value
    for place in places:
        centre += slope * math.log2(place.value / before)
        _, optima[place.value] = bank.sweep_around(place.spec, place.width, centre, range(seeds))
        centre, before = optima[place.value].log2_learning_rate, place.value
    return optima


def slope_of(optima: Mapping[float, Optimum]) -> PowerLaw:
    """The plain power law through interior optima."""
    inside = [
        (value, found.log2_learning_rate, found.standard_error, found.degrees_of_freedom)
        for value, found in optima.items()
        if found.standard_error is not None
    ]
    values, centres, errors, freedom = zip(*inside, strict=True)
    return fit_power_law(values, centres, moderated_errors(errors, freedom))


def gap(bank: Bank, one: tuple[Place, float], other: tuple[Place, float], seeds: int) -> Excess:
    """What one place at its learning rate loses against another, both trained there and not read off a curve."""
    if one == other:
        return Excess(0.0, 0.0)
    first, second = (_losses(bank, place, rate, seeds) for place, rate in (one, other))
    gaps = [loss - best for loss, best in zip(first, second, strict=True)]
    half = quantile(seeds - 1) * float(np.std(gaps, ddof=1)) / math.sqrt(seeds) if seeds > 1 else math.nan
    return Excess(float(np.mean(gaps)), half)


def excesses(
    bank: Bank,
    places: Sequence[Place],
    optima: Mapping[float, Optimum],
    seeds: int,
    factors: Mapping[float, float] | None = None,
) -> dict[float, Excess]:
    """What the base's best rate loses at every place against the best one there.

    factors: by which a rule multiplies it at each place, where the trials don't.
    """
    rate, by = optima[places[0].value].learning_rate, factors or {}
    return {
        place.value: gap(
            bank, (place, rate * by.get(place.value, 1.0)), (place, optima[place.value].learning_rate), seeds
        )
        for place in places
    }


def in_base_rates(optima: Mapping[float, Optimum], factors: Mapping[float, float]) -> dict[float, Optimum]:
    """The optima divided by what a rule multiplies the base's learning rate by at each place."""
    return {
        value: replace(
            found,
            learning_rate=found.learning_rate / factors[value],
            log2_learning_rate=found.log2_learning_rate - math.log2(factors[value]),
        )
        for value, found in optima.items()
    }


def rule_factor(rules: Mapping[str, Any], *, batch_tokens: tuple[int, int], tokens: tuple[int, int]) -> float:
    """What rules make of every learning rate; each size as (base, target)."""
    plan = transfer(
        parameterization="standard",
        optimizer="adam",
        base=Base(width=32, batch_tokens=batch_tokens[0], tokens=tokens[0], learning_rate=1.0),
        target=Target(width=32, batch_tokens=batch_tokens[1], tokens=tokens[1]),
        rules=rules,
    )
    return plan.layer("hidden").learning_rate.multiplier


def row_of(name: str, optima: Mapping[float, Optimum], lost: Mapping[float, Excess]) -> dict[str, Any]:
    """A row of a page's table and of its JSON: the optima, their slope, and what a transfer loses."""
    law = slope_of(optima)
    return {
        "name": name,
        "values": list(optima),
        "optima_log2": [found.log2_learning_rate for found in optima.values()],
        "standard_errors": [found.standard_error for found in optima.values()],
        "losses": [found.loss for found in optima.values()],
        "slope": law.slope,
        "interval": law.interval,
        "excess": [_number(each.mean) for each in lost.values()],
        "excess_half": [_number(each.half) for each in lost.values()],
    }


def table(axis: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows as two tables in Markdown: where the best rate lies, and what the base's costs elsewhere."""
    values = rows[0]["values"]
    head = " | ".join(f"{axis} {value:g}" for value in values)
    lines = ["Best base learning rate, and the octaves that it drifts per doubling (0: the rule holds it):", ""]
    lines += [f"| rule | {head} | drift | 95 % | the best rate |", "|---|" + "---|" * (len(values) + 3)]
    for row in rows:
        best = " | ".join(f"{2**log2:.3g}" for log2 in row["optima_log2"])
        interval, verdict = "none", "two points can't tell"
        if row["interval"] is not None:
            low, high = row["interval"]
            interval = f"{low:+.2f} to {high:+.2f}"
            verdict = "may stay" if low <= 0 <= high else "moves"
        lines.append(f"| {row['name']} | {best} | {row['slope']:+.2f} | {interval} | {verdict} |")
    lines += [
        "",
        "Nats that the base's best rate, transferred, loses against the best one there; then that best loss:",
        "",
    ]
    lines += [f"| rule | {head} |", "|---|" + "---|" * len(values)]
    for row in rows:
        cells = [
            f"{Excess(_float(mean), _float(half))}, {loss:.3f}"
            for mean, half, loss in zip(row["excess"], row["excess_half"], row["losses"], strict=True)
        ]
        lines.append(f"| {row['name']} | {' | '.join(cells)} |")
    return lines


def picture(axis: str, bank: Bank, places: Sequence[Place]) -> str:
    """The sweeps of all places and the best rate over the axis, as an SVG document."""
    runs = [
        SweepRun(trial["learning_rate"], trial["loss"], {axis: place.value}, trial["seed"])
        for place in places
        for trial in bank.trials(place.spec)
        if trial["width"] == place.width and _is_on_grid(trial["learning_rate"])
    ]
    return sweep_report(fit_sweep(runs)).svg()


def _is_on_grid(rate: float) -> bool:
    """Whether a sweep tried it; other rates were trained to compare two of them."""
    steps = math.log2(rate) / HALF_OCTAVE
    return abs(steps - round(steps)) < 1e-9


def _losses(bank: Bank, place: Place, rate: float, seeds: int) -> list[float]:
    """Loss of every seed; NaN where it diverged."""
    trials = bank.run(place.spec, place.width, [rate], range(seeds))
    by_seed = {trial["seed"]: trial["loss"] for trial in trials}
    return [math.nan if by_seed[seed] is None else float(by_seed[seed]) for seed in range(seeds)]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _float(value: float | None) -> float:
    return math.nan if value is None else value
