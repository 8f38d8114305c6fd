"""Files in the worker's folder of corpora, placed there by the operator; nothing outside that folder can be read.

A file is given by name, never by a path. The name is opened relative to the open folder, without following links and
without blocking, and the type is checked on the opened file, so it can't be swapped for a link in between. Hard links
are up to the operator and look like any file.
"""

import os
import stat
from pathlib import Path

from widthwise.calibration.corpora import FILE_PREFIX, file_name
from widthwise.calibration.cost import HELD_OUT_PREDICTIONS
from widthwise.errors import InvalidInputError

# chosen: each process holds the text on the host and on its device, and a machine runs one process per core
MAX_FILE_BYTES = 512 << 20
MIN_FILE_BYTES = 10 * HELD_OUT_PREDICTIONS  # so that the held-out tenth has one byte per prediction


def read_corpus_file(dataset: str, corpora_dir: str | Path | None) -> bytes:
    """The bytes of the file that `dataset`, "file:NAME", names in the folder `corpora_dir`.

    Raises InvalidInputError (field proxy.dataset) if the name is not plain or does not exist, if it is a link, folder
    or device, or if its size is outside MIN_FILE_BYTES to MAX_FILE_BYTES. It names no other file: whoever may submit
    a calibration reads it.
    """
    name = file_name(dataset)
    if name is None:
        raise _refused(
            f"{dataset[:100]!r} is not {FILE_PREFIX} and a plain file name; a name has 1 to 59 letters, digits, "
            "'.', '_' and '-', and starts with a letter or digit"
        )
    if corpora_dir is None:
        raise _refused(f"{dataset!r} names a file, but this worker has no folder of corpora; start it with one")
    try:
        folder = os.open(corpora_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(
            f"{dataset!r} names a file, but the worker's folder of corpora can't be opened "
            f"({error.strerror}); create the folder, or start the worker with another"
        ) from error
    try:
        _check_kind(name, _status(name, folder))  # before it is opened, since opening a device may have effects
        return read_regular(name, folder)
    finally:
        os.close(folder)


def read_regular(name: str, folder: int) -> bytes:
    """The bytes of the regular file `name` in the open directory `folder`; InvalidInputError for anything else."""
    try:
        # no link is followed; without O_NONBLOCK, opening a pipe would wait for its writer
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise _refused(
            f"the file {name!r} can't be opened ({error.strerror}); make it readable for the worker"
        ) from error
    try:
        status = os.fstat(opened)
        _check_kind(name, status)  # what was actually opened
        if not MIN_FILE_BYTES <= status.st_size <= MAX_FILE_BYTES:
            raise _refused(
                f"the file {name!r} has {status.st_size} bytes; give one of {MIN_FILE_BYTES} to {MAX_FILE_BYTES}"
            )
        with os.fdopen(opened, "rb", closefd=False) as file:
            text = file.read(status.st_size)
    finally:
        os.close(opened)
    if len(text) != status.st_size:
        raise _refused(f"the file {name!r} became shorter while it was read; copy the complete file, then run again")
    return text


def _status(name: str, folder: int) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        raise _refused(
            f"there is no file {name!r} in the worker's folder of corpora; ask its operator for a name"
        ) from error


def _check_kind(name: str, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refused(f"{name!r} is a link, and links are not followed; copy the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise _refused(f"{name!r} is not a regular file; copy one into the worker's folder of corpora")


def _refused(message: str) -> InvalidInputError:
    return InvalidInputError(message, field="proxy.dataset")
