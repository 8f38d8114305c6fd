"""Corpora by name: real or generated text as bytes, split into a training part and a held-out part."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from widthwise.calibration.corpora import FILE_PREFIX
from widthwise.errors import InvalidInputError
from workers.engine import synthetic
from workers.engine.corpus_files import read_corpus_file
from workers.engine.library_texts import python_docs, python_source

HELD_OUT_SHARE = 0.10  # chosen: 47 kB of the Python documentation, enough for 8,192 distinct predictions
LINE_BREAK_WITHIN = 64 << 10  # bytes before the cut of a file that are searched for a line break (chosen)
SYNTHETIC_PIECES = 100  # pieces with equal numbers of words, so that the held-out part is a tenth to within one piece


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as bytes; its two parts consist of different whole documents (in a single file: whole lines)."""

    name: str
    sha256: str  #: of the whole text, hexadecimal; losses are comparable only if the digests are equal
    train: NDArray[np.uint8]  #: shape (N,)
    held_out: NDArray[np.uint8]  #: shape (M,)
    #: nats per byte, given all bytes before it: no model's expected loss is lower; None if unknown
    entropy_floor: float | None = None


def load_corpus(name: str, corpora_dir: str | Path | None = None) -> Corpus:
    """Return the corpus with this name; "file:NAME" is the file NAME in the folder `corpora_dir`.

    A process reads a corpus once, so all its trials see the same bytes. Raises InvalidInputError (field proxy.dataset),
    which lists the names that every worker knows.

    >>> load_corpus("python_docs").train.dtype
    dtype('uint8')
    """
    return _load(name, corpora_dir if name.startswith(FILE_PREFIX) else None)


@cache
def _load(name: str, corpora_dir: str | Path | None) -> Corpus:
    if name.startswith(FILE_PREFIX):
        text = read_corpus_file(name, corpora_dir)
        return _cut(name, text, _line_break(text))
    if name not in _TEXTS:
        raise InvalidInputError(
            f"there is no dataset {name!r}; known ones are {', '.join(sorted(_TEXTS))}, and {FILE_PREFIX}NAME for "
            "a file in the worker's folder of corpora",
            field="proxy.dataset",
        )
    return _TEXTS[name]()


def split(name: str, documents: Sequence[bytes], entropy_floor: float | None = None) -> Corpus:
    """Join documents and hold out the last of them: the fewest that make up HELD_OUT_SHARE of the bytes.

    Nothing is inserted between documents. Raises InvalidInputError for fewer than two documents.
    """
    sizes = np.array([len(document) for document in documents], dtype=np.int64)
    total = int(sizes.sum())
    if len(documents) < 2 or total == 0:
        raise InvalidInputError(
            f"dataset {name!r} holds {len(documents)} document(s); a split needs at least 2", field="proxy.dataset"
        )
    starts = np.cumsum(sizes) - sizes
    cut = int(starts[starts <= total * (1 - HELD_OUT_SHARE)].max())
    return _cut(name, b"".join(documents), cut, entropy_floor)


def _cut(name: str, text: bytes, cut: int, entropy_floor: float | None = None) -> Corpus:
    return Corpus(
        name=name,
        sha256=hashlib.sha256(text).hexdigest(),
        train=np.frombuffer(text, dtype=np.uint8, count=cut),
        held_out=np.frombuffer(text, dtype=np.uint8, offset=cut),
        entropy_floor=entropy_floor,
    )


def _line_break(text: bytes) -> int:
    """Return where a single text's held-out part begins: its last tenth, from the start of a line if one is near."""
    cut = int(len(text) * (1 - HELD_OUT_SHARE))
    return text.rfind(b"\n", max(0, cut - LINE_BREAK_WITHIN), cut) + 1 or cut


def _synthetic() -> Corpus:
    """The synthetic language of workers.engine.synthetic: 5 MB, the same everywhere."""
    classes_N, ranks_N = synthetic.words(synthetic.WORDS)
    pieces = zip(np.split(classes_N, SYNTHETIC_PIECES), np.split(ranks_N, SYNTHETIC_PIECES), strict=True)
    return split("synthetic", [synthetic.spell(*piece) for piece in pieces], synthetic.language().entropy)


#: by the names in widthwise.estimate.corpora.CORPORA, which the service accepts
_TEXTS: dict[str, Callable[[], Corpus]] = {
    "python_docs": lambda: split("python_docs", python_docs()),
    "python_source": lambda: split("python_source", python_source()),
    "synthetic": _synthetic,
}
