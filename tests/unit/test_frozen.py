"""Every record of the mathematics is frozen, so that a cached one can't be changed under another's hands."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

#: Written in full, since benchmarks.mutants finds by such names the tests that concern a package.
PACKAGES = (
    "widthwise.theory",
    "widthwise.tensors",
    "widthwise.rules",
    "widthwise.transfers",
    "widthwise.calibration",
    "widthwise.search",
    "widthwise.estimate",
)
#: Where a transfer makes thousands of each.
MANY = ("widthwise.theory.", "widthwise.tensors.", "widthwise.rules.", "widthwise.transfers.")


def records() -> Iterator[type]:
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, f"{package}."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.name:
                    yield value


@pytest.mark.parametrize("record", sorted(set(records()), key=lambda each: each.__qualname__))
def test_a_record_is_frozen_and_small_where_there_are_many(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if record.__module__.startswith(MANY):
        assert "__slots__" in vars(record)
