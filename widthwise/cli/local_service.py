"""A real `widthwise serve` in a separate process, for as long as a block runs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from widthwise.client import Client
from widthwise.errors import ServiceError

START_SECONDS = 60.0  # chosen: it takes 3 s on a slow machine, and the first time Python also compiles everything
STOP_SECONDS = 15.0  # chosen: above GRACEFUL_SECONDS of `serve` plus STOP_SECONDS of its workers; then it is killed
LAST_LINES = 5  # of its log, shown if it does not start

_ADDRESS = re.compile(r"serves at (http://\S+)")
#: Would point it to another database or broker, or expose it beyond this machine, where a key is needed.
_NOT_PASSED_ON = (
    *("WIDTHWISE_DATABASE_URL", "WIDTHWISE_DATABASE_URL_FILE", "WIDTHWISE_REDIS_URL", "WIDTHWISE_REDIS_URL_FILE"),
    *("WIDTHWISE_HOST", "WIDTHWISE_URL", "WIDTHWISE_REQUIRE_KEYS"),
)


@contextmanager
def local_service(data_dir: Path, *, workers: int) -> Iterator[Client]:
    """Start a service on a free port and yield a client for it; stop it at the end, however the block ends.

    Its output goes to `demo.log` in the data directory. Raises ServiceError if it does not start.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = data_dir / "demo.log"
    command = [sys.executable, "-m", "widthwise.cli", "serve", "--port", "0", "--workers", str(workers)]
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own command; no shell is involved
            [*command, "--data-dir", str(data_dir.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # we handle Ctrl-C first and then stop the service properly
        )
    try:
        with Client(_wait_for_address(process, log)) as client, _ended_by_sigterm():
            yield client
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        if process.poll() is None:
            process.kill()  # its workers see their stdin close, and end too
            process.wait()


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        text = log.read_text(encoding="utf-8", errors="replace")
        if found := _ADDRESS.search(text):
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    last = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
    raise ServiceError(f"the service did not start; its log {log} ends with:\n{last}")


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block like an exception, so that everything it started is stopped."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
