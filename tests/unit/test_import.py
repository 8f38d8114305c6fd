"""`import widthwise` stays light, its public names are there, and the docstrings' examples hold."""

import doctest
import importlib
import subprocess
import sys

import pytest

import widthwise


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = ("jax", "scipy", "pydantic", "fastapi", "sqlalchemy", "httpx", "typer", "rich", "torch", "pandas")
    program = f"import sys, widthwise; print([m for m in {heavy!r} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_public_names_exist_and_are_sorted() -> None:
    assert widthwise.__all__ == sorted(widthwise.__all__)
    assert all(hasattr(widthwise, name) for name in widthwise.__all__)


@pytest.mark.parametrize("module", ["optimizers", "parameterization", "stability", "transfer"])
def test_docstring_examples(module) -> None:
    results = doctest.testmod(importlib.import_module(f"widthwise.{module}"))
    assert results.attempted > 0
    assert results.failed == 0
