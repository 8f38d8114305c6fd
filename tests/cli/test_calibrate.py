"""`widthwise calibrate` and `widthwise exponents`: submit, watch, leave, show."""

import inspect
import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from rich.console import Console

from service.calibrations.logic import SOONEST_LOOK_SECONDS
from testbed.waiting import PATIENCE_SECONDS
from tests.cli.bowl import spec
from tests.cli.conftest import Run
from widthwise.cli.progress import follow
from widthwise.cli.specification import EXTENDED, LABELS, PROXY, SETTING
from widthwise.cli.submit import submit
from widthwise.client import Client, ServiceError

OPTIONS = [
    "-p",
    "standard",
    "-o",
    "adam",
    "--widths",
    "64,128,256",
    "--learning-rates",
    "0.001,0.002,0.004",
    "--steps",
    "5",
]


def test_submits_what_the_options_say(run: Run, url: str, client: Client) -> None:
    ran = run("calibrate", *OPTIONS, "--batch-size", 16, "--seeds", 1, "--detach", "--json", "--url", url)
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert made["spec"]["proxy"]["batch_size"] == 16
    assert made["spec"]["proxy"]["architecture"] == "mlp"
    assert made["spec"]["learning_rates"] == [0.001, 0.002, 0.004]
    assert made["state"] == client.calibration(made["id"])["state"] == "queued"
    estimate = made["estimate"]
    assert f"{estimate['trials']} trials in {estimate['shards']} shards" in ran.err


def test_an_estimate_submits_nothing(run: Run, url: str, client: Client) -> None:
    before = [one.id for one in client.calibrations()]
    ran = run("calibrate", *OPTIONS, "--estimate", "--url", url)
    told = json.loads(run("calibrate", *OPTIONS, "--estimate", "--json", "--url", url).out)
    assert [one.id for one in client.calibrations()] == before
    assert ran.code == 0, ran.err
    assert f"{told['estimate']['trials']} trials in {told['estimate']['shards']} shards" in ran.out
    made = json.loads(run("calibrate", *OPTIONS, "--detach", "--json", "--url", url).out)
    assert told == {"spec": made["spec"], "estimate": made["estimate"]}


def test_every_option_reaches_the_specification(run: Run, url: str) -> None:
    options = (
        "--search grid --mesh 0.25 --measure learning_rate,gamma,horizon --horizons 5,10,20 --no-early-stopping "
        "--learning-rate-rule global --epsilon-rule constant --architecture transformer --head-dim 16 "
        "--feed-forward swiglu --qk-norm --tied"
    )
    made = json.loads(run("calibrate", *OPTIONS, *options.split(), "--detach", "--json", "--url", url).out)["spec"]
    expected = {
        "search": "grid",
        "mesh": 0.25,
        "measure": ["learning_rate", "gamma", "horizon"],
        "horizons": [5, 10, 20],
        "early_stopping": False,
        "learning_rate_rule": "global",
        "epsilon_rule": "constant",
    }
    assert expected.items() <= made.items()
    transformer = {"architecture": "transformer", "feed_forward": "swiglu", "qk_norm": True, "tied": True}
    assert transformer.items() <= made["proxy"].items()


@pytest.mark.usefixtures("worker")
def test_extends_and_compares(run: Run, url: str, client: Client) -> None:
    rates = ["--learning-rates", "0.004,0.016,0.064"]
    first = json.loads(run("calibrate", *OPTIONS, *rates, "--json", "--url", url).out)
    ran = run("calibrate", "extend", first["id"], "--widths", "512", "--seeds", "3", "--json", "--url", url)
    assert ran.code == 0, ran.err
    extended = json.loads(ran.out)
    assert (extended["extends"], extended["spec"]["widths"], extended["spec"]["seeds"]) == (
        first["id"],
        [64, 128, 256, 512],
        3,
    )
    trials = list(client.trials(extended["id"]))
    assert len(trials) > len(list(client.trials(first["id"])))
    shown = run("calibrate", "compare", first["id"], extended["id"], "--url", url)
    assert shown.code == 0, shown.err
    assert re.search(r"specification +different", shown.out)
    assert re.search(r"  widths +64, 128, 256 +64, 128, 256, 512", shown.out)
    assert re.search(r"code +the same", shown.out)
    count = first["progress"]["trials_done"]
    assert f"Trials in both: {count}, of which {count} are equal and 0 differ" in shown.out
    compared = json.loads(run("calibrate", "compare", first["id"], extended["id"], "--json", "--url", url).out)
    assert compared == client.compare(first["id"], extended["id"])
    assert list(client.measurements(first["id"])) == []


def test_submits_a_file_with_options_over_it(run: Run, url: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec(proxy={"architecture": "mlp", "depth": 1})), encoding="utf-8")
    made = json.loads(
        run("calibrate", path, "--seeds", 4, "--dataset", "python_docs", "--detach", "--json", "--url", url).out
    )
    assert (made["spec"]["seeds"], made["spec"]["steps"], made["spec"]["proxy"]["depth"]) == (4, 10, 1)


def test_a_key_submits_once(run: Run, url: str) -> None:
    first, second = (run("calibrate", *OPTIONS, "--detach", "--key", "cli-key", "--url", url) for _ in range(2))
    assert first.out == second.out
    assert run("calibrate", *OPTIONS, "--detach", "--url", url).out != first.out


def test_shows_what_was_measured(run: Run, url: str, finish: Callable[..., str]) -> None:
    identifier = finish()
    ran = run("calibrate", "watch", identifier, "--url", url)
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines()]
    (hidden,) = [row for row in rows if row[:3] == ["learning", "rate", "hidden"]]
    assert float(hidden[3]) == pytest.approx(1.25, abs=0.01)
    assert any(row[:2] == ["64", "0.0156"] for row in rows)
    assert re.search(r"d = 0\.2[45]\d", ran.out)
    assert any(row[:2] == ["power", "chosen"] for row in rows)  # how the optimum moves, and what else was tried
    assert {"none", "shift"} <= {row[0] for row in rows if row}
    assert "Warning (small_widths)" in ran.err
    assert identifier in ran.err  # how to use it


def test_draws_what_was_measured(
    run: Run, url: str, finish: Callable[..., str], client: Client, tmp_path: Path
) -> None:
    identifier, file = finish(), tmp_path / "loss.svg"
    ran = run("calibrate", "watch", identifier, "--plot", file, "--url", url)
    assert ran.code == 0, ran.err
    other = tmp_path / "loss-widths.svg"
    assert f"Drew {file} and {other}." in ran.err
    with urlopen(f"{url}/v1/calibrations/{identifier}/plot.svg") as answer:  # noqa: S310  our own server
        assert answer.read() == file.read_bytes()  # one drawing, here and there
    with urlopen(f"{url}/v1/calibrations/{identifier}/widths.svg") as answer:  # noqa: S310
        assert answer.read() == other.read_bytes()
    refused = run("calibrate", "watch", identifier, "--plot", tmp_path / "loss.jpg", "--url", url)
    assert ".svg, .pdf, .png, .csv" in refused.err
    shown = run("calibrate", "show", identifier, "--plot", tmp_path / "shown.csv", "--url", url)
    assert shown.code == 0, shown.err
    assert (tmp_path / "shown-widths.csv").read_text(encoding="utf-8").startswith("mark,law,width,")
    ended = client.submit_calibration(spec())["id"]
    client.cancel(ended)
    assert run("calibrate", "watch", ended, "--plot", tmp_path / "none.csv", "--url", url).code == 1
    assert (tmp_path / "none.csv").exists()


@pytest.mark.usefixtures("worker")
def test_a_grid_that_misses_the_optima_is_extended(run: Run, url: str) -> None:
    ran = run("calibrate", *OPTIONS, "--learning-rates", "0.0005,0.001,0.002", "--url", url)
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines()]
    rates = {row[0]: float(row[1]) for row in rows if row and row[0] in ("64", "256")}
    assert rates["64"] == pytest.approx(2**-6, rel=0.05)
    assert rates["256"] == pytest.approx(2**-6.5, rel=0.05)


@pytest.mark.usefixtures("worker")
def test_submits_watches_and_shows(run: Run, url: str) -> None:
    ran = run("calibrate", *OPTIONS, "--learning-rates", "0.004,0.016,0.064", "--url", url)
    assert ran.code == 0, ran.err
    assert "succeeded" in ran.err  # the progress
    assert "Measured exponents" in ran.out
    assert "Use them: widthwise transfer FILE --calibration cal_" in ran.err


def test_a_cancelled_one_is_an_error(run: Run, url: str, client: Client) -> None:
    identifier = client.submit_calibration(spec())["id"]
    assert "cancelled" in run("calibrate", "cancel", identifier, "--url", url).out
    ran = run("calibrate", "watch", identifier, "--url", url, "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["state"] == "cancelled"
    assert "the calibration cancelled" in ran.err


def test_deletes_what_has_ended(run: Run, url: str, client: Client) -> None:
    identifier = client.submit_calibration(spec())["id"]
    refused = run("calibrate", "delete", identifier, "--url", url)
    assert refused.code != 0
    assert "cancel it" in refused.err
    client.cancel(identifier)
    deleted = run("calibrate", "delete", identifier, "--url", url)
    assert (deleted.code, deleted.err.strip()) == (0, f"Deleted {identifier}.")
    with pytest.raises(ServiceError, match="There is no calibration"):
        client.calibration(identifier)


def test_refusals(run: Run, url: str, unused_url: str) -> None:
    assert run("calibrate", "-p", "standard").code == 2
    assert run("calibrate", "spec.json", "--watch", "x").code == 2
    assert run("calibrate", "--extend", "x", "--cancel", "y").code == 2
    assert run("calibrate", "watch").code == 2
    assert run("calibrate", *OPTIONS, "--widths", "a,b", "--url", url).code == 2
    ran = run("calibrate", *OPTIONS, "--widths", "64", "--url", url)
    assert ran.code == 1
    assert "#/widths" in ran.err
    ran = run("calibrate", *OPTIONS, "--url", unused_url)
    assert ran.code == 1
    assert f"no service at {unused_url}" in ran.err
    assert run("calibrate", "watch", "cal_missing", "--url", url).code == 1


@pytest.mark.parametrize(
    ("command", "refused"),
    [
        ("watch x", ["--steps 5", "--widths 64,128", "--no-tied", "--detach", "--key k"]),
        ("cancel x", ["-p mup", "--seeds 3", "--depth 2", "--detach"]),
        ("compare x y", ["--mesh 0.5", "--no-early-stopping", "--key k"]),
        ("extend x", ["--steps 5", "--optimizer adam", "--dataset d"]),
    ],
)
@pytest.mark.parametrize("form", ["command", "option"])
def test_a_command_refuses_the_options_that_it_does_not_take(
    run: Run, url: str, form: str, command: str, refused: list[str]
) -> None:
    """Also where the command is given as the option that it was."""
    words = command.split() if form == "command" else f"--{command}".split()
    for option in refused:
        ran = run("calibrate", *words, *option.split(), "--url", url)
        assert ran.code == 2, option
        assert f"there is no option {option.split()[0]}" in ran.err, ran.err
    assert run("calibrate", *words, *" ".join(refused).split(), "--url", url).code == 2
    ran = run("calibrate", *words, "--json", "--url", url)
    assert ran.code == 1
    assert "There is no calibration 'x'" in ran.err  # so the service was asked


@pytest.mark.parametrize("form", ["--cancel={}", "--cancel {}", "--json --cancel {}"])
def test_a_command_that_was_an_option_works_as_one_and_says_its_new_form(
    run: Run, url: str, client: Client, form: str
) -> None:
    identifier = client.submit_calibration(spec())["id"]
    ran = run("calibrate", *form.format(identifier).split(), "--url", url)
    assert ran.code == 0, ran.err
    assert client.calibration(identifier)["state"] == "cancelled"
    assert "`widthwise calibrate --cancel` is now `widthwise calibrate cancel`" in ran.err


def test_without_a_commands_name_it_submits(run: Run, url: str) -> None:
    short = run("calibrate", *OPTIONS, "--detach", "--key", "k", "--url", url)
    assert short.code == 0, short.err
    assert run("calibrate", "submit", *OPTIONS, "--detach", "--key", "k", "--url", url).out == short.out
    assert "is now" not in short.err


def test_every_option_has_its_place() -> None:
    places = (*SETTING, *EXTENDED, *PROXY, *LABELS, "spec", "estimate", "detach", "key", "url", "as_json")
    assert sorted(places) == sorted(inspect.signature(submit).parameters)


def test_ctrl_c_leaves_it_running_and_says_how_to_watch_again(url: str, client: Client) -> None:
    identifier = client.submit_calibration(spec())["id"]
    command = [sys.executable, "-m", "widthwise.cli", "calibrate", "watch", identifier, "--url", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "queued" in process.stderr.readline()  # it watches
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()  # nothing happens if it has ended
    assert process.returncode == 130
    assert f"widthwise calibrate watch {identifier} --url {url}" in err
    assert out == ""
    assert "Traceback" not in err
    assert client.calibration(identifier)["state"] == "queued"


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_reads_well_in_a_pipe_and_in_a_terminal(
    client: Client, finish: Callable[..., str], terminal: bool
) -> None:
    out = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    assert follow(client, finish(), out)["state"] == "succeeded"
    text = out.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO above
    assert "succeeded" in text
    assert "54" in text
    assert ("\x1b" in text) is terminal


def test_exponents_by_filter(run: Run, url: str, finish: Callable[..., str]) -> None:
    finish()
    identifier = finish(optimizer="adamw")
    ran = run("exponents", "--calibration", identifier, "--url", url)
    assert f"{identifier}: standard, adamw, full alignment, mlp on python_docs" in ran.out
    assert len([line for line in ran.out.splitlines() if "64,128,256" in line]) == 4
    listed = json.loads(run("exponents", "-o", "adamw", "--role", "hidden", "--json", "--url", url).out)
    assert {(item["role"], item["calibration_id"]) for item in listed} == {("hidden", identifier)}
    assert len(json.loads(run("exponents", "--limit", 2, "--json", "--url", url).out)) == 2
    for none in (("--alignment", "measured"), ("--role", "all"), ("--quantity", "learning_rate_over_tokens")):
        assert json.loads(run("exponents", *none, "--json", "--url", url).out) == []


def test_no_exponents(run: Run, url: str) -> None:
    ran = run("exponents", "--url", url)
    assert (ran.code, ran.out) == (0, "")
    assert "widthwise calibrate" in ran.err
    assert json.loads(run("exponents", "--json", "--url", url).out) == []


def test_watching_asks_as_often_as_the_service_says(url: str) -> None:
    pauses: list[float] = []
    with Client(url, sleep=pauses.append) as client:
        identifier = client.submit_calibration(spec())["id"]
        watched = client.watch(identifier)
        assert [next(watched)["state"] for _ in range(3)] == ["queued"] * 3
        client.cancel(identifier)
        assert next(watched)["state"] == "cancelled"
    assert pauses == [SOONEST_LOOK_SECONDS] * 3
