"""The code that decides a loss: one digest of its sources, by which two calibrations know whether they ran the same."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import widthwise
import workers.engine

_ENGINE, _LIBRARY = (Path(str(package.__file__)).parent for package in (workers.engine, widthwise))


@cache
def code_sha256() -> str:
    """SHA-256 over the names and bytes of `sources`."""
    digest = hashlib.sha256()
    for name, path in sources().items():
        text = path.read_bytes()
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()


def sources() -> dict[str, Path]:
    """Every module of the engine, and every one of the library that these import, directly or not; by name, in order.

    What they import is read in the sources: which modules happen to be loaded differs from process to process.
    """
    found = {f"engine/{path.relative_to(_ENGINE).as_posix()}": path for path in _ENGINE.rglob("*.py")}
    left = set().union(*(_imported(path) for path in found.values()))
    while left:
        path = left.pop()
        found[f"widthwise/{path.relative_to(_LIBRARY).as_posix()}"] = path
        left |= _imported(path) - set(found.values())
    return dict(sorted(found.items()))


def _imported(path: Path) -> set[Path]:
    """The modules of the library that a source imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = {
        _LIBRARY.joinpath(*name.split(".")[1:]).with_suffix(".py") for name in names if name.startswith("widthwise.")
    }
    return {file for file in files if file.exists()}
