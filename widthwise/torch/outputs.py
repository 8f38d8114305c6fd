"""The tensors that a model returns."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch


def tensors_of(output: Any) -> list[Any]:
    """All tensors in tuples, lists, mappings and dataclasses; of another object, those among its attributes.

    Objects inside these are left out: a cache of keys and values is not a result.
    """
    found = list(_inside(output))
    if not found and hasattr(output, "__dict__"):
        found = list(_inside(list(vars(output).values())))
    return found


def _inside(output: Any) -> Iterator[Any]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, Mapping):
        for each in output.values():
            yield from _inside(each)
    elif isinstance(output, tuple | list):
        for each in output:
            yield from _inside(each)
    elif is_dataclass(output) and not isinstance(output, type):
        for field in fields(output):
            yield from _inside(getattr(output, field.name))
