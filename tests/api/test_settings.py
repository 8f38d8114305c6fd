"""Settings: documented, bounded, read from the environment, and never a misspelt variable ignored."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from service.settings import CLIENT_VARIABLES, PREFIX, Settings, available_cores, load_settings
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
        "workers": "one for each core",
    }
    expected = [
        [
            f"`{PREFIX}{name.upper()}`",
            made_at_start.get(name) or f"`{str(field['default']).lower()}`",
            _bounds(field),
            field["description"],
        ]
        for name, field in schema.items()
    ]
    assert rows[:-1] == expected
    assert rows[-1][:2] == [f"`{URL_VARIABLE}`", f"`{DEFAULT_URL}`"]
    assert {URL_VARIABLE} == CLIENT_VARIABLES


def _bounds(field: dict[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if field["type"] == "boolean":
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
    settings.refuse_unsafe_host()
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


def test_other_machines_are_served_only_if_asked_for() -> None:
    with pytest.raises(InvalidInputError, match=r"'0\.0\.0\.0' can be reached from other machines"):
        load_settings(host="0.0.0.0").refuse_unsafe_host()  # noqa: S104  # the point of the test
    load_settings(host="0.0.0.0", allow_unauthenticated=True).refuse_unsafe_host()  # noqa: S104
