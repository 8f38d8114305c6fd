"""The code blocks of the README and of docs/: fenced and indented ones, with what each is."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*/README.*"),
    )
)
#: Libraries that `make test` lacks: a page whose Python imports one is run by `make test-models`.
MODEL_LIBRARIES = {
    "diffusers",
    "equinox",
    "flax",
    "haiku",
    "lightning",
    "optuna",
    "peft",
    "ray",
    "timm",
    "torch",
    "transformers",
}
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?:(?:    [^\n]*|[ ]*)\n)*    [^\n]*(?:\n|\Z)")
#: How a command line begins; an indented block that begins so is of the shell.
_COMMAND = re.compile(r"([A-Z_]+=\S+ )*(widthwise [a-z]|(curl|make|python|pip|docker|echo|export) [\w'\"-])")
_NO_CODE = {"text", "json", "yaml", "math", "toml", "csv", ""}  # shown, not run


@dataclass(frozen=True)
class Block:
    """A block that a reader would run."""

    page: str
    line: int
    kind: str  #: "python" or "shell"
    text: str
    output: str = ""  #: what the page shows that it prints: a `text` block right behind it

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> tuple[str, ...]:
        """The command lines of a shell block, each whole: over continued lines and quotes that span lines."""
        return tuple(_commands(self.text))

    @property
    def imports(self) -> set[str]:
        """The packages that a Python block imports."""
        nodes = list(ast.walk(ast.parse(self.text)))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        return {
            re.sub(r"^widthwise\.(?=torch\b)|^widthwise\.integrations\.", "", name).partition(".")[0] for name in names
        }


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in order."""
    return _blocks(page, (ROOT / page).read_text(encoding="utf-8"))


def needs_models(page: str) -> bool:
    """Whether a page's Python needs a library that only `make test-models` installs."""
    return any(block.imports & MODEL_LIBRARIES for block in blocks(page) if block.kind == "python")


def _blocks(page: str, text: str) -> list[Block]:
    found: list[tuple[int, str, str, str]] = []
    for fence in _FENCE.finditer(text):
        language = {"bash": "shell", "sh": "shell", "console": "shell"}.get(fence[2], fence[2])
        if language not in ("shell", "python"):
            assert language in _NO_CODE, f"{page}: nothing here knows what a block of {language!r} is"
            continue
        indent = len(fence[1])
        body = "".join(line[indent:] for line in fence[3].splitlines(keepends=True))
        shown = re.match(r"\n\n```text\n(.*?)^```$", text[fence.end() :], re.MULTILINE | re.DOTALL)
        found.append((fence.start(), language, body, shown[1] if shown else ""))
    rest = _FENCE.sub(lambda fence: re.sub(r"[^\n]", "", fence[0]), text)
    offsets = _offsets(text, rest)
    for indented in _INDENTED.finditer(rest):
        line = rest.count("\n", 0, indented.start())
        body = "".join(line[4:] or "\n" for line in indented[0].splitlines(keepends=True))
        parts = [body] if _kind(body) else re.split(r"(?<=\n)\n", body)  # a command may follow on Python
        for part in parts:
            kind = _kind(part)
            if kind:
                found.append((offsets[line], kind, part, ""))
            line += part.count("\n") + 1
    return [Block(page, text.count("\n", 0, at) + 1, kind, body, out) for at, kind, body, out in sorted(found)]


def _offsets(text: str, rest: str) -> list[int]:
    """Return where each line of a text begins; both have the same lines."""
    assert text.count("\n") == rest.count("\n")
    return [0, *(found.end() for found in re.finditer("\n", text))]


def _kind(body: str) -> str | None:
    """Return what an indented block is: shell, Python, or None for output, formulas and drawings."""
    if _COMMAND.match(body):
        return "shell"
    try:
        tree = ast.parse(body)
    except SyntaxError:
        return None
    return (
        "python" if any(isinstance(node, ast.Import | ast.ImportFrom | ast.Call) for node in ast.walk(tree)) else None
    )


def _commands(text: str) -> Iterator[str]:
    command = ""
    for line in text.splitlines():
        command += f"{line}\n"
        stripped = command.rstrip()
        if not stripped or stripped.startswith("#"):
            command = ""
        elif not stripped.endswith("\\") and _closed(stripped):
            yield re.sub(r"\\\n\s*", "", stripped)
            command = ""
    assert not command.strip(), f"a command that does not end: {command!r}"


def _closed(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return True
