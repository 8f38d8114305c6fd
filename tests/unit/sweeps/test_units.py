"""Units: numbers that can't be in the unit of their axis are warned about or refused, and plausible ones are not."""

import pytest

from widthwise.errors import InvalidInputError
from widthwise.sweeps import SweepRun, fit_sweep, runs_from_rows
from widthwise.sweeps.cell import cells_of
from widthwise.sweeps.units import unit_cautions


def said(**axes: float) -> list[str]:
    cells = cells_of([SweepRun(1e-3 * 2**k, 3 + 0.1 * k, axes) for k in range(3)])
    return [caution.message for caution in unit_cautions(cells)]


@pytest.mark.parametrize(
    ("axes", "begins"),
    [
        ({"parameters": 7, "tokens": 1e12}, "parameters is 7 to 7, as if in millions or billions"),
        ({"parameters": 7e9, "tokens": 300}, "tokens is 300 to 300, as if in millions or billions"),
        ({"tokens": 1e10, "batch_tokens": 512}, "batch_tokens is at most 512, which makes 2e+07 steps"),
        ({"parameters": 1e9, "tokens": 1e5}, "A cell has 0.0001 tokens for each parameter"),
    ],
)
def test_a_number_of_another_unit_is_warned_about(axes, begins) -> None:
    (message,) = said(**axes)
    assert message.startswith(begins)


@pytest.mark.parametrize(
    "axes",
    [
        {"parameters": 7e9, "tokens": 1e12, "batch_tokens": 4e6},
        {"parameters": 1e5, "tokens": 1e6, "batch_tokens": 512},
        {"parameters": 8e9, "tokens": 1e7, "rank": 8},
        {"parameters": 10, "tokens": 1e4},
        {"width": 64},
    ],
)
def test_plausible_numbers_are_not(axes) -> None:
    assert said(**axes) == []


def test_a_place_in_another_unit_than_the_runs_is_refused() -> None:
    def fit(unit: float):
        rows = [(n, k) for n in (1e8, 2e8, 4e8) for k in range(3)]
        return fit_sweep([SweepRun(1e-3 * 2**k, 3 + 0.1 * (k - 1) ** 2, {"parameters": n / unit}) for n, k in rows])

    full, billions = fit(1), fit(1e9)
    with pytest.raises(InvalidInputError, match=r"parameters is 7, but the runs have 1e\+08 to 4e\+08"):
        full.predict(parameters=7)
    with pytest.raises(InvalidInputError, match=r"parameters is 7e\+09, but the runs have 0.1 to 0.4"):
        billions.predict(parameters=7e9)
    assert full.predict(parameters=7e9).learning_rate > 0
    assert billions.predict(parameters=7).learning_rate > 0


def test_a_column_of_steps_is_not_one_of_tokens() -> None:
    row = {"learning_rate": 1e-3, "loss": 3, "train_steps": 1e5, "tokens_per_step": 1e5}
    with pytest.raises(InvalidInputError, match="tokens is read from the column 'train_steps', which counts steps"):
        runs_from_rows([row], columns={"tokens": "train_steps"})
    assert runs_from_rows([row], columns={"batch_tokens": "tokens_per_step"})[0].axes == {"batch_tokens": 1e5}
