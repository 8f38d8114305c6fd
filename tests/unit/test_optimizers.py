"""The library's records of optimizers: one word and one record each, in one file."""

import ast
from pathlib import Path

from widthwise import vocabulary
from widthwise.theory import optimizers
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import Architecture, Optimizer

ROOT = Path(__file__).parents[2]


def test_every_word_has_a_record_with_a_label_that_is_its_alone() -> None:
    assert set(OPTIMIZERS) == set(Optimizer)
    assert len({record.label for record in OPTIMIZERS.values()}) == len(Optimizer)


def test_an_optimum_was_measured_for_every_architecture() -> None:
    for record in OPTIMIZERS.values():
        assert record.optimum is None or set(record.optimum.centres) == set(Architecture)


def test_the_vocabulary_offers_the_words_that_are_declared_beside_the_records() -> None:
    assert vocabulary.Optimizer is optimizers.Optimizer
    assert vocabulary.WeightDecayMode is optimizers.WeightDecayMode


def words_named_in(path: Path) -> set[str]:
    """The members of Optimizer that a module names."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Optimizer"
    }


def test_adding_one_touches_two_files() -> None:
    """No other module of the three packages has a line for each."""
    files = [path for top in ("widthwise", "service", "workers") for path in (ROOT / top).rglob("*.py")]
    with_lines = {str(path.relative_to(ROOT)) for path in files if len(words_named_in(path)) > 1}
    assert with_lines == {"widthwise/theory/optimizers.py", "workers/engine/optimizers.py"}
