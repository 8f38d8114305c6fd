"""What a sweep's runs are sent with: every field and axis, and the other columns that may explain something."""

import math
from typing import Any

import pytest

from widthwise.errors import InvalidInputError
from widthwise.sweeps import SweepRun, runs_from_rows
from widthwise.sweeps.upload import MOST_BYTES, MOST_UNUSED, check_unused, row_of, uploaded_rows


def test_a_run_is_read_back_as_it_was() -> None:
    unused = {"dropout": 0.1, "host": "a", "depth": 4.0, "status": "odd"}
    run = SweepRun(0.01, 3.0, {"width": 64.0, "kind": "moe"}, 7, unused)
    (again,) = runs_from_rows([row_of(run)], groups=["kind"], without=["depth"])
    assert again == run
    assert again.unused == {"dropout": 0.1, "host": "a", "depth": 4.0}  # a status would say how the run ended


def test_columns_that_differ_from_run_to_run_stay_behind() -> None:
    constant = {"loss": 3.0, "D": 1e9, "host": "a", "x": "", "tags": ["a"], "text": "a\nb", "odd": math.nan}
    rows = [{"lr": 0.01 * (n + 1), "seed": n, "dropout": n % 2, "name": f"r{n}", **constant} for n in range(6)]
    sent = uploaded_rows(rows, {"learning_rate": "lr", "tokens": "D"}, ())
    assert list(sent[0]) == ["lr", "seed", "dropout", "loss", "D", "host"]
    # of a single run nothing tells an outcome from a setting
    assert list(uploaded_rows(rows[:1], {"learning_rate": "lr"}, ())[0]) == list(rows[0])[:-4]


def test_what_varies_goes_before_what_does_not_if_there_is_no_room() -> None:
    rows: list[dict[str, Any]] = [
        {**{f"same{k}": 1 for k in range(MOST_UNUSED)}, "dropout": n % 2, "long": "x" * MOST_BYTES, "arm": n // 2}
        for n in range(6)
    ]
    (kept, *_) = uploaded_rows(rows, {}, ())
    assert len(kept) == MOST_UNUSED
    assert {"dropout", "arm"} <= set(kept)
    assert "long" not in kept
    check_unused(kept)
    with pytest.raises(InvalidInputError, match=r"row 3: 35 columns are not axes, and a run may have 32; .* 'arm'"):
        check_unused(rows[0], "row 3: ")
