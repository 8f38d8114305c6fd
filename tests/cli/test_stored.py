"""The calibrations and sweeps that a service has: listed, shown, named, noted, and deleted after a question."""

import io
import json
import sys
from collections.abc import Callable

import pytest

from tests.cli.bowl import spec
from tests.cli.conftest import Run
from widthwise.cli import main
from widthwise.client import Client
from widthwise.errors import ServiceError

SUBMITTED = ("calibrate", "-p", "standard", "-o", "adam", "--widths", "64,128,256", "--detach")


class Terminal(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answered(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command at a terminal and answer its question; return what it wrote on stderr, with its exit code."""
    del run  # it clears the environment

    def answer(text: str, *words: str) -> str:
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return f"{ended.value.code}: {' '.join(capsys.readouterr().err.split())}"

    return answer


def test_a_name_and_a_note_from_the_start(run: Run, url: str, client: Client) -> None:
    ran = run(*SUBMITTED, "--name", "[bold] one", "--note", "See the log.", "--json", "--url", url)
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert (made["name"], made["note"]) == ("[bold] one", "See the log.")
    shown = run("calibrate", "show", made["id"], "--url", url).out
    assert f"[bold] one ({made['id']}): queued, 0/" in shown
    assert "See the log." in shown
    listed = run("calibrate", "list", "--name", "[bold] one", "--url", url).out
    assert "[bold] one" in listed
    assert made["id"] in listed
    assert run("calibrate", "list", "--name", "two", "--url", url).err.startswith("No calibrations match.")
    assert json.loads(run("calibrate", "list", "--json", "--url", url).out) == [client.calibration(made["id"])]


def test_renamed_and_noted_later(run: Run, url: str, client: Client, finish: Callable[..., str]) -> None:
    identifier = finish()
    named = run("calibrate", "rename", identifier, "wide", "--url", url)
    assert named.out.startswith(f"wide ({identifier}): succeeded, 54 trials")
    assert json.loads(run("calibrate", "note", identifier, "a note", "--json", "--url", url).out)["note"] == "a note"
    found = client.calibration(identifier)
    assert (found["name"], found["note"]) == ("wide", "a note")
    assert run("calibrate", "rename", identifier, "", "--url", url).code == 0
    assert run("calibrate", "note", identifier, "", "--url", url).code == 0
    found = client.calibration(identifier)
    assert (found["name"], found["note"]) == (None, None)
    extended = run(
        "calibrate", "extend", identifier, "--seeds", 3, "--name", "more", "--detach", "--json", "--url", url
    )
    assert json.loads(extended.out)["name"] == "more"
    assert "Best base learning rate by width" in run("calibrate", "show", identifier, "--url", url).out
    refused = run("calibrate", "rename", identifier, "x" * 101, "--url", url)
    assert (refused.code, refused.out) == (1, "")
    assert "name" in refused.err


def test_a_sweep_is_renamed_and_noted(run: Run, url: str, client: Client) -> None:
    identifier = client.create_sweep("one", [{"learning_rate": 0.1, "loss": 2.0, "width": 64}])["id"]
    renamed = run("sweeps", "rename", identifier, "[bold] two", "--url", url)
    assert renamed.out.startswith(f"[bold] two ({identifier}, revision 1): 1 runs, 1 cells"), renamed.err
    assert "[bold] two" in run("sweeps", "list", "--url", url).out
    noted = run("sweeps", "note", identifier, "of last week", "--url", url)
    assert "of last week" in noted.out
    assert json.loads(run("sweeps", "note", identifier, "", "--json", "--url", url).out)["notes"] is None
    for name, said in (("", "A sweep always has a name: give another one"), ("x" * 201, "at most 200 characters")):
        refused = run("sweeps", "rename", identifier, name, "--url", url)
        assert (refused.code, refused.out) == (1, "")
        assert said in " ".join(refused.err.split())
    found = client.sweep(identifier)
    assert (found["name"], found["notes"]) == ("[bold] two", None)


def test_a_terminal_is_asked_before_anything_is_deleted(
    url: str, client: Client, finish: Callable[..., str], answered: Callable[..., str]
) -> None:
    identifier = finish(name="mine")
    question = f"Delete mine ({identifier}) with its 54 trials and its exponents? [y/N]:"
    for no in ("n\n", "\n"):
        assert (
            answered(no, "calibrate", "delete", identifier, "--url", url) == f"1: {question}Error: nothing was deleted"
        )
    assert answered("", "calibrate", "delete", identifier, "--url", url).startswith("1: Delete mine")
    assert client.calibration(identifier)["state"] == "succeeded"
    assert answered("y\n", "calibrate", "delete", identifier, "--url", url) == f"0: {question}Deleted {identifier}."
    with pytest.raises(ServiceError):
        client.calibration(identifier)


def test_with_yes_nobody_is_asked(url: str, client: Client, answered: Callable[..., str]) -> None:
    identifier = client.submit_calibration(spec())["id"]
    client.cancel(identifier)
    assert answered("", "calibrate", "delete", identifier, "--yes", "--url", url) == f"0: Deleted {identifier}."
    runs = [{"learning_rate": 2.0**-power, "loss": 2.0, "width": 64} for power in range(4, 8)]
    sweep = client.create_sweep("mine", runs)["id"]
    asked = answered("n\n", "sweeps", "delete", sweep, "--url", url)
    assert asked == f"1: Delete mine ({sweep}) with its 4 runs? [y/N]:Error: nothing was deleted"
    assert answered("", "sweeps", "delete", sweep, "--yes", "--url", url) == f"0: Deleted {sweep}."
