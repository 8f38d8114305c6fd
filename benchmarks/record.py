"""Results that last: one measurement as JSON and as a page, with the machine and the versions that gave it."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "docs" / "results"
PACKAGES = ("widthwise", "jax", "jaxlib", "optax", "numpy", "scipy", "torch", "mup")


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
        "accelerator": None,  # these commands run on the CPU; a page that used another device says so itself
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def write_result(
    name: str,
    title: str,
    command: str,
    lines: Sequence[str],
    data: Mapping[str, Any],
    *,
    packages: Sequence[str] = PACKAGES,
) -> Path:
    """Write two files of that name into docs/results, as JSON and as a page for people; give the page's path.

    Both are written by the command alone, so that every number in them was measured. packages: whose versions matter.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    where = machine(packages)
    text = json.dumps({"command": command, "machine": where, **data}, allow_nan=False, separators=(",", ":"))
    (RESULTS / f"{name}.json").write_text(text + "\n")
    versions = ", ".join(f"{package} {number}" for package, number in where["versions"].items())
    page = [
        f"# {title}",
        "",
        f"    {command}",
        "",
        *lines,
        "",
        f"Measured on {where['date']} with {where['cores']} cores of {where['processor']}, no accelerator; "
        f"Python {where['python']}, {versions}; commit {where['commit']}. "
        f"All of it, as JSON: [{name}.json]({name}.json).",
        "",
    ]
    path = RESULTS / f"{name}.md"
    path.write_text("\n".join(page))
    return path


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def commit() -> str:
    """The commit of the working tree, short; "unknown" outside a repository."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
