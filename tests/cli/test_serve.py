"""`widthwise serve` and `widthwise migrate`: where they listen, what they refuse, how they end."""

import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from typing import IO

import httpx
import pytest

from service.store.database.schema import head_revision
from tests.cli.conftest import Run

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("WIDTHWISE_")}


def serve(
    data_dir: Path, *options: str, stderr: IO[str] | int = subprocess.PIPE, **variables: str
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "widthwise.cli", "serve", "--data-dir", str(data_dir), "--workers", "0"]
    return subprocess.Popen(
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**CLEAN, **variables},
    )


@contextmanager
def serving(
    data_dir: Path, *options: str, stderr: IO[str] | int = subprocess.PIPE, **variables: str
) -> Iterator[tuple[str, str]]:
    """A service that is up: its address on this machine, and what it said at its start."""
    process = serve(data_dir, *options, stderr=stderr, **variables)
    assert process.stdout is not None
    lines = list(takewhile(lambda line: line != "Ctrl-C stops it.\n", process.stdout))
    try:
        assert lines, process.stderr and process.stderr.read()
        yield lines[0].split()[-1].replace("0.0.0.0", "127.0.0.1"), "".join(lines)  # noqa: S104
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_on_a_free_port_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    process = serve(tmp_path / "new")
    assert process.stdout is not None
    first = process.stdout.readline()
    address = re.fullmatch(r"Widthwise \S+ serves at (http://127\.0\.0\.1:\d+)\n", first)
    assert address is not None, (first, process.stderr and process.stderr.read())
    assert httpx.get(f"{address[1]}/readyz", trust_env=False).status_code == 200  # announced once it answers
    process.send_signal(number)
    with process:  # closes its pipes
        assert process.wait(30) == 0
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
    assert f"  page      {address[1]}/\n  docs      {address[1]}/docs\n  guide     {address[1]}/guide/\n" in out
    assert "Traceback" not in err
    assert (tmp_path / "new" / "widthwise.db").exists()


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    process = serve(tmp_path)
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    spec = {"parameterization": "standard", "optimizer": "adam", "widths": [8, 16], "learning_rates": [0.1, 0.2, 0.4]}
    with httpx.Client(base_url=url, trust_env=False) as client:
        made = client.post("/v1/calibrations", json=spec).json()
        with client.stream("GET", made["links"]["events"]) as stream:
            assert stream.status_code == 200
            process.terminate()
            _, err = process.communicate(timeout=30)  # the stream itself would last ten minutes
    assert process.returncode == 0
    assert "Traceback" not in err


def test_unfinished_requests_do_not_hold_up_the_end(tmp_path: Path) -> None:
    process = serve(tmp_path)
    assert process.stdout is not None
    host, _, port = process.stdout.readline().split()[-1].removeprefix("http://").partition(":")
    head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "
    body = head.replace(b"GET /livez", b"POST /v1/transfers").replace(b"X: ", b"Content-Type: application/json\r\n")
    body += b"Content-Length: 9\r\n\r\n{"
    with ExitStack() as stack:
        for begin in (b"", head, body):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            connection.sendall(begin)
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_a_port_in_use(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ran = run("serve", "--port", port, "--data-dir", tmp_path, "--workers", 0)
    assert ran.code == 1
    assert ran.err == f"Error: port {port} is in use; stop the process that uses it, or choose another with --port\n"


def test_other_machines_are_asked_for_a_key(tmp_path: Path) -> None:
    """Beyond loopback the service says at its start how the first key is made, and that key opens it."""
    with serving(tmp_path, "--host", "0.0.0.0") as (url, said):  # noqa: S104  the point of the test
        assert httpx.get(f"{url}/livez", trust_env=False).status_code == 200
        assert httpx.get(f"{url}/v1/calibrations", trust_env=False).status_code == 401
        command = re.search(r"none is valid yet: widthwise (.*)", said)
        assert command is not None, said
        arguments = shlex.split(command[1].replace("NAME", "ops"))
        made = subprocess.run(
            [sys.executable, "-m", "widthwise.cli", *arguments], capture_output=True, text=True, env=CLEAN, check=True
        )
        bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert httpx.get(f"{url}/v1/calibrations", headers=bearer, trust_env=False).status_code == 200
    with serving(tmp_path, "--host", "0.0.0.0") as (_, said):  # noqa: S104
        assert "keys      required\n" in said
        assert made.stdout.strip() not in said


@pytest.mark.parametrize(
    ("host", "trusted", "warns"),
    [("0.0.0.0", "", True), ("0.0.0.0", "192.0.2.1", False), ("0.0.0.0", "*", False), ("127.0.0.1", "", False)],  # noqa: S104
)
def test_listening_to_other_machines_without_a_proxy_warns(
    tmp_path: Path, host: str, trusted: str, *, warns: bool
) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as stderr,
        serving(tmp_path, "--host", host, stderr=stderr, WIDTHWISE_TRUSTED_PROXIES=trusted),
    ):
        pass
    assert ("without a proxy" in log.read_text()) == warns


def test_only_a_trusted_proxy_names_the_client(tmp_path: Path) -> None:
    """Wrong keys count against the address that a trusted proxy names, else against the caller's own."""
    statuses: dict[str, list[int]] = {}
    for trusted in ("127.0.0.1", "192.0.2.1"):
        variables = {
            "WIDTHWISE_REQUIRE_KEYS": "true",
            "WIDTHWISE_FAILED_KEYS_PER_MINUTE": "1",
            "WIDTHWISE_TRUSTED_PROXIES": trusted,
        }
        with serving(tmp_path, **variables) as (url, _):
            statuses[trusted] = [
                httpx.get(
                    f"{url}/v1/exponents",
                    headers={"Authorization": "Bearer wrong", "X-Forwarded-For": client},
                    trust_env=False,
                ).status_code
                for client in ("198.51.100.1", "198.51.100.2", "198.51.100.1")
            ]
    assert statuses == {"127.0.0.1": [401, 401, 429], "192.0.2.1": [401, 429, 429]}


def test_keys_need_a_pepper_that_every_process_of_a_shared_database_has(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIDTHWISE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("WIDTHWISE_REQUIRE_KEYS", "true")
    ran = run("serve", "--port", 0, "--data-dir", tmp_path, "--workers", 0)
    assert (ran.code, ran.out) == (1, "")
    assert "openssl rand -hex 32" in ran.err
    assert "WIDTHWISE_PEPPER_FILE" in ran.err


def test_a_new_data_directory_is_its_users_alone(run: Run, tmp_path: Path) -> None:
    """Keys have owners, but whoever reads the database's file reads everyone's rows."""
    run("migrate", "--data-dir", tmp_path / "migrated")
    with serving(tmp_path / "served"):
        for name in ("migrated", "served"):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o700, name


def test_settings_that_are_wrong(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("", encoding="utf-8")
    ran = run("serve", "--data-dir", occupied / "data", "--workers", 0)
    assert ran.code == 1
    assert "can't be created" in ran.err
    assert run("serve", "--port", 70_000).code == 2
    monkeypatch.setenv("WIDTHWISE_PROT", "8000")
    ran = run("serve", "--data-dir", tmp_path, "--workers", 0)
    assert ran.code == 1
    assert "WIDTHWISE_PROT" in ran.err


def test_migrate(run: Run, tmp_path: Path) -> None:
    missing = run("migrate", "--check", "--data-dir", tmp_path)
    assert missing.code == 1
    assert "no database" in missing.err
    assert list(tmp_path.iterdir()) == []  # a check changes nothing
    assert (
        run("migrate", "--data-dir", tmp_path).out == f"The database went from empty to revision {head_revision()}.\n"
    )
    for arguments in ((), ("--check",)):
        again = run("migrate", "--data-dir", tmp_path, *arguments)
        assert (again.code, again.out) == (0, f"The database is at revision {head_revision()}.\n")


def test_a_worker_refuses_a_database_that_was_not_migrated(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "widthwise.cli", "work", "--data-dir", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, env=CLEAN, check=False)
    assert ran.returncode == 1
    assert "widthwise migrate" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []  # it makes no empty database either


@pytest.mark.parametrize("command", [("migrate",), ("serve", "--port", 0, "--workers", 0), ("keys", "list")])
def test_a_database_of_a_newer_version_is_refused_in_words(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    run("migrate", "--data-dir", tmp_path)
    with sqlite3.connect(tmp_path / "widthwise.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    ran = run(*command, "--data-dir", tmp_path)
    assert ran.code == 1
    assert "'9999', which this version of widthwise does not know" in ran.err


@pytest.mark.parametrize(
    "command",
    [("keys", "list"), ("keys", "revoke", "0" * 16), ("migrate", "--restored"), ("migrate", "--check")],
)
def test_a_mistyped_data_directory_stays_empty(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Only `serve`, `migrate` and `keys create` make a database."""
    ran = run(*command, "--data-dir", tmp_path / "tpyo")
    assert ran.code == 1
    assert "no database" in ran.err
    assert not (tmp_path / "tpyo").exists()
