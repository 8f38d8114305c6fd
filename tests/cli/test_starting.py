"""`widthwise serve` while it starts: a signal ends it, and a port belongs to one process."""

import signal
import socket
import threading
from pathlib import Path

import pytest
import uvicorn

from service.app import create_app
from service.commands.serve import _listen, _own_signals, _server
from service.settings import Settings
from tests.cli.conftest import Run
from widthwise.errors import InvalidInputError

HOST = "127.0.0.1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_server_runs_ends_it(settings: Settings, number: signal.Signals) -> None:
    announced: list[str] = []
    config = uvicorn.Config(create_app(settings), log_config=None, ws="none", lifespan="on")
    server = _server(config, lambda: announced.append("serves"))
    late: list[int] = []

    def give_up() -> None:
        late.append(1)
        server.should_exit = True

    too_late = threading.Timer(10, give_up)
    with _listen(HOST, 0) as listener, _own_signals(server):
        signal.raise_signal(number)
        assert server.should_exit
        too_late.start()
        server.run(sockets=[listener])
    too_late.cancel()
    assert late == []
    assert server.started
    assert announced == []


def test_a_port_is_taken_as_soon_as_it_is_bound(run: Run, tmp_path: Path) -> None:
    with _listen(HOST, 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InvalidInputError, match=f"port {port} is in use"):
            _listen(HOST, port)
        ran = run("serve", "--port", port, "--data-dir", tmp_path, "--workers", 0)
    assert (ran.code, ran.out) == (1, "")
    assert f"port {port} is in use" in ran.err


def test_a_port_left_a_moment_ago_is_free() -> None:
    with _listen(HOST, 0) as first:
        port = first.getsockname()[1]
        with socket.create_connection((HOST, port)) as caller:
            first.accept()[0].close()  # our end closes first, so it waits in TIME_WAIT
            assert caller.recv(1) == b""
    _listen(HOST, port).close()
