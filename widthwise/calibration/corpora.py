"""The names of the texts that a proxy can read, as a specification may give them to this project's workers."""

import re

CORPORA = ("python_docs", "python_source", "synthetic")  #: texts that every worker has
FILE_PREFIX = "file:"  #: prefix of the name of a file in the worker's folder of corpora
#: that file's name: plain, neither hidden nor a path; at most 64 characters with its prefix, like any stored word
FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,58}"
#: any name of a text: one of these, or an external runner's name for its text
DATASET = rf"^([a-z0-9_]{{1,64}}|{FILE_PREFIX}{FILE_NAME})$"

_FILE = re.compile(f"{FILE_PREFIX}({FILE_NAME})")


def file_name(dataset: str) -> str | None:
    """Return the file in the worker's folder that `dataset` names; None if it does not name a file.

    >>> file_name("file:notes.txt"), file_name("file:../notes.txt"), file_name("python_docs")
    ('notes.txt', None, None)
    """
    match = _FILE.fullmatch(dataset)
    return None if match is None else match[1]


def is_known(dataset: str) -> bool:
    """Whether workers can read `dataset`: a text that every worker has, or a file that may be in its folder."""
    return dataset in CORPORA or file_name(dataset) is not None
