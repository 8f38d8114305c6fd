"""Stands in for torchvision while timm is imported.

timm imports it for the data pipeline alone, and its wheel holds kernels that don't load next to the CPU build of torch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

MODULES = tuple(
    f"torchvision{part}"
    for part in (
        "",
        ".datasets",
        ".models",
        ".models.feature_extraction",
        ".ops",
        ".ops.misc",
        ".transforms",
        ".transforms.functional",
    )
)


class _Anything(type):
    """A class that has every attribute, each another such class."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Anything(name, (), {})
        setattr(cls, name, made)
        return made


class _Module(ModuleType):
    __path__: ClassVar[list[str]] = []  # what makes it a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = sys.modules.get(f"{self.__name__}.{name}") or _Anything(name, (), {})
        setattr(self, name, made)
        return made


@contextmanager
def pretended() -> Iterator[None]:
    """Let imports of torchvision succeed inside the block alone: others look whether it is installed."""
    for name in MODULES:
        sys.modules[name] = _Module(name)
    try:
        yield
    finally:
        for name in MODULES:
            del sys.modules[name]
