"""docs/operations.md: every command in it runs, or each of its words exists; so does whatever else it names."""

import re
import shlex
import subprocess

import pytest
from typer.testing import CliRunner

from service.settings import CLIENT_VARIABLES, FILE_SUFFIX, PREFIX, SECRETS, Settings
from tests.deploy.composition import ROOT, read
from tests.deploy.engine import Engine
from tests.deploy.operations import TEXT, blocks
from tests.deploy.test_compose import GIVEN
from widthwise.cli.app import app
from widthwise.client import Client

#: Subcommands of `docker compose` and the options of each that are used, with the number of words that follow.
COMPOSE = {
    "cp": {},
    "up": {"--build": 0, "--detach": 0, "--scale": 1},
    "ps": {},
    "build": {},
    "stop": {"--timeout": 1},
    "run": {"--rm": 0},
    "exec": {"-T": 0},
    "logs": {"--no-log-prefix": 0, "--follow": 0, "--since": 1},
}
#: Run as they stand by test_backup.py.
RUN_THERE = [
    line for part in ("Postgres", "SQLite") for verb in ("Back up", "Restore") for line in blocks(f"{verb} {part}")
]
LINES = [line for line in blocks() if line not in RUN_THERE]


@pytest.mark.parametrize("line", LINES)
def test_its_words_exist(line: str) -> None:
    words = shlex.split(re.split(r" [|>] ", line)[0])
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        _exists(words.pop(0))
    match words:
        case ["docker", "compose", *rest]:
            _compose(rest)
        case ["widthwise", *rest]:
            _widthwise(rest)
        case ["make", target]:
            assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        case ["export", assignment]:
            _exists(assignment)
        case other:
            pytest.fail(f"nothing here knows {other}")


def _compose(words: list[str]) -> None:
    """Check a line of `docker compose`: files, profiles, options and services."""
    services: set[str] = set()
    files = []
    while words[0].startswith("--"):
        option, value = words.pop(0), words.pop(0)
        if option == "--file":
            files.append(value)
        else:
            assert (option, value) == ("--profile", "gpu")
    for name in files or ["docker-compose.yml"]:
        services |= read(name, GIVEN).services.keys()
    subcommand = words.pop(0)
    known = COMPOSE[subcommand]
    while words and words[0].startswith("-"):
        option = words.pop(0)
        for _ in range(known[option]):
            value = words.pop(0)
            assert option != "--scale" or value.split("=")[0] in services
    if subcommand == "cp":
        service, _, path = words[0].partition(":")
        assert (service, path.split("/")[1]) == ("proxy", "data")
        return
    if subcommand not in ("run", "exec"):
        assert set(words) <= services
        return
    assert words[0] in services
    if words[1:2] == ["widthwise"]:
        _widthwise(words[2:])
    elif subcommand == "run":
        _widthwise(words[1:] or ["migrate"])
    else:
        assert words[1] == "pg_dump"  # run by test_backup.py with the same options


def _widthwise(words: list[str]) -> None:
    command = [word for word in words if not word.startswith("-")]
    depth = 2 if command[0] in ("keys", "calibrate") else 1
    shown = CliRunner().invoke(app, [*command[:depth], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, words
    assert all(word in shown.output for word in words if word.startswith("--"))


def _exists(assignment: str) -> None:
    name = assignment.partition("=")[0]
    asked = "".join((ROOT / path).read_text(encoding="utf-8") for path in _compose_files())
    settings = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | CLIENT_VARIABLES | {"SSL_CERT_FILE"}
    assert name in settings or f"${{{name}:" in asked


def _compose_files() -> tuple[str, ...]:
    return ("docker-compose.yml", "deploy/worker-node.yml", "deploy/private-network.yml")


def test_the_table_of_settings_names_what_the_compose_files_pass_on() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE)
    asked = "".join((ROOT / path).read_text(encoding="utf-8") for path in _compose_files())
    assert len(table) >= 8
    assert [name for name in table if f"${{{name}:" not in asked] == []


def test_variables_files_and_links_exist() -> None:
    settings = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    settings |= {f"{PREFIX}{name.upper()}{FILE_SUFFIX}" for name in SECRETS}
    asked = "".join((ROOT / path).read_text(encoding="utf-8") for path in _compose_files())
    for name in set(re.findall(r"\bWIDTHWISE_[A-Z_]+\b", TEXT)):
        assert name in settings | CLIENT_VARIABLES or f"${{{name}:" in asked, name
    for target in re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
    for path in re.findall(r"`((?:tests|deploy|docs|benchmarks)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
    metrics = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    for metric in set(re.findall(r"\bwidthwise_[a-z_]+", TEXT)):
        assert metric.removesuffix("_sum") in metrics, metric


@pytest.mark.timeout(200)
def test_the_first_steps_run_as_they_stand(engine: Engine) -> None:
    """The lines under "Start", after Compose has started the services."""
    engine.start("postgres")
    assert engine.run("migrate").returncode == 0
    engine.start("api")
    url = f"http://127.0.0.1:{engine.ports['api']}"
    key, ran = "", 0
    for line in blocks("Start"):
        words = shlex.split(line)
        if words[:2] == ["docker", "compose"] and words[2] == "exec":
            answer = engine.run(words[3], *words[4:])
            assert answer.returncode == 0, (line, answer.stderr)
            key, ran = key or answer.stdout.strip(), ran + 1
        elif words[0] == "widthwise":
            environment = {"WIDTHWISE_API_KEY": key, "WIDTHWISE_URL": url, "PATH": engine.path()}
            answer = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
            assert answer.returncode == 0, (line, answer.stderr)
            ran += 1
    assert ran == 4
    with Client(url, api_key=key) as client:
        assert client.workers() == []
