"""Prints sweeps and their fits, as the service answers them."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from widthwise.cli import console

if TYPE_CHECKING:
    from widthwise.sweeps.exports import Export

Part = Mapping[str, Any]

EDGES = {None: "", "low": "at or below", "high": "at or above", "both": "one rate"}


def say_export(export: "Export") -> None:
    """Say on stderr what a table was taken for, and how many of its runs were left out."""
    if told := export.described():
        console.say(told)


def show_sweeps(sweeps: Sequence[Part]) -> None:
    """Print a line for each sweep."""
    table = console.new_table("sweep", "name", "axes", "runs", "cells", "revision", left=3)
    for sweep in sweeps:
        counts = (str(sweep[name]) for name in ("runs", "cells", "revision"))
        table.add_row(sweep["id"], sweep["name"], ", ".join(sweep["axes"]), *counts)
    console.show(f"{len(sweeps)} sweep{'' if len(sweeps) == 1 else 's'}", table)


def show_sweep(sweep: Part) -> None:
    """Print what a sweep covers."""
    table = console.new_table("axis", "values", left=2)
    for name, values in sweep["axes"].items():
        levels = values.get("levels")
        prescribed = ", prescribed" if name in sweep["reading"]["prescribed"] else ""
        table.add_row(name, (", ".join(levels) if levels else f"{values['low']:g} to {values['high']:g}") + prescribed)
    diverged = f", {sweep['diverged']} of them diverged" if sweep["diverged"] else ""
    console.show(
        f"{sweep['name']} ({sweep['id']}, revision {sweep['revision']}): {sweep['runs']} runs{diverged}, "
        f"{sweep['cells']} cells",
        table,
    )
    if sweep["notes"]:
        console.stdout().print(sweep["notes"], markup=False, soft_wrap=True)


def show_runs(runs: Sequence[Part]) -> None:
    """Print a line for each run."""
    names = list(runs[0]["axes"])
    table = console.new_table(*names, "learning rate", "loss", "seed", left=len(names))
    for run in runs:
        loss = "diverged" if run["loss"] is None else f"{run['loss']:.4f}"
        seed = "" if run["seed"] is None else str(run["seed"])
        table.add_row(*values_of(run["axes"]), console.number(run["learning_rate"]), loss, seed)
    console.show(f"Runs ({len(runs)})", table)


def show_fit(fit: Part) -> None:
    """Print the optimum of every cell and the law over the axes."""
    names = list(fit["optima"][0]["axes"])
    table = console.new_table(*names, "learning rate", "95 % interval", "edge", left=len(names))
    for optimum in fit["optima"]:
        rate = console.number(optimum["learning_rate"])
        table.add_row(*values_of(optimum["axes"]), rate, range_of(optimum["interval"]), EDGES[optimum["edge"]])
    console.show(f"Optima ({len(fit['optima'])} cells)", table)
    table = console.new_table("law", "value", "95 % interval", "prior", "from the data")
    for one in fit["law"]:
        low, high = one["interval"]
        prior = f"{one['prior']['mean']:.3g} ± {one['prior']['standard_deviation']:.3g}"
        table.add_row(one["name"], f"{one['value']:.3f}", f"{low:.3f} to {high:.3f}", prior, f"{one['learnt']:.0%}")
    console.show("Law: log2 of the best rate over log2 of each axis", table)
    out = console.stdout()
    out.print(f"Single cells scatter by {fit['scatter']:.2f} octaves about it.")
    saturation = fit["saturation_batch"]
    if saturation is not None:
        batch, interval = saturation["value"], range_of(saturation["interval"])
        out.print(f"The best rate stops growing near a batch of {batch:.3g} tokens ({interval}).")


def show_predictions(predictions: Sequence[Part]) -> None:
    """Print the best rate of each cell that was asked for."""
    names = list(predictions[0]["axes"])
    table = console.new_table(
        *names, "learning rate", "95 % interval", "of the law", "expected regret, nats", left=len(names)
    )
    for each in predictions:
        intervals = range_of(each["interval"]), range_of(each["law_interval"])
        rate = console.number(each["learning_rate"])
        table.add_row(*values_of(each["axes"]), rate, *intervals, f"{each['expected_regret']:.2g}")
    console.show("Predictions", table)


def show_held_out(score: Part) -> None:
    """Print how well cells were predicted that the fit did not see."""
    cells = score["cells"]
    names = list(cells[0]["axes"])
    titles = ("optimum", "predicted", "95 % interval", "holds", "octaves", "regret, nats")
    table = console.new_table(*names, *titles, left=len(names))
    for each in cells:
        rates = console.number(each["optimum"]), console.number(each["predicted"])
        holds = "yes" if each["covered"] else "no"
        off = f"{each['octaves']:+.2f}", f"{each['regret']:.2g}"
        table.add_row(*values_of(each["axes"]), *rates, range_of(each["interval"]), holds, *off)
    console.show(f"Held out: {score['covered']} of {len(cells)} intervals hold the optimum", table)
    octaves = median(abs(each["octaves"]) for each in cells)
    regret = sum(each["regret"] for each in cells) / len(cells)
    console.stdout().print(
        f"Half of the predictions are within {octaves:.2f} octaves of it; they lose {regret:.2g} nats on average."
    )


def values_of(axes: Mapping[str, float | str]) -> list[str]:
    """Return the cells of a table that name a place."""
    return [value if isinstance(value, str) else f"{value:g}" for value in axes.values()]


def range_of(interval: Sequence[float]) -> str:
    """Return an interval as tables show it."""
    return f"{interval[0]:.3g} to {interval[1]:.3g}"
