"""The code that determines a loss: a digest of its sources, which shows whether two calibrations ran the same code."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import widthwise
import workers.engine

_ENGINE, _LIBRARY = (Path(str(package.__file__)).parent for package in (workers.engine, widthwise))


@cache
def code_sha256() -> str:
    """Return the SHA-256 over the names and bytes of `sources`."""
    digest = hashlib.sha256()
    for name, path in sources().items():
        text = path.read_bytes()
        digest.update(f"{name}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()


def sources() -> dict[str, Path]:
    """Return, sorted by name, every module of the engine and every library module that these import, transitively.

    Imports are read from the sources, since the modules that happen to be loaded differ between processes.
    """
    found = {f"engine/{path.relative_to(_ENGINE).as_posix()}": path for path in _ENGINE.rglob("*.py")}
    left = set().union(*(_imported(path) for path in found.values()))
    while left:
        path = left.pop()
        found[f"widthwise/{path.relative_to(_LIBRARY).as_posix()}"] = path
        left |= _imported(path) - set(found.values())
    return dict(sorted(found.items()))


def _imported(path: Path) -> set[Path]:
    """Return the library modules that a source imports: those that define the names, not packages in between."""
    found: set[Path | None] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            # `import widthwise` by itself uses no code, only the version and the location
            found |= {_module(alias.name) for alias in node.names if "." in alias.name}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {_defining(node.module, alias.name) for alias in node.names}
    return {file for file in found if file is not None}


def _defining(module: str, name: str) -> Path | None:
    """Return the module that defines what `from module import name` imports; None outside the library."""
    file = _module(module)
    if file is None or file.name != "__init__.py":
        return file
    for node in ast.walk(ast.parse(file.read_bytes())):  # names that are imported later stand under `if TYPE_CHECKING`
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _defining(node.module, alias.name)
    return _module(f"{module}.{name}") or file


def _module(name: str) -> Path | None:
    """Return the source of a module or package of the library; None if there is none with that name."""
    package, *parts = name.split(".")
    if package != _LIBRARY.name:
        return None
    place = _LIBRARY.joinpath(*parts)
    files = (place.with_suffix(".py"), place / "__init__.py")
    return next((file for file in files if file.is_file()), None)
