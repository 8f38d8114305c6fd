"""The mutants of `make mutants`: the same sample every time, and each a change that Python can run."""

from pathlib import Path

import pytest

from benchmarks.mutants import ROOT, Mutant, mutants, summary

PATHS = [ROOT / "widthwise" / "theory" / name for name in ("scaling.py", "tied.py")]


@pytest.fixture(scope="module")
def drawn() -> list[Mutant]:
    return mutants(PATHS, 30, 0)


def test_a_sample_is_the_same_every_time(drawn: list[Mutant]) -> None:
    assert mutants(PATHS, 30, 0) == drawn
    assert mutants(PATHS, 30, 1) != drawn


def test_every_mutant_changes_one_line_and_compiles(drawn: list[Mutant]) -> None:
    assert len(drawn) == 30
    for mutant in drawn:
        before, after = mutant.path.read_text(encoding="utf-8").splitlines(), mutant.source.splitlines()
        changed = [number for number, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1]]
        assert changed == [mutant.line], mutant.name()
        compile(mutant.source, mutant.name(), "exec")


def test_a_star_that_unpacks_is_no_product(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("def f(*, a):\n    return g(*a, **{})\n", encoding="utf-8")
    assert mutants([path], 10, 0) == []


def test_the_summary_counts_and_shows_who_survived(drawn: list[Mutant]) -> None:
    one, other, slow = drawn[:3]
    text = summary([(one, 1), (other, 0), (slow, None)], seed=5)
    noticed = "1 noticed by a test that fails (33.3 %), 1 out of time, 1 survived."
    assert text.startswith(f"Sample of 3 mutants, seed 5: {noticed}")
    assert f"survived: {other.name()}\n{other.diff()}" in text
    assert one.name() not in text
