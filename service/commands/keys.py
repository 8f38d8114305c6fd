"""`widthwise keys`: create, list and revoke a service's API keys, in its database."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.auth.caller import Scope
from service.auth.tokens import KEY_ID, digest_of, make_token
from widthwise.cli import console
from widthwise.cli.installation import needs
from widthwise.cli.options import DataDir, word
from widthwise.errors import InvalidInputError

if TYPE_CHECKING:
    from service.settings import Settings
    from service.store import ApiKey, Store

#: A forgotten key expires by itself, and renewing keys four times a year keeps the procedure familiar (chosen).
DEFAULT_EXPIRY = "90d"
MAX_DAYS = 3660  # ten years (chosen): anything longer is a typo, or should be `never`

_HOURS = {"h": 1, "d": 24}
_OWNER = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}"
)  # the column's length; no characters that a log line would have to quote
_NAME = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,64}")

keys = typer.Typer(
    name="keys",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Create, list and revoke a service's API keys, in its database.",
)


@keys.command()
def create(
    *,
    owner: Annotated[
        str, typer.Option(metavar="NAME", help="Owner of the calibrations that the key may read and create.")
    ],
    scope: Annotated[
        Scope,
        word(Scope, "read; calibrate: read and run calibrations; admin: both, of every owner."),
    ],
    name: Annotated[str, typer.Option(metavar="TEXT", help="What the key is for; `keys list` shows it.")] = "",
    expires: Annotated[
        str, typer.Option(metavar="30d|12h|never", help="How long the key is valid, in days or hours.")
    ] = DEFAULT_EXPIRY,
    data_dir: DataDir = None,
) -> None:
    """Create an API key and print it to stdout. It is shown only once: the database stores a digest of it.

    \b
    Examples:
      widthwise keys create --owner alice --scope calibrate
      KEY=$(widthwise keys create --owner ci --scope read --name nightly --expires 30d)
      WIDTHWISE_DATABASE_URL=postgresql://… WIDTHWISE_PEPPER_FILE=pepper widthwise keys create --owner ops --scope admin
    """
    if not _OWNER.fullmatch(owner):
        raise InvalidInputError(
            f"the owner {owner[:80]!r} can't be used; give 1 to 64 letters, digits, dots, dashes, underscores, @ or +",
            field="owner",
        )
    if not _NAME.fullmatch(name):
        raise InvalidInputError(f"the name {name[:80]!r} can't be used; give up to 64 printable characters")
    lifetime = lifetime_seconds(expires)
    with _opened(data_dir, creates=True) as (settings, store):
        from service.auth.pepper import load_pepper

        pepper = load_pepper(settings)
        token = make_token()
        key = store.keys.create(
            token.key_id,
            owner=owner,
            name=name,
            scopes=[scope.value],
            digest=digest_of(pepper, token.secret),
            lifetime_seconds=lifetime,
        )
        until = "until it is revoked" if key.expires_at is None else f"until {_day(key.expires_at)}"
        console.say(f"Key {key.id} of {owner}, scope {scope.value}, is valid {until}. It is shown only once:")
        sys.stdout.write(f"{token.reveal()}\n")
        sys.stdout.flush()
        console.say("Use it: WIDTHWISE_API_KEY=… widthwise exponents, or the header `Authorization: Bearer …`.")


@keys.command("list")
def list_keys(
    *,
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="Only this owner's keys.")] = None,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """List the API keys, newest first, with their status. Secrets are not stored, so none is shown.

    \b
    Examples:
      widthwise keys list
      widthwise keys list --owner alice --json
    """
    with _opened(data_dir) as (_, store):
        found = store.keys.all(owner)
    if as_json:
        console.print_json([_body(key) for key in found])
        return
    if not found:
        console.say("There are no keys yet. Create one: widthwise keys create --help")
        return
    table = console.new_table("id", "owner", "scope", "name", "state", "expires", "last used", left=7)
    for key in found:
        expires = "never" if key.expires_at is None else _day(key.expires_at)
        used = "" if key.last_used_at is None else _minute(key.last_used_at)
        table.add_row(key.id, key.owner, ", ".join(key.scopes), key.name, _state(key), expires, used)
    console.show(f"{len(found)} key{'' if len(found) == 1 else 's'}", table)


@keys.command()
def revoke(
    *,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
    data_dir: DataDir = None,
) -> None:
    """Revoke a key. Services that have it cached follow within seconds.

    \b
    Examples:
      widthwise keys revoke 0123456789abcdef
    """
    if not KEY_ID.fullmatch(key_id):  # it may be a whole key, so it is not shown
        raise InvalidInputError(
            "the ID is not a key's id; give its 16 hexadecimal digits, the part between ww_ and the next _",
            field="key_id",
        )
    with _opened(data_dir) as (_, store):
        key = store.keys.revoke(key_id)
    console.say(f"Key {key.id} of {key.owner} is revoked.")


def lifetime_seconds(text: str) -> float | None:
    """Return the seconds of "90d" or "12h", or None for "never"; InvalidInputError for anything else.

    >>> lifetime_seconds("12h"), lifetime_seconds("never")
    (43200.0, None)
    """
    if text == "never":
        return None
    found = re.fullmatch(r"([0-9]{1,6})([hd])", text)
    hours = int(found[1]) * _HOURS[found[2]] if found else 0
    if not 1 <= hours <= MAX_DAYS * 24:
        raise InvalidInputError(
            f"--expires is {text[:40]!r}; give days such as {DEFAULT_EXPIRY}, hours such as 12h (up to {MAX_DAYS}d), "
            "or never",
            field="expires",
        )
    return hours * 3600.0


@contextmanager
def _opened(data_dir: Path | None, *, creates: bool = False) -> "Iterator[tuple[Settings, Store]]":
    """Yield the settings and their store; an embedded database is upgraded first, as `serve` does.

    creates: an embedded database that does not exist yet; SchemaError otherwise.
    """
    with needs("service"):
        from service.settings import load_settings
        from service.store import open_store, upgrade

    settings = load_settings(data_dir=data_dir)
    if settings.embedded and (creates or Path(settings.database_url.removeprefix("sqlite:///")).exists()):
        upgrade(settings.database_url)
    store = open_store(settings.database_url)
    try:
        store.check_ready()  # its message says what to do about a database that was not migrated
        yield settings, store
    finally:
        store.close()


def _state(key: "ApiKey") -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.valid else "expired"


def _body(key: "ApiKey") -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    shown = {name: None if time is None else time.isoformat() for name, time in times.items()}
    words = {"id": key.id, "owner": key.owner, "name": key.name, "scopes": list(key.scopes), "state": _state(key)}
    return {**words, **shown}


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
