"""The pepper: the secret outside the database without which its digests of keys are worth nothing."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from service.settings import PEPPER_CHARACTERS, Settings
from widthwise.errors import InvalidInputError

FILE = "pepper"
_MADE_BYTES = 32  # 256 bits, as the secrets it guards


def load_pepper(settings: Settings) -> str:
    """Return the settings' pepper, else the one in the data directory of an embedded service, made at need.

    Raises InvalidInputError where every API process of a shared database needs the same one and none is set.
    """
    if settings.pepper is not None:
        return settings.pepper
    if not settings.embedded:
        raise InvalidInputError(
            "API keys need a pepper, the same for every API process of this database, and none is set. Make one with "
            "`openssl rand -hex 32`, keep it in a file, and name that file in WIDTHWISE_PEPPER_FILE.",
            field="WIDTHWISE_PEPPER",
        )
    path = settings.data_dir.absolute() / FILE
    try:
        if not path.exists():
            _make(path)
        pepper = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InvalidInputError(
            f"the pepper {path} can't be read or made ({why}); make it readable, or set WIDTHWISE_PEPPER_FILE",
            field="WIDTHWISE_PEPPER",
        ) from None
    if len(pepper) < PEPPER_CHARACTERS:
        raise InvalidInputError(
            f"the pepper {path} has {len(pepper)} characters, and {PEPPER_CHARACTERS} are the fewest; restore it from "
            "a copy, or remove it and make every key anew",
            field="WIDTHWISE_PEPPER",
        )
    return pepper


def _make(path: Path) -> None:
    """Write a new pepper for the owner of the process alone; of two processes at once the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(_MADE_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())  # keys made from it outlive a power cut, so must it
        with suppress(FileExistsError):
            os.link(draft, path)  # whole or not at all, and never over another's
    finally:
        draft.unlink()
