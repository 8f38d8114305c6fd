"""The Compose files: what the specification allows, what hardens every service, and names that exist in the code."""

import asyncio
import re
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.commands.serve import GRACEFUL_SECONDS
from service.health.routes import router
from service.settings import FILE_SUFFIX, PREFIX, SECRETS, load_settings
from service.store.database.engine import POOL_OVERFLOW, POOL_SIZE
from testbed.brokers import installed_brokers
from testbed.proxy import CADDYFILE, caddy_program
from tests.deploy.composition import COMPOSE_FILES, ROOT, Composition, read, replaced
from tests.deploy.engine import postgres_programs
from widthwise.cli.app import app
from workers import pool
from workers.supervisor import EXTENSIONS_PER_LEASE

GIVEN = {
    "WIDTHWISE_DATABASE_URL": "postgresql://widthwise@10.0.0.5:5432/widthwise",
    "WIDTHWISE_REDIS_URL": "redis://10.0.0.5:6379/0",
    "WIDTHWISE_PRIVATE_ADDRESS": "10.0.0.5",
}
BOTH = [read(name, GIVEN) for name in COMPOSE_FILES]
MAIN = read()
EVERY_SERVICE = [
    pytest.param(composition, name, id=f"{path}:{name}")
    for path, composition in zip(COMPOSE_FILES, BOTH, strict=True)
    for name in composition.services
]
OUR_SERVICES = [
    parameters for parameters in EVERY_SERVICE if "build" in parameters.values[0].services[parameters.values[1]]
]


@pytest.mark.parametrize("name", [*COMPOSE_FILES, "deploy/private-network.yml"])
def test_the_specifications_schema_accepts_it(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", ROOT / name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_schema_is_held_to(tmp_path: Path) -> None:
    """Guards the test above: a misspelt key is found."""
    wrong = tmp_path / "compose.yml"
    wrong.write_text((ROOT / "docker-compose.yml").read_text().replace("stop_grace_period:", "stop_grace:"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", wrong]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "stop_grace" in ran.stdout


def test_the_services() -> None:
    assert set(MAIN.services) == {"proxy", "api", "worker", "gpu-worker", "migrate", "postgres", "redis"}
    assert MAIN.services["gpu-worker"]["profiles"] == ["gpu"]
    assert [name for name, service in MAIN.services.items() if "profiles" in service] == ["gpu-worker"]


@pytest.mark.parametrize(("composition", "name"), EVERY_SERVICE)
def test_every_service_is_hardened(composition: Composition, name: str) -> None:
    service = composition.services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # the image's program does not start without it
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert "privileged" not in service
    # ours is in the image (test_dockerfile.py), the others' in this file
    assert name in (*composition.ours(), "proxy") or service["user"] not in ("root", "0")
    assert service["tmpfs"]
    assert all("size=" in mount for mount in service["tmpfs"])  # memory is bounded
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()


@pytest.mark.parametrize(("composition", "name"), EVERY_SERVICE)
def test_every_lasting_service_is_watched_restarted_and_stopped_in_time(composition: Composition, name: str) -> None:
    service = composition.services[name]
    if name == "migrate":
        assert service["restart"].startswith("on-failure")
        return
    assert service["restart"] == "unless-stopped"
    assert {"test", "interval", "timeout", "retries", "start_period"} == service["healthcheck"].keys()
    assert composition.grace_seconds(name) >= 10


def test_the_periods_of_grace_are_the_codes() -> None:
    """First open requests end, then the workers give their shards back: neither is cut short by a SIGKILL."""
    assert MAIN.grace_seconds("api") > GRACEFUL_SECONDS + pool.STOP_SECONDS
    for composition in BOTH:
        for name in ("worker", "gpu-worker"):
            assert composition.grace_seconds(name) > 2 * pool.STOP_SECONDS
    # a killed worker's shard waits for its lease: no restart is quicker, so none may be needed
    assert MAIN.grace_seconds("worker") < 60 / EXTENSIONS_PER_LEASE * 6


def test_the_database_is_brought_up_to_date_before_anything_uses_it() -> None:
    assert MAIN.command("migrate") == ["widthwise", "migrate"]
    assert MAIN.services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("api", "worker", "gpu-worker"):
        needs = MAIN.services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["redis"]["condition"] == "service_started"  # nothing waits for the broker to be well


def test_only_the_proxy_is_published_and_only_on_this_machine() -> None:
    assert [name for name, service in MAIN.services.items() if "ports" in service] == ["proxy"]
    assert MAIN.services["proxy"]["ports"] == ["127.0.0.1:443:443", "127.0.0.1:80:80"]
    assert MAIN.networks["inner"] == {"internal": True}
    outside = [name for name, service in MAIN.services.items() if service["networks"] != ["inner"]]
    assert outside == ["proxy", "api"]
    private = read("deploy/private-network.yml", GIVEN)
    assert private.services.keys() == {"postgres", "redis"}
    for service in private.services.values():
        assert service["ports"][0].startswith("10.0.0.5:")
    with pytest.raises(AssertionError, match="only your own machines"):
        read("deploy/private-network.yml")


@pytest.mark.parametrize(("composition", "name"), OUR_SERVICES)
def test_every_setting_exists_and_is_valid(
    composition: Composition, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for secret in composition.secrets:
        (tmp_path / secret).write_text("0123456789abcdef" * 4, encoding="utf-8")
    for variable, value in composition.environment(name).items():
        monkeypatch.setenv(variable, replaced(value, {"/run/secrets/": f"{tmp_path}/"}))
    host = "0.0.0.0" if name == "api" else None  # noqa: S104  what its command says
    settings = load_settings(host=host)
    assert settings.database_url.startswith("postgresql+psycopg://widthwise:0123456789abcdef")
    assert settings.redis_url is not None
    assert settings.redis_url.startswith("redis://:0123456789abcdef")
    assert settings.log_format == "json"
    assert settings.asks_for_keys == (name == "api")
    assert (settings.pepper is not None) == (name == "api")


@pytest.mark.parametrize("composition", BOTH, ids=COMPOSE_FILES)
def test_every_secret_is_used_and_every_file_of_one_is_given(composition: Composition) -> None:
    assert set(composition.secrets) == {
        secret for s in composition.services.values() for secret in s.get("secrets", ())
    }
    for secret, source in composition.secrets.items():
        assert (composition.folder / source["file"]).resolve() == ROOT / "secrets" / secret
    for name, service in composition.services.items():
        named = {
            path.removeprefix("/run/secrets/")
            for text in (*composition.environment(name).values(), *composition.command(name))
            for path in re.findall(r"/run/secrets/\w+", text)
        }
        assert named == set(service.get("secrets", ()))
    pepper = [name for name, service in MAIN.services.items() if "pepper" in service.get("secrets", ())]
    assert pepper == ["api"]


@pytest.mark.parametrize("name", [*COMPOSE_FILES, "deploy/private-network.yml"])
def test_no_secret_is_in_it(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"://[^@\s]*:[^@\s]*@", text) == []  # a URL with a password
    files = {f"{PREFIX}{secret.upper()}{FILE_SUFFIX}" for secret in SECRETS} | {"POSTGRES_PASSWORD_FILE"}
    named = set(re.findall(r"\b(\w*(?:PASSWORD|PEPPER)\w*): ", text))
    assert named <= files
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/secrets/" in ignored


@pytest.mark.parametrize(("composition", "name"), OUR_SERVICES)
def test_the_command_and_its_options_exist(composition: Composition, name: str) -> None:
    for command in [composition.command(name)] + (
        [] if name in ("api", "migrate") else [composition.health_command(name)]
    ):
        program, subcommand, *arguments = command
        assert program == "widthwise"
        shown = CliRunner().invoke(app, [subcommand, "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0
        assert all(argument in shown.output for argument in arguments if argument.startswith("--"))


def test_the_health_check_asks_a_route_that_exists_and_needs_no_key() -> None:
    (path,) = re.findall(r'"GET", "(/\w+)"', MAIN.health_command("api")[-1])
    assert path in {route.path for route in router.routes}


def test_the_brokers_password_is_read_as_configuration() -> None:
    """On its command line it would show for a moment only: the server hides its arguments once it runs."""
    script = MAIN.command("redis")[-1]
    before, _, configuration = script.partition("<<CONFIGURATION\n")
    assert "requirepass" not in before
    assert configuration == "requirepass $(cat /run/secrets/redis_password)\nCONFIGURATION\n"


def test_the_api_believes_the_proxy_alone() -> None:
    """Who reaches the API over another network, such as a worker, can't choose the address that it counts."""
    (subnet,) = [config["subnet"] for config in MAIN.networks["edge"]["ipam"]["config"]]
    assert MAIN.environment("api")["WIDTHWISE_TRUSTED_PROXIES"] == subnet
    assert MAIN.services["proxy"]["networks"] == ["edge"]
    assert [name for name, service in MAIN.services.items() if "edge" in service["networks"]] == ["proxy", "api"]
    private = read("deploy/private-network.yml", GIVEN)
    assert all("edge" not in service["networks"] for service in private.services.values())
    hosts = [str(host) for host in ip_network(subnet).hosts()]
    assert [client_seen(peer, subnet) for peer in hosts] == ["198.51.100.1"] * len(hosts)
    assert client_seen("172.18.0.5", subnet) == "172.18.0.5"


def client_seen(peer: str, trusted: str) -> str:
    """The address that an application takes for a request's client, whose header claims 198.51.100.1."""
    seen: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["client"][0])

    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    scope: Any = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": headers}
    middleware: Any = ProxyHeadersMiddleware(application, trusted)
    asyncio.run(middleware(scope, None, None))
    return str(seen[0])


def test_the_proxy_runs_the_repositorys_caddyfile_in_front_of_the_api() -> None:
    """What that file does is tried in tests/proxy."""
    proxy = MAIN.services["proxy"]
    source, target, mode = proxy["volumes"][0].split(":")
    assert (ROOT / source).resolve() == CADDYFILE
    assert (target, mode) == (MAIN.command("proxy")[3], "ro")
    text = CADDYFILE.read_text(encoding="utf-8")
    defaults = dict(re.findall(r"\{\$(\w+):([^}]+)\}", text))
    assert defaults["PROXY_UPSTREAM"] == f"api:{MAIN.command('api')[5]}"
    assert {port.split(":")[2] for port in proxy["ports"]} == {
        defaults["PROXY_HTTP_PORT"],
        defaults["PROXY_HTTPS_PORT"],
    }
    assert f"127.0.0.1:{defaults['PROXY_HEALTH_PORT']}/" in MAIN.health_command("proxy")[-1]
    assert set(MAIN.environment("proxy")) == {name for name in defaults if name.startswith("WIDTHWISE_")}


def test_the_gpus_are_reserved() -> None:
    for composition in BOTH:
        (device,) = composition.services["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
        assert composition.services["gpu-worker"]["build"]["target"] == "gpu-worker"


def test_postgres_has_room_for_the_connections_of_its_users() -> None:
    words = MAIN.command("postgres")
    options = dict(word.split("=", 1) for word in words if "=" in word)
    assert int(options["max_connections"]) >= 3 * (POOL_SIZE + POOL_OVERFLOW)
    assert not {"fsync", "synchronous_commit", "full_page_writes"} & options.keys()  # nothing is lost on a power cut


@pytest.mark.parametrize("composition", BOTH, ids=COMPOSE_FILES)
def test_volumes_are_declared_and_where_the_code_writes(composition: Composition) -> None:
    used = {volume.split(":")[0] for s in composition.services.values() for volume in s.get("volumes", [])}
    used.discard("./deploy/caddy/Caddyfile")
    assert used == set(composition.volumes)
    for name in composition.ours():
        service = composition.services[name]
        writable = {mount.split(":")[1] for mount in service.get("volumes", [])}
        writable |= {mount.split(":")[0] for mount in service["tmpfs"]}
        assert composition.environment(name)["WIDTHWISE_DATA_DIR"] in writable


def test_images_are_pinned() -> None:
    for name, service in MAIN.services.items():
        if name in MAIN.ours():
            assert service["pull_policy"] == "never"  # a registry's image of that name would be another's
        else:
            assert re.search(r":\d+\.\d+(-\w+)?$", service["image"])
    # the servers that these tests run
    servers = (
        ("proxy", [caddy_program(), "version"]),
        ("postgres", [postgres_programs() / "postgres", "--version"]),
        ("redis", [installed_brokers()["valkey"], "--version"]),
    )
    for name, command in servers:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        pinned = MAIN.services[name]["image"].split(":")[1].split("-")[0]
        assert re.search(rf"(v=?|\) ){re.escape(pinned)}\b", said)


def test_postgres_keeps_its_data_in_the_volume() -> None:
    (volume,) = MAIN.services["postgres"]["volumes"]
    place = Path(volume.split(":")[1])
    assert place in Path(MAIN.environment("postgres")["PGDATA"]).parents


def test_both_files_run_workers_alike() -> None:
    here, node = (composition.services for composition in BOTH)
    for name in ("worker", "gpu-worker"):
        other = node[name] | {"depends_on": 0, "networks": 0}
        assert other.keys() == here[name].keys()
        same = here[name].keys() - {"environment", "build", "depends_on", "networks", "deploy"}
        assert {key: other[key] for key in same} == {key: here[name][key] for key in same}
        assert other["environment"].keys() == here[name]["environment"].keys()
