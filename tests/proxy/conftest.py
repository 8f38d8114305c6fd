"""One API process as `widthwise serve` starts it, asking for keys, behind the real proxy."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from testbed.cluster import Cluster
from testbed.databases import SqliteFiles
from testbed.proxy import Proxy

#: The Caddyfile's own times are 20 s and more; these are long enough for a loaded machine.
SHORT = {
    "PROXY_HEADER_TIMEOUT": "1s",
    "PROXY_BODY_TIMEOUT": "3s",
    "PROXY_WRITE_TIMEOUT": "2s",
    "PROXY_IDLE_TIMEOUT": "2s",
}


@dataclass(frozen=True)
class Edge:
    """The proxy, the API behind it, and a key."""

    proxy: Proxy
    cluster: Cluster
    key: str

    def client(self, *, with_key: bool = True) -> httpx.Client:
        """Return a client that trusts the proxy's certificate."""
        headers = {"Authorization": f"Bearer {self.key}"} if with_key else {}
        return httpx.Client(
            base_url=self.proxy.url, verify=self.proxy.trust(), headers=headers, trust_env=False, timeout=60.0
        )


def folders(factory: pytest.TempPathFactory, name: str) -> Path:
    """A folder with one for the API and one for the proxy."""
    folder = factory.mktemp(name)
    for each in ("api", "proxy"):
        (folder / each).mkdir()
    return folder


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An API that asks for keys, behind a proxy whose times are short."""
    folder = folders(tmp_path_factory, "edge")
    with Cluster(folder / "api", SqliteFiles(folder).new_migrated()) as cluster:
        cluster.environment |= {
            "WIDTHWISE_REQUIRE_KEYS": "true",
            "WIDTHWISE_FAILED_KEYS_PER_MINUTE": "5",
            "WIDTHWISE_UNREAD_SECONDS": "2",
        }
        cluster.start_api()
        make = (sys.executable, "-m", "widthwise.cli", "keys", "create", "--owner", "alice", "--scope", "calibrate")
        made = subprocess.run(make, env=cluster.environment, capture_output=True, text=True, check=True)
        with Proxy(folder / "proxy", cluster.port, **SHORT) as proxy:
            yield Edge(proxy, cluster, made.stdout.strip())


@pytest.fixture(scope="module")
def open_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An API that asks for no keys, behind the proxy."""
    folder = folders(tmp_path_factory, "open")
    with Cluster(folder / "api", SqliteFiles(folder).new_migrated()) as cluster:
        cluster.environment |= {"WIDTHWISE_HOST": "0.0.0.0", "WIDTHWISE_ALLOW_UNAUTHENTICATED": "true"}  # noqa: S104
        cluster.start_api()
        with Proxy(folder / "proxy", cluster.port) as proxy:
            yield Edge(proxy, cluster, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for one more proxy."""
    made = tmp_path / "proxy"
    made.mkdir()
    return made
