"""Results that last: one measurement as JSON and as a page, with the machine and the versions that gave it."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results"
MEASURED = ("benchmarks", "testbed", "service", "widthwise", "workers", "migrations")  # folders that decide a result
PACKAGES = ("widthwise", "jax", "jaxlib", "optax", "numpy", "scipy", "torch", "mup")


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark that has a page: `--dry`, and what `write_result` is to name.

    The commit is read here, before anything is measured: it may have moved on by the end.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print the page, and write nothing into docs/results")
    parser.set_defaults(commit=commit(), command=command(sys.argv))
    return parser


def command(argv: Sequence[str]) -> str:
    """The command line of a benchmark's process, from its `sys.argv`."""
    return shlex.join(["python", "-m", f"benchmarks.{Path(argv[0]).stem}", *argv[1:]])


def machine(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """The processor, its cores, and the versions of what computes; a package that is absent is left out."""
    versions = {}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "accelerator": None,  # these commands run on the CPU, but for one, which names its device
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
    }


def recorded(name: str, folder: Path = RESULTS) -> dict[str, Any]:
    """The page that was written last, as JSON; nothing if there is none."""
    path = folder / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def write_result(
    name: str,
    title: str,
    lines: Sequence[str],
    data: Mapping[str, Any],
    options: argparse.Namespace,
    *,
    packages: Sequence[str] = PACKAGES,
    accelerator: str | None = None,
    pictures: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Print a page and, unless `options.dry`, write it into docs/results, as JSON and as Markdown.

    Both are written by the command alone, so that every number in them was measured. options: as `arguments` parses
    them. packages: whose versions matter. accelerator: the device that measured, if it was not the CPU.
    pictures: SVG documents by what they show. folder: where to write, docs/results by default.
    """
    print("\n".join(lines))
    if options.dry:
        return
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    where = {**machine(packages), "accelerator": accelerator, "commit": options.commit}
    text = json.dumps({"command": options.command, "machine": where, **data}, allow_nan=False, separators=(",", ":"))
    (folder / f"{name}.json").write_text(text + "\n")
    device = accelerator or "no accelerator"
    versions = ", ".join(f"{package} {number}" for package, number in where["versions"].items())
    shown: list[str] = []
    for number, (what, picture) in enumerate((pictures or {}).items(), start=1):
        file = f"{name}_{number}.svg"
        (folder / file).write_text(picture + "\n")
        shown += [f"![{what}]({file})", ""]
    page = [
        f"# {title}",
        "",
        f"    {options.command}",
        "",
        *lines,
        "",
        *shown,
        f"Measured on {where['date']} with {where['cores']} cores of {where['processor']}, {device}; "
        f"Python {where['python']}, {versions}; commit {where['commit']}. "
        f"All of it, as JSON: [{name}.json]({name}.json).",
        "",
    ]
    path = folder / f"{name}.md"
    path.write_text("\n".join(page))
    print(f"\nWritten to {path}")


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit(root: Path = ROOT) -> str:
    """The commit of the working tree, short; "unknown" outside a repository.

    It ends in "-dirty" where a file that decides a result is not as committed: the commit then can't give it again.
    """
    found = _git(root, "rev-parse", "--short", "HEAD")
    if not found:
        return "unknown"
    return f"{found}-dirty" if _git(root, "status", "--porcelain", "--", *MEASURED) else found


def _git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False).stdout.strip()
