"""Who may import what: white lists, so that a new dependency is refused until it is written here."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("widthwise", "service", "workers", "migrations", "testbed", "benchmarks")
DATABASE = {"sqlalchemy", "alembic"}
LIBRARY = {"numpy", "scipy", "widthwise"}
ENGINE = {"jax", "optax", "workers.engine"} | LIBRARY


def imported(source: str) -> set[str]:
    """Every module that a source imports, wherever in it; `from a import b` counts as a.b."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def within(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def faults(path: str, source: str) -> list[str]:
    """The imports of a file that its layer does not allow."""
    modules = imported(source)
    wrong: set[str] = set()
    if path.startswith("workers/engine/"):
        wrong |= {m for m in modules if not within(m, ENGINE | set(sys.stdlib_module_names))}
    if path.startswith("widthwise/") and not path.startswith("widthwise/cli/") and path != "widthwise/client.py":
        wrong |= {m for m in modules if not within(m, LIBRARY | set(sys.stdlib_module_names))}
        wrong |= {m for m in modules if within(m, {"widthwise.cli"})}
    if not path.startswith(("service/store/", "migrations/", "testbed/", "benchmarks/")):
        wrong |= {m for m in modules if within(m, DATABASE)}
    if path.startswith("service/"):
        wrong |= {m for m in modules if within(m, {"workers", "jax", "optax"})}
    if not path.startswith(("benchmarks/", "testbed/")):
        wrong |= {m for m in modules if within(m, {"benchmarks", "testbed"})}
    if path.startswith("testbed/"):
        wrong |= {m for m in modules if within(m, {"benchmarks"})}
    return sorted(wrong | {m for m in modules if within(m, {"tests"})})


def test_every_module_keeps_to_its_layer() -> None:
    files = [path for top in PACKAGES for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 90  # fewer: the search lost a package
    found = {str(p.relative_to(ROOT)): faults(str(p.relative_to(ROOT)), p.read_text(encoding="utf-8")) for p in files}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("workers/engine/x.py", "orjson"),
        ("workers/engine/x.py", "workers.pool"),
        ("widthwise/x.py", "httpx"),
        ("widthwise/x.py", "widthwise.cli"),
        ("service/dashboard/x.py", "sqlalchemy.orm"),
        ("workers/x.py", "alembic"),
        ("service/store/x.py", "workers.pool"),
        ("service/x.py", "testbed.waiting"),
        ("workers/x.py", "benchmarks.record"),
        ("testbed/x.py", "benchmarks.record"),
        ("benchmarks/record.py", "tests.store.samples"),
    ],
)
def test_a_planted_import_is_seen(path: str, planted: str) -> None:
    assert faults(path, f"def f():\n    import {planted}\n") == [planted]
