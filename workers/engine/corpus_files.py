"""Files that the operator placed in the worker's folder of corpora; nothing outside that folder can be read.

A file is named, never given by a path. Its name is opened relative to the open folder, without following a link and
without waiting, and what was opened is asked what it is: there is no moment at which it could be exchanged for a link.
Hard links are the operator's own doing and look like any file.
"""

import os
import stat
from pathlib import Path

from widthwise.calibration.corpora import FILE_PREFIX, file_name
from widthwise.calibration.cost import HELD_OUT_PREDICTIONS
from widthwise.errors import InvalidInputError

# chosen: a process holds the text on the host and on its device, and a machine runs a process for each core
MAX_FILE_BYTES = 512 << 20
MIN_FILE_BYTES = 10 * HELD_OUT_PREDICTIONS  # so that the held-out tenth has a byte for each prediction
LISTED = 20  # names in one error message (chosen)


def read_corpus_file(dataset: str, corpora_dir: str | Path | None) -> bytes:
    """The bytes of the file that `dataset`, "file:NAME", names in the folder `corpora_dir`.

    Raises InvalidInputError (field proxy.dataset) that says what the folder holds, for a name that is no plain name,
    that is not there, a link, a folder or a device, or a file outside MIN_FILE_BYTES to MAX_FILE_BYTES.
    """
    name = file_name(dataset)
    if name is None:
        raise _refused(
            f"{dataset[:100]!r} is not {FILE_PREFIX} and the plain name of a file; a name has 1 to 59 letters, digits, "
            "'.', '_' and '-', and starts with a letter or digit"
        )
    if corpora_dir is None:
        raise _refused(f"{dataset!r} names a file, and this worker has no folder of corpora; start it with one")
    try:
        folder = os.open(corpora_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(
            f"{dataset!r} names a file, and the worker's folder of corpora can't be opened "
            f"({error.strerror}); make the folder, or start the worker with another"
        ) from error
    try:
        _check_kind(name, folder, _status(name, folder))  # before it is opened, since opening a device may do something
        return read_regular(name, folder)
    finally:
        os.close(folder)


def read_regular(name: str, folder: int) -> bytes:
    """The bytes of the regular file `name` in the open directory `folder`; raises InvalidInputError for all else."""
    try:
        # no link is followed; without O_NONBLOCK, to open a pipe would wait for its writer
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise _refused(f"the file {name!r} can't be opened ({error.strerror}); let the worker read it") from error
    try:
        status = os.fstat(opened)
        _check_kind(name, folder, status)  # what was really opened
        if not MIN_FILE_BYTES <= status.st_size <= MAX_FILE_BYTES:
            raise _refused(
                f"the file {name!r} has {status.st_size} bytes; give one of {MIN_FILE_BYTES} to {MAX_FILE_BYTES}"
            )
        with os.fdopen(opened, "rb", closefd=False) as file:
            text = file.read(status.st_size)
    finally:
        os.close(opened)
    if len(text) != status.st_size:
        raise _refused(f"the file {name!r} became shorter while it was read; place it whole, then run again")
    return text


def _status(name: str, folder: int) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        raise _refused(f"there is no file {name!r} in the worker's folder of corpora; {_holds(folder)}") from error


def _check_kind(name: str, folder: int, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refused(f"{name!r} is a link, and links are not followed; copy the file itself; {_holds(folder)}")
    if not stat.S_ISREG(status.st_mode):
        raise _refused(f"{name!r} is not a regular file; {_holds(folder)}")


def _holds(folder: int) -> str:
    """What can be asked for, as half a sentence."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if file_name(FILE_PREFIX + entry.name) is not None and entry.is_file(follow_symlinks=False)
        )
    if not names:
        return "it holds no file that could be read"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"it holds {', '.join(names[:LISTED])}{more}"


def _refused(message: str) -> InvalidInputError:
    return InvalidInputError(message, field="proxy.dataset")
