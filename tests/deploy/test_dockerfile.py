"""The Dockerfile: stages that exist, files that are there, no JAX in the service, no root and no tools in any image."""

import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.composition import COMPOSE_FILES, ROOT, read
from tests.deploy.test_compose import GIVEN

TARGETS = ("service", "worker", "gpu-worker")


@dataclass(frozen=True)
class Stage:
    """One FROM and the instructions that follow it, continued lines joined."""

    name: str
    parent: str
    instructions: tuple[tuple[str, str], ...]

    def every(self, instruction: str) -> list[str]:
        """Return what follows an instruction, each time it is used."""
        return [rest for found, rest in self.instructions if found == instruction]


def stages() -> dict[str, Stage]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, Stage] = {}
    for instruction, rest in lines:
        if instruction == "FROM":
            parent, _, name = rest.partition(" AS ")
            found[name] = Stage(name, parent, ())
        else:
            last = found.popitem()[1]
            found[last.name] = Stage(last.name, last.parent, (*last.instructions, (instruction, rest)))
    return found


STAGES = stages()


def lineage(name: str) -> list[Stage]:
    """Return a stage and those that it is made from, itself first."""
    stage = STAGES[name]
    return [stage, *(lineage(stage.parent) if stage.parent in STAGES else [])]


def installed(name: str) -> str:
    """Return every RUN that fills the environment which an image copies."""
    (source,) = {match for copy in STAGES[name].every("COPY") for match in re.findall(r"--from=(\S+)", copy)}
    return "\n".join(run for stage in lineage(source) for run in stage.every("RUN"))


def copied(stage: Stage, folder: Path) -> None:
    """Copy into a folder what a stage copies from the repository, itself and those that it is made from."""
    for copy in (copy for each in reversed(lineage(stage.name)) for copy in each.every("COPY")):
        *sources, to = copy.split()
        for source in sources:
            place = folder / (source if to == "./" else to)
            place.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, place)


def test_the_targets_of_the_compose_files_are_its_images() -> None:
    asked = {
        read(name, GIVEN).services[s]["build"]["target"] for name in COMPOSE_FILES for s in ("worker", "gpu-worker")
    }
    asked |= {read().services[s]["build"]["target"] for s in ("api", "migrate")}
    assert asked == set(TARGETS)
    assert set(TARGETS) < STAGES.keys()
    assert list(STAGES)[-1] == "service"  # what a build without a target makes


def test_copied_files_exist_and_reach_the_build() -> None:
    copies = [copy for stage in STAGES.values() for copy in stage.every("COPY") if not copy.startswith("--from")]
    copied = [path for copy in copies for path in copy.split()[:-1]]
    assert len(copied) >= 9
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert rules[1] == "*"  # after the comment: what is not named stays out, secrets among it
    kept = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert kept == {path.split("/")[0] if path.endswith(".py") else path for path in copied}
    assert all((ROOT / path).exists() for path in copied)
    assert not any(fnmatch.fnmatch("secrets", pattern) for pattern in kept)


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_without_root_and_tools(target: str) -> None:
    stages = lineage(target)
    assert [stage.name for stage in stages] == [target, "runtime"]
    users = [user for stage in stages for user in stage.every("USER")]
    assert users == ["10001:10001"]  # numbers: an orchestrator can see that it is not root
    (prepared,) = STAGES["runtime"].every("RUN")
    assert prepared.startswith("pip uninstall --yes pip")
    assert not re.search(r"apt-get|gcc|build-essential|curl", "\n".join(run for s in stages for run in s.every("RUN")))
    assert [stage.parent for stage in stages][-1] == STAGES["build"].parent  # one Python: the environment's links fit
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", STAGES["build"].parent)
    assert STAGES["build"].every("RUN") == ["python -m venv --without-pip /opt/widthwise"]


def test_the_data_directory_belongs_to_the_user() -> None:
    """A new named volume takes the owner of the folder that the image has there."""
    (prepared,) = STAGES["runtime"].every("RUN")
    assert "--owner=widthwise --group=widthwise --mode=0750 /data" in prepared
    assert "--uid 10001 --gid 10001" in prepared


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_installed(target: str) -> None:
    extras = set(re.findall(r' \. "distributions/server\[([\w,]+)\]"', installed(target)))
    named = {extra for group in extras for extra in group.split(",")}
    project = tomllib.loads((ROOT / "distributions" / "server" / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert named <= project["optional-dependencies"].keys()
    assert {"service", "postgres", "broker", "tracing"} <= named
    assert ("worker" in named) == (target != "service")  # JAX runs in workers alone
    assert ("jax[" in installed(target)) == (target == "gpu-worker")
    for run in installed(target).splitlines():
        assert " install " not in run or "-c requirements/constraints.txt" in run or "--no-deps" in run


def test_the_dependencies_are_installed_without_the_code(tmp_path: Path) -> None:
    """So a change of code leaves that layer as it is; both projects can be built from what is copied before it."""
    copied(STAGES["build"], tmp_path)
    assert {path.name for path in tmp_path.rglob("*.py")} == {"__init__.py", "version.py", "hatch_build.py"}
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation"]
    projects = [str(tmp_path), str(tmp_path / "distributions" / "server")]
    ran = subprocess.run([*build, "--wheel-dir", str(tmp_path), *projects], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert len(list(tmp_path.glob("*.whl"))) == len(projects)


def test_the_guide_is_built_from_what_its_stage_copies(tmp_path: Path) -> None:
    """Every page that a page links to is there, or the strict build fails, and with it every image's."""
    stage = STAGES["guide"]
    copied(stage, tmp_path)
    *_, build = stage.every("RUN")
    program, *words = build.split()
    assert program == "/opt/widthwise/bin/python"
    ran = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"make docs installs what this needs\n{ran.stdout}{ran.stderr}"
    (brought,) = re.findall(r"--from=guide /src/(\S+) (\S+)", "\n".join(STAGES["code"].every("COPY")))
    assert brought == ("build/site", "build/site")
    assert (tmp_path / brought[0] / "files.json").is_file()


def test_mkdocs_is_in_no_image() -> None:
    with_it = {name for name in STAGES if any("[docs]" in run for run in STAGES[name].every("RUN"))}
    assert with_it == {"guide"}
    assert [name for name in STAGES if STAGES[name].parent == "guide"] == []
    brought = [copy for stage in STAGES.values() for copy in stage.every("COPY") if "--from=guide" in copy]
    assert len(brought) == 1  # the pages, into the wheel


def test_the_accelerators_extra_is_one_of_jax() -> None:
    from importlib.metadata import metadata

    (argument,) = STAGES["build-gpu-worker"].every("ARG")
    extras = set(metadata("jax").get_all("Provides-Extra") or ())
    assert {argument.removeprefix("JAX_EXTRA="), "cuda13", "tpu"} <= extras  # the others that the comment names
    asked = read().services["gpu-worker"]["build"]["args"]
    assert asked == {"JAX_EXTRA": argument.removeprefix("JAX_EXTRA=")}
