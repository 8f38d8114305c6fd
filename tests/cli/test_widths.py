"""Every table at 40, 60, 80 and 100 columns and in a pipe: each number and each name of the answer is whole."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.settings import Settings
from service.store import open_store
from tests.cli.conftest import Run
from tests.cli.test_results import OPTIMUM, RESULT, SLOPE
from widthwise.cli import console
from widthwise.cli.results import show_result
from widthwise.client import Client

WIDTHS = ("40", "60", "80", "100", None)  # None: a pipe
SO_WIDE_THAT_NOTHING_WRAPS = "1000"
ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"[\w.]*\d[\w.]*|\w+[._]\w[\w.]*")  # with a digit, a dot or an underline


def words(text: str) -> set[str]:
    """The words of an output, without lines."""
    return {word for word in text.split() if not set(word) <= set("─")}


def numbers(answer: Any, keys: set[str]) -> Iterator[float]:
    """The numbers of an answer under these keys, in any depth."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            if key in keys:
                yield from (
                    each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int | float)
                )
            yield from numbers(value, keys)
    elif isinstance(answer, list):
        for each in answer:
            yield from numbers(each, keys)


def forms(value: float) -> set[str]:
    """How a table may write a number."""
    texts = {f"{value:{form}}" for form in (".4g", ".3g", ".6g", ".3f", ".4f", ".2f", "+.2f", ".2g")}
    return texts | {text.replace("-", "−") for text in texts} | {f"×{text}" for text in texts}


@pytest.fixture
def whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Check a command: its words at every width are those where nothing wraps, and hold the numbers of its --json."""

    def check(*arguments: object, keys: str, as_json: bool = True) -> None:
        monkeypatch.chdir(ROOT)
        monkeypatch.setenv("COLUMNS", SO_WIDE_THAT_NOTHING_WRAPS)
        wide = run(*arguments)
        assert wide.code == 0, wide.err
        answer = json.loads(run(*arguments, "--json").out) if as_json else None
        expected = {word for word in words(wide.out) if NAMED.search(word)}
        assert expected
        found = set(numbers(answer, set(keys.split())))
        assert found or not as_json
        for width in WIDTHS:
            monkeypatch.delenv("COLUMNS") if width is None else monkeypatch.setenv("COLUMNS", width)
            shown = words(run(*arguments).out)
            told = {re.sub(r"[(),;:]|/\d+$", "", word) for word in shown}
            assert expected <= shown | told, (width, sorted(expected - shown))
            cut = [number for number in found if not forms(number) & told]
            assert not cut, (width, cut)

    return check


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A sweep in a file, with a name that is long."""
    rows = [
        {
            "learning_rate": 2.0**-power,
            "loss": 2 + 0.03 * (power - 6) ** 2 + width / 1e4,
            "width": width,
            "corpus": corpus,
        }
        for width in (64, 128, 256)
        for corpus in ("a_corpus_with_a_name_of_some_length", "c4")
        for power in range(3, 10)
    ]
    file = tmp_path / "runs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_transfer(whole: Callable[..., None]) -> None:
    plan = "examples/gpt2_small_to_xl.json"
    whole("transfer", plan, keys="fan_in fan_out")
    small = ("transfer", "-p", "mup", "-o", "adamw", "--base-width", 256, "--target-width", 4096, "--lr", 0.00312345)
    whole(*small, "--epsilon", 1.2345e-9, "--weight-decay", 0.1234, "--init-std", 0.01234, keys="value multiplier")


def test_rules_and_advice(whole: Callable[..., None], runs: Path) -> None:
    del runs
    whole("rules", "weight_decay", "--compare", "examples/gpt2_small_to_xl.json", keys="weight_decay decay_per_step")
    whole("rules", keys="none", as_json=False)
    whole("export", "--list", keys="none", as_json=False)
    whole("advise", "-p", "standard", "-o", "adamw", "--base-width", 1024, "--target-width", 4096, keys="loss")


def test_fit(whole: Callable[..., None], runs: Path) -> None:
    place = "width=4096,corpus=c4"
    asked = ("fit", runs, "--group", "corpus", "--predict", place, "--holdout", "width=max")
    whole(*asked, keys="learning_rate interval octaves regret optimum predicted")


def test_sweeps(whole: Callable[..., None], runs: Path, client: Client, url: str, run: Run) -> None:
    name = "a name of a sweep that is long enough to wrap in a narrow terminal"
    made = run("sweeps", "create", runs, "--name", name, "--group", "corpus", "--json", "--url", url)
    identifier = json.loads(made.out)["id"]
    whole("sweeps", "list", "--url", url, keys="runs cells revision")
    whole("sweeps", "show", identifier, "--url", url, keys="learning_rate interval")
    whole("sweeps", "runs", identifier, "--url", url, keys="learning_rate loss")
    place = "width=4096,corpus=c4"
    whole("sweeps", "predict", identifier, place, "--holdout", "width=max", "--url", url, keys="learning_rate octaves")


def test_calibrations(
    whole: Callable[..., None], finish: Callable[..., str], client: Client, url: str, settings: Settings
) -> None:
    name = "a name of a calibration that is long enough to wrap in a narrow terminal, once or twice"
    identifier, other = finish(name=name), finish(0.5)
    whole("calibrate", "list", "--url", url, keys="trials_done")
    whole("calibrate", "show", identifier, "--url", url, keys="learning_rate loss")
    whole("calibrate", "compare", identifier, other, "--url", url, keys="common equal different")
    whole("exponents", "--url", url, keys="value theory")
    store = open_store(settings.database_url)
    store.workers.report("a-node-with-a-name-of-some-length.cluster.example", host="h", device="NVIDIA H100 80GB HBM3")
    client.submit_calibration({"parameterization": "mup", "optimizer": "adam", "widths": [32, 64]})
    assert store.work.claim("a-node-with-a-name-of-some-length.cluster.example") is not None
    whole("fleet", "--url", url, keys="none", as_json=False)
    store.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_part_of_a_result(
    width: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    layer = {"layer": "block 0 feed-forward", "size": "output", "step": 0, "slope": SLOPE, "expected": 0.25}
    need = {"role": "hidden", "width": 64, "gradient_rms": 1.234e-6, "largest_epsilon": 1.321e-9, "epsilon": 1.25e-12}
    parts: dict[str, Any] = {
        "gamma": {"optima": [{**OPTIMUM, "role": "hidden", "width": 64, "gamma": 2.125, "interval": [1.515, 2.535]}]},
        "epsilon": {"needs": [{**need, "underflow_share": 0.257}]},
        "coordinates": {"outcome": "pass", "judgements": [{**layer, "outcome": "inconclusive"}]},
        "horizon": {
            "optima": [{**OPTIMUM, "steps": 100, "tokens": 25600}],
            "exponent": {"value": 0.3, "interval": None},
        },
    }
    calibration: Any = {"id": "cal_1", "spec": {"measure": []}, "result": {**RESULT, **parts}}
    monkeypatch.setenv("COLUMNS", SO_WIDE_THAT_NOTHING_WRAPS)
    show_result(calibration)
    wide = {word for word in words(capsys.readouterr().out) if NAMED.search(word)}
    monkeypatch.delenv("COLUMNS") if width is None else monkeypatch.setenv("COLUMNS", width)
    show_result(calibration)
    assert wide <= words(capsys.readouterr().out)
    assert {"2.12", "1.234e-06", "1.321e-09", "25.7%", "25600", "0.250"} <= wide


def test_a_pipe_has_a_width_of_its_own(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console.stdout().width == console.PIPE_WIDTH
