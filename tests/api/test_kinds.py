"""The words of every vocabulary come from its enumeration: in the page, the help, the document and the theory."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from service.dashboard.lists import with_choices
from tests.api.client import Client
from widthwise import vocabulary
from widthwise.calibration.corpora import CORPORA
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import AlignmentName, Optimizer, Parameterization

ROOT = Path(__file__).parents[2]
VOCABULARIES = [kind for kind in vars(vocabulary).values() if isinstance(kind, type) and issubclass(kind, StrEnum)]


def options(page: str, name: str) -> dict[str, str]:
    """The options of a list of the page: what is shown for each word."""
    inside = page.split(f'<select name="{name}">')[1].split("</select>", maxsplit=1)[0]
    return dict(re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)</option>', inside))


def test_the_lists_of_the_page_are_the_vocabularies(client: Client) -> None:
    page = client.get("/").text
    assert options(page, "parameterization") == {word.value: word.meaning for word in Parameterization}
    assert options(page, "optimizer") == {word.value: record.label for word, record in OPTIMIZERS.items()}
    assert list(options(page, "alignment")) == [*AlignmentName, "measured"]  # numbers, which have fields
    assert re.findall(r'value="(\w+)" selected', page) == [Optimizer.ADAM]
    assert "<!-- options -->" not in page


def test_a_label_is_escaped() -> None:
    page = with_choices('<select name="x"><!-- options --></select>', {"x": {'a"': "<b>"}})
    assert page == '<select name="x"><option value="a&quot;">&lt;b&gt;</option></select>'


def prose(source: str) -> Iterator[str]:
    """The literal texts of every help and description in a source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg in ("help", "description", "help_text"):
            texts = [each.value for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            yield " ".join(text for text in texts if isinstance(text, str))


def hand_written(text: str) -> list[str]:
    """The vocabularies of which a text spells two words or more as words: in backticks, or with an underscore."""
    spelled = set(re.findall(r"`(\w+)`|\b([a-z]+_[a-z_0-9]+)\b|\b(\w+):", text))
    words = {word for found in spelled for word in found if word}
    kinds = [*((kind.__name__, set(kind)) for kind in VOCABULARIES), ("CORPORA", set(CORPORA))]
    return [name for name, members in kinds if len(words & {str(member) for member in members}) > 1]


def test_no_help_and_no_description_lists_words_by_hand() -> None:
    files = [*(ROOT / "service").rglob("*.py"), *(ROOT / "widthwise" / "cli").glob("*.py")]
    texts = [(path.name, text) for path in files for text in prose(path.read_text(encoding="utf-8"))]
    assert len(texts) > 150  # fewer: the search lost the descriptions
    assert [(name, text) for name, text in texts if hand_written(text)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "typer.Option(help='learning_rate (unless given), gamma, epsilon, coordinates: x, horizon: y')",
        "Field(description='How. `telescope`: all of them; `grid`: all.')",
        "Field(None, description='`python_docs`: the documentation' + '; `synthetic`: a made language')",
    ],
)
def test_a_list_by_hand_is_seen(planted: str) -> None:
    assert [hand_written(text) for text in prose(planted)] != [[]]


#: Says, in a copy of the packages, where a word stands.
_ASKED = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from service.app import create_app
from service.dashboard.views import view_page
from service.settings import Settings
from widthwise.cli.app import app
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Measured, Optimizer, known_word
import widthwise

assert widthwise.__file__.startswith(sys.argv[1]), widthwise.__file__
service = create_app(Settings())
schemas = service.openapi()["components"]["schemas"]
run = lambda *words: CliRunner().invoke(app, words, env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).output
try:
    known_word(Optimizer, "nothing", "optimizer")
except InvalidInputError as error:
    refusal = str(error)
plan = widthwise.transfer(
    parameterization="standard", optimizer="signum",
    base=widthwise.Base(width=64, learning_rate=1), target=widthwise.Target(width=128),
)
print(json.dumps({
    "document": schemas["Optimizer"]["enum"],
    "page": view_page("calculator"),
    "help": run("transfer", "--help"),
    "measured": run("calibrate", "submit", "--help"),
    "described": json.dumps(schemas),
    "refusal": refusal,
    "multiplier": plan.layer("hidden").learning_rate.multiplier,
}))
"""


def test_a_new_member_shows_up_everywhere(tmp_path: Path) -> None:
    """An optimizer and a measurement, each added in one file of a copy of the packages."""
    for package in ("widthwise", "service"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    edit(
        tmp_path / "widthwise" / "theory" / "optimizers.py",
        {
            '    SGD = "sgd"\n': '    SGD = "sgd"\n    SIGNUM = "signum"\n',
            "        Optimizer.SGD: ": '        Optimizer.SIGNUM: OptimizerRecord("Signum!", UNIT, epsilon_power=0),\n'
            "        Optimizer.SGD: ",
        },
    )
    edit(
        tmp_path / "widthwise" / "vocabulary.py",
        {'    GAMMA = "gamma", ': '    NOISE = "noise", "the scale of noise"\n    GAMMA = "gamma", '},
    )
    asked = [sys.executable, "-c", _ASKED, str(tmp_path)]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin", "HOME": str(tmp_path)}
    ran = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert "signum" in found["document"]
    assert options(found["page"], "optimizer")["signum"] == "Signum!"
    assert "signum" in found["help"]
    assert "'signum'" in found["refusal"]
    assert found["multiplier"] == 0.5
    assert "noise: the scale of noise" in re.sub(r"[\s│]+", " ", found["measured"])
    assert "`noise`: the scale of noise" in found["described"]


def edit(path: Path, changes: dict[str, str]) -> None:
    """Replace each text, which stands once in a file."""
    text = path.read_text(encoding="utf-8")
    for before, after in changes.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")
