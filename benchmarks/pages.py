"""Whether every page of results can be made again: it names a commit of this history that holds its benchmark.

    python -m benchmarks.pages

It needs the whole history of the repository, and ends with 1 if a page is at fault.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run git in a folder; what it says is captured."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)


def fault(folder: Path, page: Path) -> str | None:
    """Return what keeps a page of a repository from being made again at the commit that it names; None if nothing."""
    text = page.read_text(encoding="utf-8")
    command = re.search(r"^    (python -m benchmarks\.(\w+).*)", text, re.MULTILINE)
    named = re.search(r"; commit (\S+?)\. All of it", text)
    if command is None or named is None:
        return "it names no command of benchmarks, or no commit"
    commit = named[1]
    beside = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    if (beside["command"], beside["machine"]["commit"]) != (command[1], commit):
        return "the JSON next to it names another command or commit"
    if not re.fullmatch("[0-9a-f]{7,40}", commit):
        return f"it was measured at {commit!r}, which no one can check out; measure it again from a clean tree"
    if git(folder, "merge-base", "--is-ancestor", commit, "HEAD").returncode:
        return f"commit {commit} is not in the history of HEAD; measure it again"
    if git(folder, "cat-file", "-e", f"{commit}:benchmarks/{command[2]}.py").returncode:
        return f"commit {commit} holds no benchmarks/{command[2]}.py; measure it again"
    return None


def main() -> None:
    if git(ROOT, "rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        sys.exit("This needs the whole history: clone the repository with git, or `git fetch --unshallow`.")
    pages = sorted(page for page in (ROOT / "docs" / "results").glob("*.md") if page.stem != "README")
    faults = {page.name: found for page in pages if (found := fault(ROOT, page)) is not None}
    for name, found in faults.items():
        print(f"{name}: {found}")
    print(f"{len(pages) - len(faults)} of {len(pages)} pages name a commit at which they can be made again.")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
