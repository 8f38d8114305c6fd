"""Settings: documented, bounded, read from the environment, and never a misspelt variable ignored."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import CLIENT_VARIABLES, FILE_SUFFIX, PREFIX, SECRETS, Settings, available_cores, load_settings
from widthwise.client import DEFAULT_URL, URL_VARIABLE
from widthwise.errors import InvalidInputError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No WIDTHWISE_* variable of the caller's shell."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def test_every_setting_is_documented() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_the_document_lists_every_setting() -> None:
    document = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in document.splitlines() if line[:3] == "| `"
    ]
    schema = Settings.model_json_schema()["properties"]
    made_at_start = {
        "corpora_dir": "`corpora` in the data directory",
        "database_url": "a file in the data directory",
        "workers": "one for each core; 0 with a broker",
    }
    expected = [
        [
            f"`{PREFIX}{name.upper()}`",
            made_at_start.get(name) or ("" if field["default"] is None else f"`{str(field['default']).lower()}`"),
            _bounds(field),
            field["description"],
        ]
        for name, field in schema.items()
    ]
    assert rows[:-2] == expected
    assert [row[:2] for row in rows[-2:]] == [[f"`{URL_VARIABLE}`", f"`{DEFAULT_URL}`"], ["`WIDTHWISE_API_KEY`", ""]]
    assert {row[0].strip("`") for row in rows[-2:]} == CLIENT_VARIABLES


def test_the_document_lists_every_secret_that_a_file_may_hold() -> None:
    document = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert all(f"`{PREFIX}{name.upper()}{FILE_SUFFIX}`" in document for name in SECRETS)


def _bounds(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        least = field["anyOf"][0].get("minLength")
        return f"{least} characters or more" if least else ""
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if field.get("type") == "boolean":
        return "`true`, `false`"
    if "maximum" not in field:
        return ""
    low, high = field.get("minimum", field.get("exclusiveMinimum")), field["maximum"]
    return f"above {low:g}, to {high:g}" if "exclusiveMinimum" in field else f"{low:.10g} to {high:.10g}"


def test_the_defaults_serve_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.database_url == f"sqlite:///{tmp_path}/widthwise-data/widthwise.db"
    assert settings.corpora_dir == tmp_path / "widthwise-data" / "corpora"
    assert settings.workers == available_cores()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDTHWISE_PORT", "9000")
    monkeypatch.setenv("WIDTHWISE_HOST", "")  # as compose files pass on what is unset
    assert load_settings(port=None).port == 9000
    assert load_settings(port=9001).port == 9001
    assert load_settings().host == "127.0.0.1"


def test_another_process_reads_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, port=0, allow_unauthenticated=True, lease_seconds=2.5)
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_unknown_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WIDTHWISE_URL", "http://elsewhere:8000")
    load_settings()
    monkeypatch.setenv("WIDTHWISE_PROT", "9000")
    with pytest.raises(InvalidInputError, match=r"Unknown environment variable WIDTHWISE_PROT; .*WIDTHWISE_PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "65536", "less than or equal to 65535 .was '65536'"),
        ("LEASE_SECONDS", "nan", "WIDTHWISE_LEASE_SECONDS"),
        ("SHARD_DEADLINE_SECONDS", "inf", "WIDTHWISE_SHARD_DEADLINE_SECONDS"),
        ("LOG_LEVEL", "loud", "'debug', 'info'"),
        ("DATABASE_URL", "sqlite:///:memory:", "a file: each connection"),
    ],
)
def test_bad_values_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(f"WIDTHWISE_{name}", value)
    with pytest.raises(InvalidInputError, match=message):
        load_settings()


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "secret" not in repr(load_settings(database_url="postgresql://user:secret@host/widthwise"))
    with pytest.raises(InvalidInputError) as caught:
        load_settings(database_url="mysql://user:secret@host/widthwise")
    assert "secret" not in str(caught.value)


def test_keys_are_asked_for_beyond_this_machine() -> None:
    everywhere = "0.0.0.0"  # noqa: S104  # the point of the test
    assert load_settings(host=everywhere).asks_for_keys
    assert not load_settings(host=everywhere, allow_unauthenticated=True).asks_for_keys
    assert not load_settings().asks_for_keys
    assert load_settings(require_keys=True).asks_for_keys


def test_secrets_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word\n")
    (tmp_path / "pepper").write_text("0123456789abcdef" * 2)
    monkeypatch.setenv("WIDTHWISE_DATABASE_URL", "postgresql://widthwise@db:5432/widthwise")
    monkeypatch.setenv("WIDTHWISE_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("WIDTHWISE_REDIS_URL", "redis://broker:6379/0")
    monkeypatch.setenv("WIDTHWISE_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("WIDTHWISE_PEPPER_FILE", str(tmp_path / "pepper"))
    settings = load_settings()
    assert settings.database_url == "postgresql+psycopg://widthwise:p%40ss%2Fword@db:5432/widthwise"
    assert settings.redis_url == "redis://:p%40ss%2Fword@broker:6379/0"
    assert settings.pepper == "0123456789abcdef" * 2
    assert "p@ss" not in repr(settings)
    assert "0123456789abcdef" not in repr(settings)
    handed_on = settings.as_environment()
    assert not any(secret in f"{handed_on}" for secret in ("p@ss", "p%40ss", "0123456789abcdef"))
    for name, value in handed_on.items():
        monkeypatch.setenv(name, value)
    assert load_settings().model_dump() == settings.model_dump() | {"pepper": None}  # no worker needs that


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"PEPPER_FILE": "/no/such/file"}, "PEPPER_FILE names /no/such/file, which can't be read: No such file"),
        ({"PEPPER_FILE": "FILE", "PEPPER": "x" * 32}, "Both WIDTHWISE_PEPPER_FILE and WIDTHWISE_PEPPER are set"),
        ({"PEPPER": "short-secret"}, "at least 32 characters"),
        ({"REDIS_URL": "amqp://user:short-secret@host"}, "give redis://HOST"),
        ({"REDIS_URL": "redis://u:one@host", "REDIS_PASSWORD": "short-secret"}, "another one is set"),
    ],
)
def test_secrets_that_cannot_be_used_are_refused_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], message: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"WIDTHWISE_{name}", value)
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_settings()
    assert "short-secret" not in str(caught.value)
