"""The names of the texts that a proxy can read, as a specification may give them to this project's workers."""

import re
from collections.abc import Mapping

#: The texts that every worker has, with what they are.
CORPORA: Mapping[str, str] = {
    "python_docs": "the English documentation that every Python ships, 0.5 MB",
    "python_source": "the source of its standard library, 11 MB",
    "synthetic": "a made language whose entropy is known, 5 MB",
}
FILE_PREFIX = "file:"  #: before the name of a file in the worker's folder of corpora
#: of that file: a plain name, neither hidden nor a path; with its prefix 64 characters, what a stored word may have
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
