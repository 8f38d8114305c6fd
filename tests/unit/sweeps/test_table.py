"""A sweep's file as rows: what stands between the runs, and before them."""

from pathlib import Path

import pytest

from widthwise.sweeps.table import read_rows


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_in_which_everything_is_blank_are_left_out(tmp_path: Path, separator: str) -> None:
    """A spreadsheet writes them for rows that were once used."""
    file = tmp_path / "runs.csv"
    file.write_text("lr,loss\n0.1,3\n,\n \n0.2,\n , \n".replace(",", separator))
    assert read_rows(file) == [{"lr": "0.1", "loss": "3"}, {"lr": "0.2", "loss": ""}]


def test_a_column_without_a_name_is_one(tmp_path: Path) -> None:
    """Pandas writes an index so; lines before the header are none."""
    file = tmp_path / "runs.tsv"
    file.write_text("\n  \n\tlr\tloss\n0\t0.1\t3\n")
    assert read_rows(file) == [{"": "0", "lr": "0.1", "loss": "3"}]
