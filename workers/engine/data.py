"""Corpora by name: real text as bytes, split into a training part and a held-out part."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from widthwise.errors import InvalidInputError

HELD_OUT_SHARE = 0.10  # chosen: 47 kB of the Python documentation, enough for 8,192 distinct predictions


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as bytes; the two parts are whole documents and share none."""

    name: str
    sha256: str  #: of the whole text, hexadecimal; losses compare only between equal digests
    train: NDArray[np.uint8]  #: shape (N,)
    held_out: NDArray[np.uint8]  #: shape (M,)


@cache
def load_corpus(name: str) -> Corpus:
    """The corpus of that name; raises InvalidInputError that lists the known ones.

    >>> load_corpus("python_docs").train.dtype
    dtype('uint8')
    """
    if name not in CORPORA:
        raise InvalidInputError(
            f"there is no dataset {name!r}; the known ones are {', '.join(sorted(CORPORA))}", field="proxy.dataset"
        )
    return split(name, CORPORA[name]())


def split(name: str, documents: Sequence[str]) -> Corpus:
    """Joins documents and holds out the last of them: the fewest that make up HELD_OUT_SHARE of the bytes.

    Nothing is inserted between documents. Raises InvalidInputError where fewer than two documents leave no split.
    """
    encoded = [document.encode("utf-8") for document in documents]
    sizes = np.array([len(document) for document in encoded], dtype=np.int64)
    total = int(sizes.sum())
    if len(encoded) < 2 or total == 0:
        raise InvalidInputError(f"dataset {name!r} holds {len(encoded)} document(s); a split needs at least 2")
    starts = np.cumsum(sizes) - sizes
    cut = int(starts[starts <= total * (1 - HELD_OUT_SHARE)].max())
    text = np.frombuffer(b"".join(encoded), dtype=np.uint8)
    return Corpus(
        name=name,
        sha256=hashlib.sha256(text.tobytes()).hexdigest(),
        train=text[:cut],
        held_out=text[cut:],
    )


def _python_docs() -> list[str]:
    """The language reference that `help()` prints: English, with every Python, 0.5 MB; it differs by Python version.

    Some topics repeat parts of others, so the held-out part is not wholly unseen; a trial reads the text about once,
    so that what is measured is still learning and not memory.
    """
    from pydoc_data.topics import topics

    return [topics[key] for key in sorted(topics)]


CORPORA: dict[str, Callable[[], list[str]]] = {"python_docs": _python_docs}  #: a later corpus is one more entry
