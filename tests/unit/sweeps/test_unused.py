"""Columns that are not axes: one that explains residuals is found, random ones and outcomes are not."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.sweeps.simulated import simulated
from widthwise.errors import InvalidInputError
from widthwise.sweeps import SweepFit, SweepRun, fit_sweep, runs_from_rows
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.unused import BETWEEN, WITHIN, _between, _within, column_values, explaining_columns

PLACES = [{"parameters": n, "tokens": d} for n in (1e8, 2e8, 4e8, 8e8) for d in (2e9, 4e9, 8e9, 16e9)]


def law(place) -> float:
    return -9 - 0.5 * math.log2(place["parameters"] / 1e8) + 0.1 * math.log2(place["tokens"] / 2e9)


def fitted(shift=None, columns=None, seed=0) -> SweepFit:
    """A sweep of the sixteen places; `shift` moves optima by octaves, `columns` are added, each by cell."""
    moved = {id(place): (shift or [0.0] * 16)[k] for k, place in enumerate(PLACES)}
    runs, _ = simulated(PLACES, lambda place: law(place) + moved[id(place)], spacing=1.0, scatter=0.1, seed=seed)
    number = {id(place): k for k, place in enumerate(PLACES)}
    named = columns or {}
    return fit_sweep(
        [replace(run, unused={name: values[number[id(run.axes)]] for name, values in named.items()}) for run in runs]
    )


def best(fit: SweepFit):
    return max(fit.components, key=lambda one: one.weight)


def random_columns(random: np.random.Generator) -> list[dict[str, Any]]:
    """Six columns that mean nothing: numbers, words, a power of two, one near an axis, one that bends with an axis."""
    return [
        {
            "dropout": float(random.normal()),
            "warm-up": float(2 ** random.integers(0, 6)),
            "data": "xyz"[random.integers(3)],
            "host": "uv"[random.integers(2)],
            "depth": float(round(8 + 3 * math.log2(place["parameters"] / 1e8) + random.normal())),
            "bend": float((math.log2(place["tokens"]) - 32) ** 2 + random.normal()),
        }
        for place in PLACES
    ]


def test_random_columns_are_rarely_said_to_explain_anything() -> None:
    """Of 150 sets of six columns each, on two sweeps, no more than 5 % are warned about."""
    alarms = 0
    for seed in range(2):
        fit, random = fitted(seed=seed), np.random.default_rng(seed)
        for _ in range(75):
            sets = random_columns(random)
            cells = [
                replace(cell, runs=tuple(replace(run, unused=sets[k]) for run in cell.runs))
                for k, cell in enumerate(fit.cells)
            ]
            p_values = _between(cells, fit.data, best(fit))
            assert set(p_values) == set(sets[0])
            alarms += min(p_values.values()) < BETWEEN
    assert alarms <= 7


def test_a_column_that_moves_the_optima_is_found() -> None:
    arms = [0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 1, 0]
    noise = np.random.default_rng(1).normal(size=16).tolist()
    columns = {"optimizer": ["adamw" if arm else "lion" for arm in arms], "dropout": noise, "host": ["a"] * 16}
    fit = fitted([0.7 * arm for arm in arms], columns)
    warning = next(one for one in fit.warnings if one.code == "unused_column")
    assert warning.message.startswith("optimizer is not an axis, but explains")
    assert "lie apart by it" in warning.message
    assert "unused_column" not in {one.code for one in fitted(None, columns).warnings}


def test_a_column_that_an_axis_already_says_is_not_considered() -> None:
    columns = {
        "width": [float(place["parameters"] ** 0.5) for place in PLACES],
        "flops": [6 * place["parameters"] * place["tokens"] for place in PLACES],
        "name": [f"run {k}" for k in range(16)],
        "constant": [1.0] * 16,
    }
    fit = fitted(None, columns)
    assert _between(fit.cells, fit.data, best(fit)) == {}


def mixed(gap: float, seed: int = 0) -> list[SweepRun]:
    """Three cells whose rates are run with two optimizers each; the second has a higher loss, and outcomes besides."""
    random = np.random.default_rng(seed)
    return [
        SweepRun(
            1e-3 * 2**k,
            loss := 3 + 0.01 * (k - 2) ** 2 + gap * arm + 0.002 * random.normal(),
            {"tokens": tokens},
            unused={"optimizer": "uv"[arm], "eval loss": loss + 0.1, "host": "ab"[random.integers(2)]},
        )
        for tokens in (1e9, 2e9, 4e9)
        for k in range(5)
        for arm in (0, 1)
    ]


def test_a_setting_that_varies_within_cells_is_found_and_an_outcome_is_not() -> None:
    fit = fit_sweep(mixed(0.02))
    found = explaining_columns(fit.cells, fit.data, fit.components)
    assert [(one.name, one.within) for one in found] == [("optimizer", True)]
    assert "runs of one cell differ in it" in next(w.message for w in fit.warnings if w.code == "unused_column")


def test_settings_that_mean_nothing_within_cells_are_rarely_said_to() -> None:
    p_values = [_within(cells_of(mixed(0.0, seed))) for seed in range(40)]
    assert all(set(each) == {"optimizer", "host"} for each in p_values)
    assert sum(min(each.values()) < WITHIN for each in p_values) <= 2


def test_columns_are_kept_beside_the_axes_and_have_one_value_in_a_cell() -> None:
    rows = [
        {"learning_rate": rate, "loss": 3, "tokens": 1e9, "optimizer": "adamw", "lr_end": rate / 10, "blank": ""}
        for rate in (1e-3, 2e-3)
    ]
    runs = runs_from_rows(rows)
    assert runs[0].unused == {"optimizer": "adamw", "lr_end": 1e-4}
    (cell,) = fit_sweep(runs).cells
    assert column_values(cell) == {"optimizer": "adamw"}


def test_published_laws_take_what_is_constant_in_other_columns() -> None:
    rows = [
        {"learning_rate": rate, "loss": 3 + (k - 1) ** 2 / 50, "parameters": n, "tokens": 1e10, "optimizer": "muonh"}
        for n in (3e8, 6e8)
        for k, rate in enumerate((1e-3, 2e-3, 4e-3))
    ]
    found = fit_sweep(runs_from_rows(rows)).predict(parameters=5e8, tokens=1e10).published[0]
    assert found.outside == ("adamw, not muonh",)


def test_two_losses_of_one_run_name_the_column_that_tells_them_apart() -> None:
    rows = [
        {"learning_rate": 1e-3, "loss": loss, "tokens": 1e9, "seed": 0, "optimizer": name}
        for loss, name in ((3.0, "adamw"), (3.1, "lion"))
    ]
    with pytest.raises(InvalidInputError, match="differ in optimizer: make it a group"):
        fit_sweep(runs_from_rows(rows))
