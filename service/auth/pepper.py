"""The pepper: a secret kept outside the database, without which the digests of keys in it are useless."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from service.settings import PEPPER_CHARACTERS, Settings
from widthwise.errors import InvalidInputError

FILE = "pepper"
_MADE_BYTES = 32  # 256 bits, as the secrets it guards


def load_pepper(settings: Settings) -> str:
    """Return the settings' pepper, or for an embedded service the one in its data directory, created if needed.

    Raises InvalidInputError if the database is shared, so that every API process needs the same one, and none is set.
    """
    if settings.pepper is not None:
        return settings.pepper
    if not settings.embedded:
        raise InvalidInputError(
            "API keys need a pepper that all API processes of this database share, and none is set. Create one with "
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
            f"the pepper {path} can't be read or created ({why}); make it readable, or set WIDTHWISE_PEPPER_FILE",
            field="WIDTHWISE_PEPPER",
        ) from None
    if len(pepper) < PEPPER_CHARACTERS:
        raise InvalidInputError(
            f"the pepper {path} has {len(pepper)} characters; at least {PEPPER_CHARACTERS} are needed. Restore it from "
            "a backup, or remove it and create all keys again",
            field="WIDTHWISE_PEPPER",
        )
    return pepper


def _make(path: Path) -> None:
    """Write a new pepper that only the process's user can read; if two processes race, the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(_MADE_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())  # keys made from it survive a power cut, so it must too
        with suppress(FileExistsError):
            os.link(draft, path)  # completely or not at all, and never over an existing one
    finally:
        draft.unlink()
