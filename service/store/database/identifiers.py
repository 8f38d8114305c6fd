"""Identifiers of stored rows."""

import secrets


def new_id(prefix: str) -> str:
    """Return a new identifier: a readable prefix and 96 random bits."""
    return f"{prefix}_{secrets.token_hex(12)}"
