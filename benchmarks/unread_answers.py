"""What clients that never read their answers can hold: memory of the service and of the kernel, and for how long.

    python -m benchmarks.unread_answers [--large 16] [--tensors 100000] [--connections 800] [--seconds 45] [--dry]

One API process as `widthwise serve` starts it, which asks for keys. First a key with scope `read` sends transfers of
100,000 tensors and reads none of their answers. Then many connections send small requests one behind another for as
long as the service takes them, and read none of the answers. Meanwhile an honest client asks for /livez. The kernel's
memory is that of all TCP sockets of this machine; the clients' own buffers are small.
"""

import argparse
import json
import os
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.service_process import HOST, PACKAGES, Server, serving
from benchmarks.service_transfers import SMALL, keyed_settings

SAMPLE_SECONDS = 0.5
MEBIBYTE = 1 << 20


def resident(pid: int) -> int:
    """Bytes of memory that a process and its children hold (Linux)."""
    children = [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) * 1024 + sum(resident(int(child)) for child in children)


def kernel() -> int:
    """Bytes of memory that the kernel holds for TCP sockets (Linux)."""
    found = re.findall(r"TCP:.* mem (\d+)", Path("/proc/net/sockstat").read_text())
    return int(found[0]) * os.sysconf("SC_PAGE_SIZE")


class Watched:
    """The most memory and the slowest answer to an honest client, in a thread; a context manager."""

    def __init__(self, server: Server) -> None:
        self._server, self._done = server, threading.Event()
        self._before = (resident(server.pid), kernel())
        self.most = self.last = self._before
        self.slowest = 0.0
        self.died = False

    def __enter__(self) -> "Watched":
        self._threads = [threading.Thread(target=each) for each in (self._watch, self._visit)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            with suppress(OSError):  # a child that has just ended
                self.last = (resident(self._server.pid), kernel())
                self.most = (max(self.most[0], self.last[0]), max(self.most[1], self.last[1]))

    def _visit(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            try:
                self._ask()
            except OSError:
                self.died = True

    def _ask(self) -> None:
        start = time.perf_counter()
        with socket.create_connection((HOST, self._server.port), timeout=60) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            while connection.recv(65536):
                pass
        self.slowest = max(self.slowest, time.perf_counter() - start)

    def told(self) -> dict[str, float]:
        """Growth in MB, at most and at the end, and the slowest answer in seconds."""
        grown: dict[str, float] = {}
        for place, name in enumerate(("resident", "kernel")):
            grown[f"most_{name}_mb"] = (self.most[place] - self._before[place]) / 1e6
            grown[f"left_{name}_mb"] = (self.last[place] - self._before[place]) / 1e6
        return {**grown, "slowest_livez_seconds": self.slowest, "died": float(self.died)}


@contextmanager
def keyed_server() -> Iterator[tuple[Server, str]]:
    """A server that asks for keys, and the header that carries one."""
    with keyed_settings() as (settings, headers), serving("service", **settings) as server:
        yield server, "\r\n".join(f"{name}: {value}" for name, value in headers.items())


def large_request(tensors: int, header: str) -> bytes:
    """A transfer of so many tensors."""
    listed = [
        {"name": f"t{n}", "role": "hidden", "base_shape": [64, 64], "target_shape": [128, 128]} for n in range(tensors)
    ]
    body = json.dumps({**SMALL, "tensors": listed}, separators=(",", ":")).encode()
    lines = ("POST /v1/transfers HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", header)
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def unread_large(server: Server, header: str, options: argparse.Namespace) -> dict[str, Any]:
    """Send large transfers and read nothing but the beginnings of their answers."""
    request = large_request(options.tensors, header)
    statuses: dict[str, int] = {}
    with ExitStack() as stack, Watched(server) as watched:
        connections: list[list[Any]] = []
        for _ in range(options.large):
            one = socket.create_connection((HOST, server.port))
            stack.callback(one.close)
            one.setblocking(False)
            connections.append([one, request, b""])
        end = time.monotonic() + options.seconds
        for each in connections:  # one after another: large bodies at once would be refused
            while time.monotonic() < end and not each[2]:
                one, rest, _ = each
                try:
                    if rest:
                        each[1] = rest[one.send(rest[: 1 << 18]) :]
                    else:
                        each[2] = one.recv(64)
                except BlockingIOError:
                    time.sleep(0.01)
        time.sleep(max(0.0, end - time.monotonic()))
        for _, _, found in connections:
            status = found[9:12].decode() or "none"
            statuses[status] = statuses.get(status, 0) + 1
    return {"bytes": len(request), "statuses": statuses, **watched.told()}


def pipelined(server: Server, header: str, options: argparse.Namespace) -> dict[str, Any]:
    """Send small requests on many connections for as long as they are taken, and read nothing."""
    one = b"GET /v1/parameterizations HTTP/1.1\r\nHost: 127.0.0.1\r\n" + header.encode() + b"\r\n\r\n"
    block = one * (65536 // len(one))
    sent = closed = 0
    with ExitStack() as stack, selectors.DefaultSelector() as ready, Watched(server) as watched:
        for _ in range(options.connections):
            connection = stack.enter_context(socket.socket())
            for direction in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                connection.setsockopt(socket.SOL_SOCKET, direction, 4096)  # what the kernel holds is the service's
            connection.connect((HOST, server.port))
            connection.setblocking(False)
            ready.register(connection, selectors.EVENT_WRITE)
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            for key, _ in ready.select(0.5):
                assert isinstance(key.fileobj, socket.socket)
                try:
                    sent += key.fileobj.send(block)
                except BlockingIOError:
                    continue
                except OSError:
                    closed += 1
                    ready.unregister(key.fileobj)
            time.sleep(0.001)
    return {"sent_mb": sent / 1e6, "cut": closed, **watched.told()}


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--large", type=int, default=16)
    parser.add_argument("--tensors", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=800)
    parser.add_argument("--seconds", type=float, default=45.0)
    options = parser.parse_args()
    with keyed_server() as (server, header):
        large = unread_large(server, header, options)
    print(json.dumps(large, indent=2), flush=True)
    with keyed_server() as (server, header):
        small = pipelined(server, header, options)
    print(json.dumps(small, indent=2), flush=True)
    lines = [
        f"One API process with its default limits, for {options.seconds:g} s each; megabytes beyond what it held "
        "before. Clients read nothing.",
        "",
        "| | process, most | at the end | kernel, most | at the end | slowest /livez of another client, s |",
        "|---|---|---|---|---|---|",
        f"| {options.large} transfers of {options.tensors:,} tensors, one after another | {_row(large)} |",
        f"| {options.connections} connections with requests behind one another | {_row(small)} |",
        "",
        f"Of the large ones, {large['statuses'].get('200', 0)} were answered and {large['statuses'].get('503', 0)} "
        f"refused with 503. Of the {options.connections} connections, {small['cut']} were closed; "
        f"{small['sent_mb']:.0f} MB of requests were taken.",
    ]
    data = {"large": large, "pipelined": small}
    title = "Answers that nobody reads"
    record.write_result("unread_answers", title, lines, data, options, packages=PACKAGES)


def _row(found: dict[str, Any]) -> str:
    memory = [f"{found[f'{when}_{what}_mb']:.0f}" for what in ("resident", "kernel") for when in ("most", "left")]
    return " | ".join([*memory, f"{found['slowest_livez_seconds']:.1f}"])


if __name__ == "__main__":
    main()
