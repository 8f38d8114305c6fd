"""Corpora: what they hold, how they are split, what an unknown name says."""

import hashlib
from pydoc_data.topics import topics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widthwise.errors import InvalidInputError
from workers.engine.data import HELD_OUT_SHARE, load_corpus, split


def test_the_python_docs_are_the_topics_in_sorted_order() -> None:
    text = "".join(topics[key] for key in sorted(topics)).encode()
    corpus = load_corpus("python_docs")
    assert corpus.train.tobytes() + corpus.held_out.tobytes() == text
    assert corpus.sha256 == hashlib.sha256(text).hexdigest()
    assert corpus.train.dtype == np.uint8


def test_an_unknown_corpus_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match=r"'c4'.*python_docs") as raised:
        load_corpus("c4")
    assert raised.value.field == "proxy.dataset"


@given(st.lists(st.text(min_size=1), min_size=2, max_size=30))
def test_a_split_cuts_between_documents_and_holds_out_the_fewest_that_suffice(documents: list[str]) -> None:
    corpus = split("made", documents)
    sizes = [len(document.encode()) for document in documents]
    total, held = sum(sizes), corpus.held_out.size
    assert corpus.train.size + held == total
    assert held in {sum(sizes[k:]) for k in range(len(sizes))}
    assert held >= total * HELD_OUT_SHARE - 1e-9
    first_held = next(k for k in range(len(sizes)) if sum(sizes[k:]) == held)
    assert sum(sizes[first_held + 1 :]) < total * HELD_OUT_SHARE + 1e-9


@pytest.mark.parametrize("documents", [[], ["alone"], ["", ""]])
def test_a_text_that_leaves_no_split_is_refused(documents: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="at least 2"):
        split("made", documents)
