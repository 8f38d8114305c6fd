"""The help of every command: it has examples, and each of them uses commands and options that exist."""

import re
import shlex
import subprocess
import sys

import pytest
import typer
from typer import rich_utils

from tests.cli.conftest import Run
from widthwise.cli.app import app
from widthwise.cli.commands import RENAMED
from widthwise.version import VERSION

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.list_commands(typer.Context(GROUP))  # type: ignore[attr-defined]  # it is a group
KEYS = ("keys create", "keys list", "keys revoke")
CALIBRATIONS = (
    *("submit", "extend", "watch", "cancel", "compare"),
    *("list", "show", "rename", "note", "delete"),
)
CALIBRATE = tuple(f"calibrate {name}" for name in CALIBRATIONS)
CONVERT = ("convert rate", "convert decay", "convert alpha")
OF_SWEEPS = ("create", "add", "predict", "list", "show", "runs", "rename", "note", "delete")
SWEEPS = tuple(f"sweeps {name}" for name in OF_SWEEPS)


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 200)  # it reads TERMINAL_WIDTH once, at the session's first help


def test_the_commands_are_those_of_the_contract() -> None:
    """In the order of the help; the old names are not among them."""
    assert (
        " ".join(COMMANDS)
        == "demo serve transfer export advise rules convert calibrate exponents fit sweeps fleet work keys migrate"
    )


def test_no_arguments_is_the_help(run: Run) -> None:
    shown = run()
    text = shown.out + shown.err
    assert all(f" {command} " in text for command in COMMANDS)


def test_version(run: Run) -> None:
    assert run("--version").out == f"widthwise {VERSION}\n"


@pytest.mark.parametrize(
    "command",
    [
        *(name for name in COMMANDS if name not in ("keys", "calibrate", "sweeps", "convert")),
        *(*KEYS, *CALIBRATE, *SWEEPS, *CONVERT),
    ],
)
def test_examples_use_options_that_exist(run: Run, command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.code == 0
    assert "\x1b" not in shown.out
    examples = re.sub(r"\\\s*\n\s*", "", shown.out.split("Examples:")[1].split("╭")[0])
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert lines
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown.out.split("╭", 1)[1]))
    for line in lines:
        line = re.sub(r"^\w+=\$\((.*)\)$", r"\1", line)  # noqa: PLW2901  what a shell keeps in a variable
        words = shlex.split(line.replace("then:", "#"), comments=True)
        while "=" in words[0]:
            words.pop(0)  # a variable of the environment
        assert words[0] == "widthwise"
        assert " ".join(words[1:]).startswith(command)
        options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= known, line


def test_the_script_and_the_module_are_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "widthwise.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert ran.stdout == f"widthwise {VERSION}\n"


def test_the_light_commands_load_nothing_heavy() -> None:
    code = (
        "import sys, widthwise.cli.app\n"
        "heavy = {'fastapi', 'uvicorn', 'sqlalchemy', 'pydantic', 'jax', 'scipy', 'service', 'workers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_a_pure_module_of_the_command_line_brings_no_app() -> None:
    code = "import sys, widthwise.cli.specification as s, widthwise.cli as c\nprint('widthwise.cli.app' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_names_work_and_say_the_new_one(run: Run, old: str, new: str) -> None:
    shown = run(old, "--help")
    assert shown.code == 0
    assert shown.out.split("╭", 1)[1] == run(new, "--help").out.split("╭", 1)[1]
    assert f"`widthwise {old}` is now `widthwise {new}`" in shown.err
