"""The names of texts: which a worker can be asked for, and what no name can say."""

import re

import pytest

from widthwise.calibration.corpora import CORPORA, DATASET, file_name, is_known


@pytest.mark.parametrize("dataset", [*CORPORA, "file:notes.txt", "file:A-1_b.c", f"file:{'x' * 59}"])
def test_these_can_be_asked_of_a_worker(dataset: str) -> None:
    assert is_known(dataset)
    assert re.search(DATASET, dataset)
    assert len(dataset) <= 64  # what a stored word may have


@pytest.mark.parametrize(
    "dataset",
    ["file:", "file:.", "file:..", "file:../x", "file:/x", "file:a/b", "file:.x", "file:a\\b", "file:a b", "file:x\n",
     "file:x\0", f"file:{'x' * 60}", "FILE:x", "notes.txt", "/etc/passwd", ""],
)  # fmt: skip
def test_these_are_no_name_at_all(dataset: str) -> None:
    assert not is_known(dataset)
    assert file_name(dataset) is None
    assert re.fullmatch(DATASET.removesuffix("$"), dataset) is None


def test_an_external_runner_may_have_its_own() -> None:
    assert re.search(DATASET, "our_corpus")
    assert not is_known("our_corpus")
