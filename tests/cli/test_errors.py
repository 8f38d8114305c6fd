"""Every mistake ends in one message: what was wrong, the value, what to do; no library speaks."""

import json
import re
from pathlib import Path

import pytest
import typer

from service.settings import Settings
from tests.cli.bowl import spec
from tests.cli.conftest import Run
from widthwise.cli.usage import usage_message
from widthwise.jsontext import json_fault

#: Words of the libraries underneath.
THEIRS = re.compile(
    r"Traceback|Errno|Input should|should be|Value error|Invalid value|Got unexpected|No such (option|command)|Missing "
    r"(option|argument)|pydantic|sqlalchemy|typer|click|httpx|Expecting|\(char |JSONDecodeError|[a-z]+Error\b|NoneType"
)
FILES = {
    "nan.json": '{"base": NaN}',
    "list.json": "[1, 2]",
    "text.json": '"mup"',
    "broken.json": '{"a": 1,',
    "empty.json": "",
    "plan.yaml": "a: 1\n",
    "deep.json": "[" * 100_000,
    "wrong.json": '{"parameterization": "mup", "optimizer": "adam", "base": {"width": "x", "learning_rate": 1}}',
    "five.json": '{"parameterization": "mup", "optimizer": "adam", "base": 5, "target": {"width": 4}}',
    "runs.csv": "learning_rate,loss,width\nx,2,3\n",
    "no_runs.csv": "learning_rate,loss\n",
    "other.csv": "a,b\n1,2\n",
    "broken.jsonl": '{"learning_rate": 1}\n{"loss": }\n',
}
MUP = "-p mup -o adam --base-width 256 --target-width 1024"
CONVERT = "--from adamw --to muon_rms --shape 4x4"

#: A command line, its exit code, and what its message says.
LOCAL: list[tuple[str, int, str]] = [
    *((f"{command} none.json", 1, "none.json can't be read") for command in ("transfer", "advise", "calibrate submit")),
    *((f"{command} folder", 1, "folder can't be read") for command in ("transfer", "advise", "fit", "sweeps create")),
    ("transfer empty.json", 1, "empty.json can't be read: it is empty; give a JSON object"),
    ("transfer nan.json", 1, "NaN is not a number in JSON"),
    ("transfer list.json", 1, "list.json contains a list, [1, 2]; give an object"),
    ("transfer text.json", 1, 'text.json contains the value "mup"; give an object'),
    ("transfer broken.json", 1, "line 1, column 9: a name in double quotes is missing there"),
    ("transfer plan.yaml", 1, "convert it from YAML to JSON"),
    ("transfer deep.json", 1, "nested too deep"),
    ("transfer wrong.json", 1, "base.width is 'x'; it must be an integer"),
    ("transfer five.json", 1, "base is 5; give an object"),
    (f"transfer {MUP} --lr nan", 1, "base.learning_rate is nan"),
    (f"transfer {MUP} --lr x", 2, "--learning-rate: 'x' is not a number"),
    ("transfer --base-width x", 2, "--base-width is 'x'; give a whole number"),
    ("transfer --base-width 1.5", 2, "--base-width is '1.5'; give a whole number"),
    ("transfer --base-width 0", 2, "--base-width is '0'; give 1 or more"),
    ("transfer --readout-omega x", 2, "--readout-omega is 'x'; give a number"),
    ("transfer -p nope", 2, "--parameterization: the word is 'nope'; give one of 'standard'"),
    ("transfer -p mup", 2, "--optimizer, --base-width, --target-width, --learning-rate: missing; give options"),
    ("transfer --base-width", 2, "--base-width needs a value"),
    ("transfer --base-widht 3", 2, "there is no option --base-widht; did you mean --base-width"),
    ("transfer a.json b.json", 2, "b.json is more than the command takes"),
    ("export plan.yaml --to torch", 1, "plan.yaml is not a plan"),
    ("export five.json --to torch", 1, "make the plan first"),
    ("export", 2, "PLAN, --to: missing"),
    ("rules depths", 1, "ABOUT is 'depths'; give one of"),
    (f"convert rate x {CONVERT}", 2, "learning_rate is 'x'; give a number"),
    (f"convert rate -1 {CONVERT}", 2, "-1 is read as an option; write -- before a number below 0"),
    (f"convert rate nan {CONVERT}", 1, "learning_rate is nan; give a number above 0"),
    ("convert rate 1 --from adam --to nope --shape 4x4", 2, "--to: 'nope' is not one of 'sgd', 'adam'"),
    ("convert alpha", 2, "ALPHA is missing"),
    ("convert decay 1 -o adamw --lr 1 --from x --to independent", 2, "--from"),
    ("fit none.csv", 1, "none.csv can't be read"),
    ("fit empty.json", 1, "holds no run; give a header"),
    ("fit no_runs.csv", 1, "holds no run; give a header"),
    ("fit other.csv", 1, "there is no column 'learning_rate'"),
    ("fit runs.csv", 1, "row 1: learning_rate is 'x'; give a number"),
    ("fit broken.jsonl", 1, "broken.jsonl, line 2: it is not JSON: column 10: a value is missing there"),
    ("fit", 2, "FILE is missing"),
    ("calibrate submit -p mup -o adam --widths 64,x", 2, "'64,x': give integers separated by commas"),
    ("calibrate rename", 2, "ID is missing"),
    ("sweeps rename swp_1", 2, "NAME is missing"),
    ("serve --port x", 2, "--port is 'x'; give a whole number"),
    ("work --workers x", 2, "--workers is 'x'; give a whole number"),
    ("keys create", 2, "--owner is missing"),
    ("nope", 2, "there is no command 'nope'"),
    ("--nope", 2, "there is no option --nope"),
]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("folder").mkdir()


def check(ran_code: int, out: str, err: str, code: int, message: str) -> None:
    assert (ran_code, out) == (code, ""), err
    assert err.startswith("Error: "), err
    assert message in err
    assert not THEIRS.search(err), err
    if code == 2:
        assert re.search(r"\nEvery option, with examples: widthwise .*--help\n$", err)


@pytest.mark.parametrize(("line", "code", "message"), LOCAL)
def test_mistakes_that_need_no_service(run: Run, line: str, code: int, message: str) -> None:
    ran = run(*line.split())
    check(ran.code, ran.out, ran.err, code, message)


REMOTE = (
    *(
        "calibrate list",
        "calibrate show cal_1",
        "calibrate watch cal_1",
        "calibrate cancel cal_1",
        "fleet",
        "exponents",
    ),
    *("calibrate extend cal_1 --seeds 3", "calibrate compare cal_1 cal_2", "calibrate rename cal_1 x"),
    *("calibrate delete cal_1 --yes", "sweeps list", "sweeps show swp_1", "sweeps runs swp_1", "sweeps delete swp_1"),
    *("sweeps rename swp_1 x", "sweeps note swp_1 x"),
    *("sweeps predict swp_1 width=3", "calibrate -p mup -o adam --widths 32,64", f"transfer {MUP} --lr 1"),
)


@pytest.mark.parametrize("line", [line for line in REMOTE if "watch" not in line])  # which survives a restart
def test_nobody_answers(run: Run, unused_url: str, line: str) -> None:
    ran = run(*line.split(), "--url", unused_url)
    check(ran.code, ran.out, ran.err, 1, f"no service at {unused_url}: start one with `widthwise serve`")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((line, "There is no calibration 'cal_1'") for line in REMOTE if "cal_1" in line),
        *((line, "swp_1") for line in REMOTE if "swp_1" in line),
        ("calibrate list --state done", "state"),
        ("exponents --limit 1 --calibration x", None),
        ("calibrate -p mup -o adam --widths 32,64 --steps 1 --precision -1", "precision"),
    ],
)
def test_what_the_service_refuses(run: Run, url: str, line: str, message: str | None) -> None:
    ran = run(*line.split(), "--url", url)
    if message is None:  # nothing matches, and that is not a mistake
        assert ran.code == 0
    else:
        check(ran.code, ran.out, ran.err, 1, message)


@pytest.mark.parametrize(
    ("field", "value"),
    [("widths", "64"), ("seeds", 0.5), ("steps", True), ("optimizer", "adm"), ("proxy", []), ("name", ""), ("nope", 1)],
)
def test_a_specification_with_a_wrong_field(run: Run, url: str, field: str, value: object) -> None:
    Path("spec.json").write_text(json.dumps(spec(**{field: value})), encoding="utf-8")
    ran = run("calibrate", "submit", "spec.json", "--detach", "--url", url)
    check(ran.code, ran.out, ran.err, 1, field)


@pytest.mark.parametrize("url", ["nonsense", "ftp://here", "http://", "http://127.0.0.1:99999"])
def test_an_address_that_is_none(run: Run, url: str) -> None:
    ran = run("fleet", "--url", url)
    check(ran.code, ran.out, ran.err, 1, url)


def test_a_key_with_a_blank(run: Run, url: str, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    del settings
    monkeypatch.setenv("WIDTHWISE_API_KEY", "a secret")
    ran = run("fleet", "--url", url)
    check(ran.code, ran.out, ran.err, 1, "the API key has characters that no key has")
    assert "secret" not in ran.err


def test_other_versions_of_typer_say_it_themselves() -> None:
    """One that does not check with pydantic has the value in its message."""
    said = usage_message(typer.BadParameter("'x' is not a valid integer.", param_hint="'--n'"))
    assert said.splitlines()[0] == "--n: 'x' is not a valid integer."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a" 1}', 'line 1, column 6: a colon is missing there (the line is {"a" 1})'),
        ("{}\n{}", "line 2, column 1: the JSON ends there, and more follows (the line is {})"),
        ('["a', 'line 1, column 2: a string begins there and does not end (the line is ["a)'),
        ("[1 2]", "line 1, column 4: a comma or a closing bracket is missing there (the line is [1 2])"),
        ('["' + "b" * 99, f'a string begins there and does not end (the line is ["{"b" * 38}…)'),
        ("  \n", "it is empty"),
    ],
)
def test_where_json_goes_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError) as wrong:  # noqa: PT011
        json.loads(text)
    assert said in json_fault(text, wrong.value)
