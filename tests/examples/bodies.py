"""The examples as a client of the library meets them: a body of POST /v1/transfers, and the plan that it asks for."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from widthwise import Base, Plan, Target, Tensor, TensorPlan, transfer
from widthwise.vocabulary import Form, Optimizer, Parameterization, WeightDecayMode

DIRECTORY = Path(__file__).parents[2] / "examples"
NAMES = ("gpt2_small_to_xl", "llama_pair", "llama_constant_kv_pair", "moe_pair", "vit_pair")

#: Every setting of words that the library knows; muP alone has more than one form.
SETTINGS = [
    {"parameterization": kind, "form": form, "optimizer": optimizer, "weight_decay_mode": mode}
    for kind in Parameterization
    for form in (tuple(Form) if kind is Parameterization.MUP else (Form.TABLE_9,))
    for optimizer in Optimizer
    for mode in WeightDecayMode
]


@cache
def _read(name: str) -> str:
    return (DIRECTORY / f"{name}.json").read_text(encoding="utf-8")


def body(name: str) -> dict[str, Any]:
    """The example's JSON, freshly parsed."""
    parsed: dict[str, Any] = json.loads(_read(name))
    return parsed


def tensors(name: str) -> list[Tensor]:
    return [Tensor(**fields) for fields in body(name)["tensors"]]


def plan(name: str, **changes: Any) -> Plan:
    """The example's plan, with some of its fields changed (`tensors` and `base` as the library's own objects)."""
    fields = {**body(name), **changes}
    for key, kind in (("base", Base), ("target", Target)):
        if isinstance(fields[key], dict):
            fields[key] = kind(**fields[key])
    fields["tensors"] = [t if isinstance(t, Tensor) else Tensor(**t) for t in fields["tensors"]]
    return transfer(**fields)


def numbers(tensor: TensorPlan) -> tuple[Any, ...]:
    """Everything of a tensor's plan but its name and tie."""
    return (tensor.role, *tensor[5:])


def with_axes(listed: Sequence[Tensor], layout: str) -> list[Tensor]:
    """The same tensors with the fan axes of each written out, by hand and not by the library's placement."""
    by_layout = {"out_in": ((1,), (0,)), "in_out": ((0,), (1,))}
    owners = {tensor.tied_to for tensor in listed}
    explicit = []
    for tensor in listed:
        fan_in, fan_out = tensor.fan_in_axes, tensor.fan_out_axes
        if fan_in is None:
            if len(tensor.base_shape) == 1:
                fan_in, fan_out = (), (0,)
            elif tensor.role == "embedding" or tensor.name in owners:
                fan_in, fan_out = (0,), (1,)  # tables are (entries, width) in every example
            elif tensor.role == "readout" or tensor.tied_to is not None:
                fan_in, fan_out = (1,), (0,)  # heads are (classes, width)
            else:
                fan_in, fan_out = by_layout[layout]
        explicit.append(replace(tensor, fan_in_axes=fan_in, fan_out_axes=fan_out))
    return explicit
