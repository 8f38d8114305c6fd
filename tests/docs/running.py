"""Run a page's code blocks in order: Python in one namespace, commands in this process, requests to a real service."""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs import not_run
from tests.docs.blocks import ROOT, Block, blocks
from tests.docs.given import GIVEN
from widthwise.cli import main
from widthwise.cli.console import PIPE_WIDTH
from widthwise.client import DEFAULT_URL


@dataclass
class Reader:
    """Someone who follows a page in an empty folder, next to the repository's examples, with a service running."""

    url: str
    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    identifier: str = ""  # of what was created last; pages call it ID or $ID

    def follow(self, page: str) -> int:
        """Run what a page has; return how many blocks and commands that was."""
        shutil.copytree(ROOT / "examples", self.folder / "examples", dirs_exist_ok=True)
        given = GIVEN.get(page)
        if given is not None:
            self.names |= given(self.folder)
        done = 0
        with _inside(self.folder, WIDTHWISE_URL=self.url, URL=self.url, COLUMNS=str(PIPE_WIDTH)):
            for block in blocks(page):
                done += self._python(block) if block.kind == "python" else self._shell(block)
        return done

    def _python(self, block: Block) -> int:
        if block.page in not_run.ELSEWHERE or left_out(block, block.text):
            return 0
        code = "\n" * block.line + block.text.replace(DEFAULT_URL, self.url)  # a failure names the page's own line
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(ROOT / block.page), "exec"), self.names)  # noqa: S102
        _is_printed(block, printed.getvalue())
        return 1

    def _shell(self, block: Block) -> int:
        commands = [command for command in block.commands if not left_out(block, command)]
        said = ""
        for command in commands:
            try:
                said += self._command(command)
            except AssertionError as error:
                raise AssertionError(f"{block.place}: {command}\n{error}") from error
        _is_printed(block, said)
        return len(commands)

    def _command(self, command: str) -> str:
        local = command.replace(DEFAULT_URL, self.url).replace("localhost:8000", self.url)
        words = [self._filled(word) for word in shlex.split(local, comments=True)]
        output = None
        if len(words) > 2 and words[-2] == ">":
            output = self.folder / words[-1]
            words = words[:-2]
        assert not set(words) & {"|", "<", ">", "&&", ";"}, "nothing here runs more than one program"
        match words:
            case ["widthwise", *arguments]:
                said = self._widthwise(arguments)
            case ["curl", *arguments]:
                said = self._curl(arguments)
            case ["echo", *arguments]:
                said = " ".join(arguments)
            case ["export", assignment]:
                name, _, value = assignment.partition("=")
                if "…" not in value:  # a secret that only the reader has
                    os.environ.setdefault(name, value)  # the test's own service stays the one that is asked
                said = ""
            case ["umask", _]:
                said = ""
            case _:
                raise AssertionError("nothing here runs this; tests/docs/not_run.py lists what is left out")
        if output is None:
            return said
        output.write_text(said, encoding="utf-8")
        return ""

    def _filled(self, word: str) -> str:
        word = re.sub(r"\$ID\b|^ID$", self.identifier or "ID", word)
        return os.path.expandvars(word)

    def _widthwise(self, arguments: list[str]) -> str:
        out, err = io.StringIO(), io.StringIO()
        stdin, sys.stdin = sys.stdin, io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main(arguments)
        finally:
            sys.stdin = stdin
        assert ended.value.code in (0, None), err.getvalue()
        said = out.getvalue()
        found = re.search(r"\b[a-z]+_[0-9a-f]{24}\b|(?<=\bww_)[0-9a-f]{16}(?=_)", err.getvalue() + said)
        self.identifier = found[0] if found else self.identifier
        return said

    def _curl(self, arguments: list[str]) -> str:
        answer = sent(arguments)
        assert answer.is_success, answer.text
        if answer.status_code in (201, 202):
            self.identifier = answer.json()["id"]
        return answer.text


def _is_printed(block: Block, printed: str) -> None:
    """Check that each line of output that a page shows was printed, whatever the spaces; `…` stands for the rest."""
    lines = [line.split() for line in printed.splitlines()]
    for shown in block.output.splitlines():
        words = shown.partition("…")[0].split()
        found = any(line[: len(words)] == words if "…" in shown else line == words for line in lines)
        assert found, f"{block.place} doesn't print {shown!r}, but:\n{printed}"


def runnable(page: str) -> bool:
    """Whether anything of a page is run here."""
    return any(
        not left_out(block, code) and not (block.kind == "python" and page in not_run.ELSEWHERE)
        for block in blocks(page)
        for code in (block.commands if block.kind == "shell" else [block.text])
    )


def left_out(block: Block, code: str) -> bool:
    """Whether the list of what is not run has this command or block."""
    entries = not_run.COMMANDS if block.kind == "shell" else not_run.PYTHON
    return any(fnmatch(block.page, page) and code.startswith(start) for page, start in entries)


def sent(arguments: list[str]) -> httpx.Response:
    """Send what a curl command line with -s, -X, -H and -d sends."""
    method, headers, body, address = None, {}, None, ""
    rest = iter(arguments)
    for word in rest:
        match word:
            case "-s":
                continue
            case "-X":
                method = next(rest)
            case "-H":
                name, value = next(rest).split(": ", 1)
                headers[name] = value
            case "-d":
                given = next(rest)
                body = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
                json.loads(body)
            case _:
                assert not word.startswith("-"), word
                address = word
    method = method or ("GET" if body is None else "POST")
    return httpx.request(method, address, headers=headers, content=body, trust_env=False, timeout=60)


@contextlib.contextmanager
def _inside(folder: Path, **variables: str) -> Iterator[None]:
    """Work in a folder, from which Python imports too, with these variables; both are as before afterwards."""
    before, environment, path, modules = Path.cwd(), dict(os.environ), list(sys.path), set(sys.modules)
    os.chdir(folder)
    os.environ.update(variables)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
