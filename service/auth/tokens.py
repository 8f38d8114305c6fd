"""API keys as text: only this module makes, parses, digests and compares `ww_<id>_<secret>`.

The id names the row and is not secret. The store holds only HMAC-SHA256(pepper, secret) of the secret, so reading the
database reveals no key and does not allow making one: the pepper is not in it.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

ID_BYTES = 8  # 16 hexadecimal digits: unique without a lookup, short enough to read out (chosen)
SECRET_BYTES = 32  # 256 bits can't be guessed, so a fast digest is enough, unlike for a password
KEY_ID = re.compile(r"[0-9a-f]{16}")
_TOKEN = re.compile(rf"ww_({KEY_ID.pattern})_([A-Za-z0-9_-]{{43}})")  # 43 characters of base64url hold 32 bytes

#: Compared if there is no row, so that an unknown id takes the same steps as a known one. No input is known whose
#: HMAC-SHA256 equals it, and a match with it is ignored.
DUMMY_DIGEST = "0" * 64

#: Compares two ASCII texts in a time that depends only on their length.
Compare = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Token:
    """A key as its owner holds it; neither its text nor its repr shows the secret."""

    key_id: str
    secret: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text that a client sends."""
        return f"ww_{self.key_id}_{self.secret}"


def make_token() -> Token:
    """Return a new key."""
    return Token(secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))


def parse_token(text: str) -> Token | None:
    """Parse a key; return None if it does not have the form of one.

    >>> parse_token("ww_0123456789abcdef_" + "x" * 43)
    Token(key_id='0123456789abcdef')
    >>> parse_token("ww_0123456789abcdef_short")
    """
    found = _TOKEN.fullmatch(text)
    return None if found is None else Token(found[1], found[2])


def digest_of(pepper: str, secret: str) -> str:
    """Return the HMAC-SHA256 of a secret as 64 hexadecimal digits."""
    return hmac.digest(pepper.encode(), secret.encode(), "sha256").hex()


def matches(stored: str | None, digest: str, compare: Compare = hmac.compare_digest) -> bool:
    """Return whether a secret's digest is the stored one (None: none is stored); compares exactly once either way."""
    same = compare(DUMMY_DIGEST if stored is None else stored, digest)
    return same and stored is not None
