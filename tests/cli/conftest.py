"""The command in this process, and a service on a real socket for it to ask."""

import io
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from service.settings import Settings, load_settings
from service.store import open_store
from testbed.databases import SqliteFiles
from tests.cli.bowl import bowl_loss, spec, trials
from tests.served import served
from widthwise.cli import main
from widthwise.client import Client


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line: `run("transfer", "-p", "mup", stdin="{}")`, a word for each argument."""
    for name in ("WIDTHWISE_URL", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: object, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, out, err)

    return run_command


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of a pipe, whatever runs the tests."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def settings(sqlite_files: SqliteFiles) -> Settings:
    """Settings of the test's own service: an empty database, no workers, no log among what the commands print."""
    return load_settings(database_url=sqlite_files.new_migrated(), workers=0, log_requests=False)


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """Address of a service on a free port, each test's own, since whoever asks it leaves work in its queue (0.2 s)."""
    with served(settings) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A client of that service."""
    with Client(url) as client:
        yield client


@pytest.fixture
def worker(settings: Settings) -> Iterator[None]:
    """A worker that trains nothing: it reports the losses of the bowl for every shard there is."""
    store = open_store(settings.database_url)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            claim = store.work.claim("bowl")
            if claim is None:
                continue
            store.work.record_environment(claim, {"device": "cpu", "code_sha256": "a" * 64})
            for width, rate, seed, role, gamma, horizon in sorted(claim.shard.trials(), key=str):
                loss = bowl_loss(width, rate * gamma, seed, drift=0.25)
                trial = {"width": width, "learning_rate": rate, "seed": seed, "loss": loss, "status": "completed"}
                store.work.record_trial(claim, {**trial, "role": role, "gamma": gamma, "horizon": horizon})
            store.work.finish(claim)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
    store.close()


@pytest.fixture
def unused_url() -> str:
    """An address on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def finish(client: Client) -> Callable[..., str]:
    """Make calibrations that have succeeded, from trials made elsewhere; each call gives an id."""

    def finished(drift: float = 0.25, **changes: object) -> str:
        widths = (64, 128, 256)
        made = spec(widths=list(widths), runner="external", **changes)
        identifier = client.submit_calibration(made)["id"]
        path = f"{client.url}/v1/calibrations/{identifier}"
        httpx.post(f"{path}/trials", json={"trials": trials(widths, drift)}, trust_env=False).raise_for_status()
        httpx.post(f"{path}/finish", trust_env=False).raise_for_status()
        return identifier

    return finished
