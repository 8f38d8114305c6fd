"""The two wheels, installed into fresh environments: what each adds, and which commands are there."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from widthwise.cli.commands import GROUP, OF_THE_SERVER
from widthwise.cli.installation import SERVER
from widthwise.version import VERSION

ROOT = Path(__file__).parents[2]
PROJECTS = (ROOT, ROOT / "distributions" / "server")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*words: str | Path, **environment: str) -> None:
    given = {**os.environ, **environment}
    ran = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, env=given)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels by the names of their distributions; the backend that builds them is installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, *PROJECTS)
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def borrowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every installed package but our own: what the wheels depend on, without a download."""
    folder = tmp_path_factory.mktemp("borrowed")
    for place in (Path(place) for place in sys.path if Path(place).name == "site-packages"):
        for package in place.iterdir():
            if "widthwise" not in package.name and not (folder / package.name).exists():
                (folder / package.name).symlink_to(package)
    return folder


class Fresh:
    """A new environment with some wheels of ours."""

    def __init__(self, folder: Path, installed: Sequence[Path], borrowed: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        self.programs = folder / "bin"
        run(*PIP, "--python", self.programs / "python", "install", "--no-deps", "--no-index", *installed)
        (self.packages,) = (folder / "lib").glob("python*/site-packages")
        self._environment = {"COLUMNS": "200", "PYTHONPATH": str(borrowed)}

    def added(self) -> set[str]:
        """Return the names that the wheels added for all to import; what describes a distribution is left out."""
        return {path.name for path in self.packages.iterdir() if path.suffix != ".dist-info"}

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.programs,  # not the checkout, which would be imported first
            env=self._environment,
        )


@pytest.fixture(scope="module")
def library(wheels: dict[str, Path], borrowed: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return Fresh(tmp_path_factory.mktemp("library") / "venv", [wheels["widthwise"]], borrowed)


@pytest.fixture(scope="module")
def server(wheels: dict[str, Path], borrowed: Path, tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return Fresh(tmp_path_factory.mktemp("server") / "venv", list(wheels.values()), borrowed)


def test_a_training_environment_gets_one_name(library: Fresh) -> None:
    assert library.added() == {"widthwise"}
    assert (library.packages / "widthwise" / "py.typed").exists()
    program = "import widthwise, widthwise.client; print(widthwise.__file__, widthwise.transfer)"
    ran = library.run("python", "-c", program)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(library.packages))


def test_without_the_server_its_commands_say_what_to_install(library: Fresh) -> None:
    shown = library.run("widthwise", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "pip install 'widthwise-server[service,worker]'" in shown.stdout
    width = ("--base-width", "256", "--target-width", "4096", "--lr", "0.003", "--epsilon", "1e-8")
    planned = library.run("widthwise", "transfer", "-p", "standard", "-o", "adam", *width)
    assert planned.returncode == 0, planned.stderr
    for command, extra in {
        "serve": "service,worker",
        "work": "worker",
        "keys": "service",
        "migrate": "service",
    }.items():
        ran = library.run("widthwise", command, "--port", "0")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"Error: `widthwise {command}` is a command of the server, which is not installed: "
            f"pip install 'widthwise-server[{extra}]'\n"
        )


def test_with_the_server_every_command_is_there(server: Fresh) -> None:
    assert server.added() == {"widthwise", "service", "workers", "migrations"}
    shown = server.run("widthwise", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "pip install" not in shown.stdout
    for command in ("serve", "work", "keys", "migrate"):
        assert server.run("widthwise", command, "--help").returncode == 0, command
    migrated = server.run("widthwise", "migrate", "--data-dir", "data")
    assert migrated.returncode == 0, migrated.stderr
    pages = {path.relative_to(ROOT) for path in (ROOT / "service" / "dashboard").rglob("*") if path.is_file()}
    for path in sorted(path for path in pages if path.suffix in (".html", ".js", ".css", ".svg")):
        assert (server.packages / path).read_bytes() == (ROOT / path).read_bytes()


def test_the_server_brings_the_guide_that_was_built(server: Fresh) -> None:
    """All of it, so that it can be read without a network and without MkDocs; the library stays without."""
    built = ROOT / "build" / "site"
    assert (built / "files.json").is_file(), "this needs the built documentation: make docs"
    site = server.packages / "service" / "guide" / "site"
    names = {path.relative_to(built) for path in built.rglob("*") if path.is_file()}
    assert {path.relative_to(site) for path in site.rglob("*") if path.is_file()} == names
    assert all((site / name).read_bytes() == (built / name).read_bytes() for name in names)
    code = (
        "import sys; sys.modules['mkdocs'] = None; from service.guide.site import built_guide; guide = built_guide(); "
        "print(guide.folder, guide.is_built(), guide.file('docs/glossary.html').media_type)"
    )
    ran = server.run("python", "-c", code)
    assert ran.stdout.split() == [str(site), "True", "text/html"], ran.stderr


def test_without_a_guide_a_server_says_where_one_comes_from(server: Fresh, tmp_path: Path) -> None:
    """As one installed from a checkout where nothing was built."""
    moved = server.packages / "service" / "guide" / "site"
    moved.rename(tmp_path / "site")
    try:
        code = (
            "from service.guide.site import built_guide; guide = built_guide(); print(guide.is_built(), guide.advice)"
        )
        ran = server.run("python", "-c", code)
    finally:
        (tmp_path / "site").rename(moved)
    assert ran.stdout.startswith("False This server came without a guide: run `make docs`"), ran.stderr


def test_both_have_one_version(wheels: dict[str, Path]) -> None:
    assert {path.name.split("-")[1] for path in wheels.values()} == {VERSION}
    server = tomllib.loads((PROJECTS[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert server["dependencies"] == [f"widthwise=={VERSION}"]


def test_the_library_knows_the_servers_commands_and_extras() -> None:
    project = tomllib.loads((PROJECTS[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == SERVER
    assert project["entry-points"][GROUP].keys() == OF_THE_SERVER.keys()
    extras = {extra for named in OF_THE_SERVER.values() for extra in named.split(",")}
    assert extras <= project["optional-dependencies"].keys()


def test_an_editable_install_imports_the_checkout(borrowed: Path, tmp_path: Path) -> None:
    """A copy in the environment would hide every later change from the command, whose folder is not the checkout."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    editable = [word for project in PROJECTS for word in ("-e", project)]
    install = (*PIP, "--python", python, "install", "--no-deps", "--no-index", "--no-build-isolation", *editable)
    run(*install, PYTHONPATH=str(borrowed))  # the backend that builds them
    (packages,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    assert {path.suffix for path in packages.iterdir()} == {".dist-info", ".pth"}
    for name in ("widthwise", "service", "workers", "migrations"):
        where = [str(python), "-c", f"import {name}; print({name}.__path__[0])"]
        told = subprocess.run(where, capture_output=True, text=True, check=False, cwd=tmp_path, env={})
        assert told.stdout.strip() == str(ROOT / name), told.stderr


def test_nothing_replaces_a_torch_that_is_there() -> None:
    """No dependency names torch, and no extra names a version of it: pip keeps the user's own build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [each for each in project["dependencies"] if each.startswith("torch")]
    extras = [each for every in project["optional-dependencies"].values() for each in every if each.startswith("torch")]
    assert set(extras) == {"torch"}


def test_without_torch_one_is_told_how_to_install_it() -> None:
    code = "import sys; sys.modules['torch'] = None; import widthwise.torch"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "widthwise.torch needs PyTorch, which Widthwise never installs" in ran.stderr.splitlines()[-1]
    assert "`pip install widthwise` in the same environment" in ran.stderr
