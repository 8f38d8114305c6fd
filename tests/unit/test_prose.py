"""Docstrings, comments and messages are plain English: no phrase that a native engineer would stumble over."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("widthwise", "service", "workers", "migrations", "testbed", "benchmarks", "docs_site", "tests")

#: What is not written here, and what to write instead.
PHRASES = {
    "give for return": (r'^"""Gives? ', "return"),
    "mend": (r"\bmend(s|ed|ing)?\b", "fix"),
    "anew": (r"\banew\b", "again"),
    "aright": (r"\baright\b", "correctly"),
    "come again": (r"\bcomes? again\b(?! and)", "retry"),
    "at the most": (r"\bat the most\b", "at most"),
    "such as is": (r"\bsuch as (is|are)\b", "an example by name"),
    "of its own": (
        r"\bof (its|their|his|our|your) own\b(?! (?!that|on|and|or|would|from|with|in|for)\w)",
        "its own, separate",
    ),
    "is no X": (
        r"(?<![Tt]here )\b(is|are|was|were) no (?!(longer|more|less|better|worse|larger|wider)\b)[a-z]",
        "is not",
    ),
    "that which": (r"\bthat which\b", "what"),
    "shall": (r"\bshall\b", "must"),
    "beside": (r"\bbeside\b", "next to, besides, compared with"),
    "goes on": (r"\b(goes|go|went) on\b", "continues"),
    "see to": (r"\b(sees?|seen|saw) to (it|what|them|that)\b", "handle"),
    "for want of": (r"\bfor want of\b", "without"),
    "in place of": (r"\bin place of\b", "instead of"),
    "where … whose": (r"\b[Ww]here\b[^.;:]*\bwhose\b|\bwhose\b[^.;:]*\bwhose\b", "if, with, or two sentences"),
}
#: Files with a phrase that may stay: each is a quotation, or waits for the change that rewrites its file.
MAY_STAY = {
    "tests/unit/test_audit.py": {"mend"},  # what a tool prints
    "widthwise/cli/plans.py": {"give for return"},
    "widthwise/cli/transfer.py": {"is no X"},
    "widthwise/transfers/request.py": {"of its own"},
    "service/calibrations/schemas.py": {"beside"},
    "service/calibrations/specification.py": {"goes on"},
}
#: Sentences that a reader stumbled over, by the phrase that they break.
STUMBLES = {
    "give for return": '"""Give HMAC-SHA256 of a secret as 64 hexadecimal digits.',
    "mend": "There is no field 'x' here; remove it or mend its name",
    "anew": "a row whose message seems lost is announced anew",
    "come again": "Other large bodies leave no room for this one; come again in 5 seconds.",
    "of its own": "Every API process is a target of its own.",
    "is no X": "1/width, which is no power law",
    "beside": "every version that the engine says beside its code",
    "goes on": "The calibration goes on; watch it again",
    "see to": "who sees to what a crash left behind",
    "for want of": "requests refused for want of scope",
    "in place of": "One integer schema in place of the union.",
    "where … whose": "Where a shard is lost whose worker died",
}


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of every docstring, comment and message of a module."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(source)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    docstrings = {id(statement.value) for statement in first if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            quotes = '"""' if id(node) in docstrings else ""
            yield node.lineno, quotes + " ".join(node.value.split())


def broken(text: str) -> list[str]:
    return [name for name, (pattern, _) in PHRASES.items() if re.search(pattern, text)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_prose_is_plain(folder: str) -> None:
    paths = [path for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__)]
    assert paths
    found = [
        f"{place}:{line}: {name}, write {PHRASES[name][1]}: {text[:120]}"
        for path in paths
        for place in [path.relative_to(ROOT).as_posix()]
        for line, text in prose(path)
        for name in broken(text)
        if name not in MAY_STAY.get(place, ())
    ]
    assert found == []


@pytest.mark.parametrize(("name", "sentence"), STUMBLES.items())
def test_a_phrase_is_noticed(name: str, sentence: str) -> None:
    assert name in broken(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "a tensor uses the ratios of its own fan-in and fan-out", "there is no such key", "it is no longer valid",
        "a byte comes again and again", '"""Return what is given.', "the widths whose optimum is known",
    ],
)  # fmt: skip
def test_plain_sentences_pass(sentence: str) -> None:
    assert broken(sentence) == []
