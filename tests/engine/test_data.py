"""Corpora: what they hold, how they are split, what an unknown name says."""

import hashlib
import sysconfig
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widthwise.calibration.corpora import CORPORA
from widthwise.errors import InvalidInputError
from workers.engine import library_texts
from workers.engine.data import HELD_OUT_SHARE, load_corpus, split


def test_the_python_docs_are_the_topics_in_sorted_order() -> None:
    text = "".join(topics[key] for key in sorted(topics)).encode()
    corpus = load_corpus("python_docs")
    assert corpus.train.tobytes() + corpus.held_out.tobytes() == text
    assert corpus.sha256 == hashlib.sha256(text).hexdigest()
    assert corpus.train.dtype == np.uint8
    assert corpus.entropy_floor is None


@pytest.mark.parametrize("name", CORPORA)
def test_every_name_that_the_service_takes_is_a_text_with_a_tenth_held_out(name: str) -> None:
    corpus = load_corpus(name)
    share = corpus.held_out.size / (corpus.held_out.size + corpus.train.size)
    assert HELD_OUT_SHARE <= share < HELD_OUT_SHARE + 0.01
    assert corpus.name == name


def test_the_python_source_holds_modules_without_their_tests() -> None:
    text = load_corpus("python_source").train.tobytes()
    library = Path(sysconfig.get_path("stdlib"))
    assert (library / "argparse.py").read_bytes() in text
    assert text.index((library / "ast.py").read_bytes()) > text.index((library / "argparse.py").read_bytes())
    assert len(text) > 10 * load_corpus("python_docs").train.size


def test_the_python_source_leaves_out_what_is_not_the_library(tmp_path: Path) -> None:
    for name in ("b.py", "a/c.py", "a/test/t.py", "site-packages/s.py", "_sysconfigdata_x.py", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "linked.py").symlink_to(tmp_path / "notes.txt")
    assert list(library_texts.modules(tmp_path)) == [b"# a/c.py\n", b"# b.py\n"]
    assert list(library_texts.modules(tmp_path, at_most=10)) == [b"# a/c.py\n"]


def test_an_unknown_corpus_lists_the_known_ones() -> None:
    with pytest.raises(
        InvalidInputError, match=r"'c4'.*python_docs, python_source, synthetic, and file:NAME"
    ) as raised:
        load_corpus("c4")
    assert raised.value.field == "proxy.dataset"


@given(st.lists(st.binary(min_size=1), min_size=2, max_size=30))
def test_a_split_cuts_between_documents_and_holds_out_the_fewest_that_suffice(documents: list[bytes]) -> None:
    corpus = split("made", documents)
    sizes = [len(document) for document in documents]
    total, held = sum(sizes), corpus.held_out.size
    assert corpus.train.size + held == total
    assert held in {sum(sizes[k:]) for k in range(len(sizes))}
    assert held >= total * HELD_OUT_SHARE - 1e-9
    first_held = next(k for k in range(len(sizes)) if sum(sizes[k:]) == held)
    assert sum(sizes[first_held + 1 :]) < total * HELD_OUT_SHARE + 1e-9


@pytest.mark.parametrize("documents", [[], [b"alone"], [b"", b""]])
def test_a_text_that_leaves_no_split_is_refused(documents: list[bytes]) -> None:
    with pytest.raises(InvalidInputError, match="at least 2"):
        split("made", documents)
