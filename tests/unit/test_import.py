"""`import widthwise` stays light, its public names are there, and the docstrings' examples hold."""

import doctest
import importlib
import importlib.util
import pkgutil
import subprocess
import sys
from pathlib import Path

import service
import widthwise
import workers


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = ("jax", "scipy", "pydantic", "fastapi", "sqlalchemy", "httpx", "typer", "rich", "torch", "pandas")
    program = f"import sys, widthwise; print([m for m in {heavy!r} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_public_names_exist_and_are_sorted() -> None:
    assert widthwise.__all__ == sorted(widthwise.__all__)
    assert all(hasattr(widthwise, name) for name in widthwise.__all__)


def modules_with_examples() -> list[str]:
    """Every module of the three packages whose source holds a doctest; only packages are imported to find them."""
    found = []
    for package in (widthwise, service, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            place = importlib.util.find_spec(module.name)
            assert place is not None
            assert place.origin is not None
            if ">>> " in Path(place.origin).read_text(encoding="utf-8"):
                found.append(module.name)
    return found


def test_docstring_examples() -> None:
    results = {name: doctest.testmod(importlib.import_module(name)) for name in modules_with_examples()}
    assert [name for name, result in results.items() if result.failed] == []
    assert [name for name, result in results.items() if result.attempted == 0] == []
    assert sum(result.attempted for result in results.values()) >= 13  # fewer: the search lost a package


def test_each_name_can_be_the_first_that_is_imported() -> None:
    """Nothing hides an import that only works after another one; each is tried in a new process."""
    program = """if True:
        import os, sys, widthwise
        for name in widthwise._MODULES:
            child = os.fork()
            if not child:
                __import__(f"widthwise.{name}")
                os._exit(0)
            if os.waitpid(child, 0)[1]:
                print(name)
        assert widthwise.Role.HIDDEN and "widthwise.rules" not in sys.modules, "one name brought all others"
        assert set(widthwise.__all__) <= set(dir(widthwise))
    """
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)
