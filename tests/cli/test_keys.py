"""`widthwise keys`: the key alone on stdout, nothing secret anywhere else, and what a key's row says."""

import json
import re
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from service.auth.pepper import load_pepper
from service.auth.tokens import digest_of, parse_token
from service.commands.keys import lifetime_seconds
from service.settings import load_settings
from service.store import open_store
from service.store.database.schema import upgrade
from testbed.databases import PostgresServer
from tests.cli.conftest import Run
from widthwise.errors import InvalidInputError


def test_a_key_is_printed_once_and_stored_as_a_digest(run: Run, tmp_path: Path) -> None:
    made = run("keys", "create", "--owner", "alice", "--scope", "calibrate", "--name", "laptop", "--data-dir", tmp_path)
    assert made.code == 0
    token = parse_token(made.out.removesuffix("\n"))
    assert token is not None  # stdout is the key and nothing else
    assert token.secret not in made.err
    settings = load_settings(data_dir=tmp_path)
    store = open_store(settings.database_url)
    stored = store.keys.find(token.key_id)
    store.close()
    assert stored is not None
    assert (stored.owner, stored.name, stored.scopes, stored.valid) == ("alice", "laptop", ("calibrate",), True)
    assert stored.digest == digest_of(load_pepper(settings), token.secret)
    assert stored.expires_at is not None
    assert stored.expires_at - stored.created_at == timedelta(days=90)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert token.key_id.encode() in written
    assert token.secret.encode() not in written


def test_listing_and_revoking(run: Run, tmp_path: Path) -> None:
    place = ("--data-dir", tmp_path)
    run("migrate", *place)
    empty = run("keys", "list", *place)
    assert (empty.code, empty.out) == (0, "")
    assert "no key" in empty.err
    ids = []
    for owner, scope in (("alice", "read"), ("bob", "admin")):
        made = run("keys", "create", "--owner", owner, "--scope", scope, "--expires", "never", *place).out
        ids.append(made.split("_")[1])
    assert run("keys", "revoke", ids[0], *place).code == 0
    shown = run("keys", "list", *place).out
    assert re.search(rf"{ids[0]} +alice +read +revoked +never", shown)
    assert re.search(rf"{ids[1]} +bob +admin +valid +never", shown)
    (bobs,) = json.loads(run("keys", "list", "--owner", "bob", "--json", *place).out)
    assert (bobs["id"], bobs["state"], bobs["expires_at"]) == (ids[1], "valid", None)
    assert set(bobs) & {"digest", "secret"} == set()
    unknown = run("keys", "revoke", "0" * 16, *place)
    assert (unknown.code, unknown.out) == (1, "")
    assert "There is no API key" in unknown.err


def test_a_whole_key_given_in_place_of_its_id_is_not_repeated(run: Run, tmp_path: Path) -> None:
    key = run("keys", "create", "--owner", "alice", "--scope", "read", "--data-dir", tmp_path).out.strip()
    refused = run("keys", "revoke", key, "--data-dir", tmp_path)
    assert refused.code == 1
    assert "16 hexadecimal digits" in refused.err
    assert key.split("_", 2)[2] not in refused.err + refused.out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--owner", ""), "owner"),
        (("--owner", "a b"), "owner"),
        (("--owner", "a'; DROP TABLE api_keys; --"), "owner"),
        (("--owner", "a\nb"), "owner"),
        (("--owner", "x" * 65), "owner"),
        (("--owner", "a", "--name", "a\x1b[31m"), "name"),
        (("--owner", "a", "--name", "x" * 65), "name"),
        (("--owner", "a", "--expires", "soon"), "90d"),
        (("--owner", "a", "--expires", "0d"), "90d"),
        (("--owner", "a", "--expires", "999999d"), "90d"),
        (("--owner", "a", "--expires", "-1d"), "90d"),
    ],
)
def test_what_a_key_cannot_be(run: Run, tmp_path: Path, options: tuple[str, ...], word: str) -> None:
    refused = run("keys", "create", "--scope", "read", "--data-dir", tmp_path, *options)
    assert refused.code == 1
    assert refused.out == ""
    assert word in refused.err
    assert list(tmp_path.iterdir()) == []


def test_lifetimes() -> None:
    assert lifetime_seconds("1h") == 3600
    assert lifetime_seconds("3660d") == 3660 * 86400
    with pytest.raises(InvalidInputError, match="never"):
        lifetime_seconds("1")


def test_the_pepper_is_for_its_owner_alone_and_stays(run: Run, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    pepper = load_pepper(settings)
    file = tmp_path / "pepper"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["pepper"]  # no draft is left
    assert load_pepper(settings) == pepper
    file.write_text("short")
    refused = run("keys", "create", "--owner", "a", "--scope", "read", "--data-dir", tmp_path)
    assert refused.code == 1
    assert "5 characters" in refused.err
    assert "short" not in refused.err


def test_on_postgres(run: Run, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that was not migrated is named as such, a missing pepper too, and with both a key is made."""
    url = postgres.new()
    monkeypatch.setenv("WIDTHWISE_DATABASE_URL", url)
    create = ("keys", "create", "--owner", "ops", "--scope", "admin")
    assert "widthwise migrate" in run(*create).err
    upgrade(url)
    assert "WIDTHWISE_PEPPER_FILE" in run(*create).err
    (tmp_path / "pepper").write_text("p" * 32)
    monkeypatch.setenv("WIDTHWISE_PEPPER_FILE", str(tmp_path / "pepper"))
    token = parse_token(run(*create).out.strip())
    assert token is not None
    store = open_store(url)
    (key,) = store.keys.all()
    store.close()
    assert key.digest == digest_of("p" * 32, token.secret)
    assert isinstance(key.expires_at, datetime)
