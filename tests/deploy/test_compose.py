"""docker-compose.yml and the Dockerfile name only commands, settings, files and routes that exist."""

import json
import re
from pathlib import Path

import yaml
from typer.testing import CliRunner

from service.health.routes import router
from service.settings import Settings
from widthwise.cli import local_service
from widthwise.cli.app import app
from widthwise.cli.serve import GRACEFUL_SECONDS
from workers import pool

ROOT = Path(__file__).parents[2]
SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["widthwise"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_command_and_its_options_exist() -> None:
    name, *arguments = SERVICE["command"]
    options = [argument for argument in arguments if argument.startswith("--")]
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
    assert options == ["--host", "--port", "--data-dir"]
    assert all(option in shown for option in options)
    assert SERVICE["command"] == json.loads(DOCKERFILE.splitlines()[-1].removeprefix("CMD "))


def test_every_setting_exists_and_is_valid() -> None:
    prefix = "WIDTHWISE_"
    environment = {name.removeprefix(prefix).lower(): value for name, value in SERVICE["environment"].items()}
    settings = Settings.model_validate({"host": SERVICE["command"][2], **environment})
    assert not settings.loopback


def test_unauthenticated_ports_stay_on_this_machine() -> None:
    assert SERVICE["environment"]["WIDTHWISE_ALLOW_UNAUTHENTICATED"] == "true"
    assert all(port.startswith("127.0.0.1:") for port in SERVICE["ports"])


def test_the_health_check_asks_a_route_that_exists() -> None:
    (path,) = re.findall(r"127\.0\.0\.1:8000(/\w+)'", SERVICE["healthcheck"]["test"][-1])
    assert path in {route.path for route in router.routes}


def test_a_stop_has_time_to_finish() -> None:
    """First open requests end, then the workers give their shards back: neither is cut short by a SIGKILL."""
    needed = GRACEFUL_SECONDS + pool.STOP_SECONDS
    (grace,) = re.findall(r"^(\d+)s$", SERVICE["stop_grace_period"])
    assert int(grace) > needed
    assert needed < local_service.STOP_SECONDS


def test_copied_files_exist_and_the_data_directory_is_the_volume() -> None:
    copied = [path for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.M) for path in line.split()[:-1]]
    assert len(copied) >= 7
    assert all((ROOT / path).exists() for path in copied)
    (volume,) = SERVICE["volumes"]
    assert volume.split(":")[1] == SERVICE["command"][-1] == re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.M)[0]
