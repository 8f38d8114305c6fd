"""Every command of docker-compose.yml runs as it stands: from an empty volume to a measured calibration and back."""

import time

import pytest

from testbed.brokers import installed_brokers
from testbed.waiting import until
from tests.deploy.engine import Engine, can_confine, processes_that_show
from widthwise.client import Client, ServiceError

SPEC = {
    "parameterization": "standard",
    "optimizer": "adam",
    "widths": [8, 16],
    "learning_rates": [0.01, 0.1, 1.0],
    "seeds": 1,
    "steps": 5,
    "search": "grid",
    "proxy": {"architecture": "mlp", "depth": 1, "batch_size": 8},
}
LONG = {**SPEC, "widths": [64, 128], "steps": 100_000}


@pytest.mark.timeout(400)  # it starts six services, some twice, and JAX in two of them
def test_from_an_empty_volume_to_a_calibration_and_back(engine: Engine) -> None:
    for name in ("postgres", "redis"):
        engine.start(name)
    migrated = engine.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert "went from empty to" in migrated.stdout
    assert engine.run("migrate").returncode == 0  # once more, as each `up` does
    engine.start("api")
    url = f"http://127.0.0.1:{engine.ports['api']}"
    with Client(url) as stranger, pytest.raises(ServiceError, match="key"):
        stranger.submit_calibration(SPEC)

    made = engine.run("api", "widthwise", "keys", "create", "--owner", "alice", "--scope", "calibrate")
    assert made.returncode == 0, made.stderr
    with Client(url, api_key=made.stdout.strip()) as alice:
        submitted = alice.submit_calibration(SPEC)
        engine.start("worker")
        done = alice.wait(submitted["id"], timeout_seconds=150)
        assert done["state"] == "succeeded", (done["reason"], engine.log("worker"))
        assert len(list(alice.trials(submitted["id"]))) >= 6
        (worker,) = alice.workers()
        assert worker["state"] in ("idle", "running")

        for name in ("postgres_password", "redis_password", "pepper"):
            assert processes_that_show(engine.secret(name)) == []
            assert all(engine.secret(name) not in engine.log(service) for service in engine.processes)

        long = alice.submit_calibration(LONG)["id"]
        until(lambda: alice.calibration(long)["state"] == "running")
        stopped_at = time.monotonic()
        assert engine.stop("worker") == 0
        assert time.monotonic() - stopped_at < engine.composition.grace_seconds("worker")
        assert {shard["state"] for shard in alice.shards(long)} == {"queued"}  # given back, not left to its lease
        assert engine.check("worker").returncode == 1  # nobody reports any more

        for name in ("api", "redis", "postgres"):
            assert engine.stop(name) == 0, engine.log(name)
        for name in ("postgres", "redis", "api"):
            engine.start(name)
        assert alice.calibration(submitted["id"])["state"] == "succeeded"  # the volume and the key outlive a restart
        assert alice.cancel(long)["state"] == "cancelled"


def test_the_api_is_unhealthy_without_its_database_and_well_again_with_it(engine: Engine) -> None:
    engine.start("postgres")
    assert engine.run("migrate").returncode == 0
    engine.start("api")  # no Redis: the API answers without it
    assert engine.stop("postgres") == 0
    until(lambda: engine.check("api").returncode == 1)
    engine.start("postgres")
    until(lambda: engine.check("api").returncode == 0)


@pytest.mark.parametrize("kind", sorted(installed_brokers()))
def test_the_broker_asks_for_its_password_and_keeps_what_it_was_told(engine: Engine, kind: str) -> None:
    import redis

    engine.use_broker(kind)
    engine.start("redis")
    port, password = engine.ports["redis"], engine.secret("redis_password")
    with redis.Redis(port=port, socket_timeout=5) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis(port=port, password=password, socket_timeout=5) as client:
        configured = {name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy")}
        assert configured == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
        client.lpush("widthwise", "message")
        assert processes_that_show(password) == []
        assert engine.stop("redis") == 0  # SIGTERM reaches the server: no shell stands between
        assert engine.check("redis").returncode != 0
        engine.start("redis")
        assert client.llen("widthwise") == 1


def test_the_database_asks_for_its_password(engine: Engine) -> None:
    import psycopg

    engine.start("postgres")
    address = {"host": "127.0.0.1", "port": engine.ports["postgres"], "user": "widthwise", "dbname": "widthwise"}
    for wrong in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(**address, password=wrong)
    with psycopg.connect(**address, password=engine.secret("postgres_password")) as connection:
        shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in ("data_checksums", "max_connections")}
        assert shown == {"data_checksums": ("on",), "max_connections": ("200",)}
    assert processes_that_show(engine.secret("postgres_password")) == []


def test_services_run_without_rights(engine: Engine) -> None:
    """Guards the tests above: as root they run as another user, without capabilities, on a read-only file system."""
    look = (
        "import os, re; status = open('/proc/self/status').read();"
        "print(os.getuid(), re.findall(r'Cap(?:Eff|Bnd):\\s+0*([^0\\s]?)', status))"
    )
    ran = engine.run("api", "python", "-c", look)
    assert ran.returncode == 0, ran.stderr
    if can_confine():
        assert ran.stdout == "10001 ['', '']\n"
        wrote = engine.run("api", "python", "-c", f"open({str(engine.folder / 'x')!r}, 'w')")
        assert "Read-only file system" in wrote.stderr
    jax = engine.run("api", "python", "-c", "import jax")
    assert "ModuleNotFoundError" in jax.stderr  # the service's image has none
