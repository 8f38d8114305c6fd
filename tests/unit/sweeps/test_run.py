"""Runs read from rows: column maps, divergences and what is refused."""

import math

import pytest

from widthwise.errors import InvalidInputError
from widthwise.sweeps import SweepRun, runs_from_rows

ROW = {"learning_rate": "1e-3", "loss": "3.2", "tokens": "1e9", "batch_tokens": "65536"}


def test_columns_are_mapped_and_blank_ones_left_out() -> None:
    rows = [{"lr": 0.001, "loss": 3.25, "D": 1e9, "opt": "adam", "width": "", "seed": "2"}]
    (run,) = runs_from_rows(
        rows, columns={"learning_rate": "lr", "tokens": "D", "optimizer": "opt"}, groups=["optimizer"]
    )
    assert run == SweepRun(0.001, 3.25, {"tokens": 1e9, "optimizer": "adam"}, seed=2)


@pytest.mark.parametrize(
    "changed", [{"loss": ""}, {"loss": None}, {"loss": "nan"}, {"loss": "inf"}, {"status": "Diverged"}]
)
def test_a_run_without_a_loss_diverged(changed) -> None:
    (run,) = runs_from_rows([ROW | changed])
    assert run.diverged
    assert not runs_from_rows([ROW | {"status": "Completed"}])[0].diverged


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learning_rate": "0"}, "row 2: learning_rate is 0.0; give a finite number above 0"),
        ({"learning_rate": "fast"}, "row 2: learning_rate is 'fast'; give a number"),
        ({"loss": "-1"}, "row 2: loss is -1.0"),
        ({"tokens": "-5"}, "row 2: tokens is -5.0"),
        ({"tokens": ""}, "row 2: tokens is blank, but other rows have it"),
        ({"tokens": "500"}, "row 2: tokens is 500, less than batch_tokens, which is 65536"),
    ],
)
def test_a_wrong_row_is_named(changed, said) -> None:
    with pytest.raises(InvalidInputError) as error:
        runs_from_rows([ROW, ROW | changed])
    assert str(error.value).startswith(said)


def test_a_column_without_values_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="column 'N' has no value in any row"):
        runs_from_rows([ROW], columns={"parameters": "N"})


@pytest.mark.parametrize("axes", [{"width": True}, {"width": math.inf}, {"optimizer": ""}])
def test_an_axis_is_a_number_above_0_or_a_word(axes) -> None:
    with pytest.raises(InvalidInputError):
        SweepRun(0.1, 1.0, axes)
