"""Transfers that provoke the rarer warnings, that are refused in every way, and that are asked of the command."""

import json
from collections.abc import Iterator
from typing import Any

from tests.recorded.asks import BASE, TENSORS, UNTIED, transfer

Json = dict[str, Any]

_HEAD = UNTIED[-1]
_NARROW = {"name": "kv", "base_shape": [64, 256], "target_shape": [64, 1024], "fan_in_axes": [1], "fan_out_axes": [0]}
_ALIGNED = {"alpha": 1.0, "omega": 0.5, "u": 1.0}


def _tensor(base: list[Any], target: list[Any], name: str = "x", **more: Any) -> Json:
    return {"name": name, "base_shape": base, "target_shape": target, **more}


def _with(*tensors: Json, layout: str | None = "out_in", **more: Any) -> Json:
    return transfer(tensors=list(tensors), layout=layout, **more)


def more_transfers() -> Iterator[tuple[str, Json]]:
    """Warnings that `asks.transfers` does not provoke; every size by itself; every value by role."""
    yield "several readouts", _with(TENSORS[0], TENSORS[1], _NARROW, _HEAD)
    yield "embedding that grows", _with(_tensor([1000, 256], [2000, 512], role="embedding"))
    stack = _tensor([4, 256, 256], [8, 1024, 1024], "stack", fan_in_axes=[1], fan_out_axes=[2])
    yield "stack changes", _with(TENSORS[0], TENSORS[1], stack)
    yield "last layer", _with(*UNTIED[:-1], _tensor([300, 256], [1111, 1024], "last"))
    yield "constant matrix", _with(*UNTIED, _tensor([64, 82], [64, 82], "edges"))
    deep = {"base": {**BASE, "depth": 12}, "target": {"width": 1024, "depth": 12}}
    yield "stack by depth", _with(*UNTIED, _tensor([12, 256], [12, 1024], "gains"), **deep)
    heads = {"base": {**BASE, "head_dim": 64}, "target": {"width": 1024, "head_dim": 128}}
    for backward in (True, False):
        multipliers = [
            {"role": "embedding", "power": 0.5, "of": "fan_out"},
            {"tensors": ["head"], "power": -1, "of": "fan_in", "backward": backward},
        ]
        yield (
            f"code multiplies, backward {backward}",
            _with(*UNTIED, code_multipliers=multipliers, qk_norm=True, **heads),
        )
    yield "tied code multiplies", _with(*TENSORS, code_multipliers=multipliers[:1], parameterization="standard")
    yield "small output", transfer("standard", base={**BASE, "output_dimension": 2}, target={"width": 512})
    yield "adafactor's epsilon", transfer("ntk", "adafactor", base={**BASE, "epsilon": 1e-45})
    yield "wide", transfer(base={**BASE, "width": 512}, target={"width": 12288})
    for size, at_base, at_target in (
        ("depth", 4, 32),
        ("batch_tokens", 2**16, 2**20),
        ("tokens", 10**9, 10**12),
        ("head_dim", 64, 128),
        ("output_dimension", 50257, 50304),
    ):
        yield size, transfer(base={**BASE, size: at_base}, target={"width": 1024, size: at_target})
    by_role = {"embedding": 1e-3, "hidden": 2e-3, "readout": 3e-3, "vector": 4e-3, "scalar": 5e-3}
    for value in ("learning_rate", "epsilon", "weight_decay", "init_std", "gamma", "gradient_rms"):
        for kind in ("standard", "mean_field"):
            base = {**BASE, "learning_rate": 0.01, value: by_role}
            yield f"{value} by role {kind}", transfer(kind, "adamw", base=base, tensors=UNTIED, layout="out_in")
    for kind, optimizer in (("standard", "adam"), ("ntk", "adamw"), ("mup", "sgd"), ("mean_field", "adafactor")):
        # a readout's weights that lie as the embedding's do, and others that are transposed
        own = _tensor([1000, 256], [1000, 1024], "table")
        turned = _tensor([256, 1000], [1024, 1000], "out", role="readout", tied_to="table")
        yield f"tied and turned {kind}", _with(own, TENSORS[1], turned, parameterization=kind, optimizer=optimizer)
    fans = {"fan_in_axes": [1], "fan_out_axes": [0]}
    yield "tied alike", _with(_tensor([8, 8], [9, 9], "a", **fans), _tensor([8, 8], [9, 9], "b", tied_to="a", **fans))
    yield "convolution", _with(_tensor([256, 128, 3, 3], [512, 256, 3, 3], fan_in_axes=[1, 2, 3], fan_out_axes=[0]))
    yield "negative axes", _with(_tensor([4, 256, 512], [4, 512, 1024], fan_in_axes=[-2], fan_out_axes=[-1]))
    yield "whole floats", _with(_tensor([256.0, 256], [1024, 1024.0]))
    yield "nulls", transfer(form="table_9", readout_omega=0.5, rules={}, exponents={"source": "theory"})


def more_refused() -> Iterator[tuple[str, Json]]:
    """Fields of a wrong kind or out of range, and tensors that nothing places."""
    for name, value in (
        ("learning_rate", True),
        ("learning_rate", 0),
        ("learning_rate", "0.1"),
        ("learning_rate", {}),
        ("learning_rate", {"attention": 0.1}),
        ("epsilon", -1e-8),
        ("init_std", 1e300),
        ("gamma", {"hidden": 0}),
        ("gamma", 2.0),
        ("gradient_rms", 0),
        ("width", 0),
        ("width", 2.5),
        ("width", 2**60),
        ("depth", "four"),
        ("colour", 1),
    ):
        yield f"base.{name} {json.dumps(value)}", transfer(base={**BASE, name: value})
    for name, value in (
        ("parameterization", "spectral"),
        ("alignment", "half"),
        ("alignment", {"hidden": _ALIGNED}),
        ("alignment", {"hidden": _ALIGNED, "readout": {"alpha": 1.0}}),
        ("readout_omega", 0.4),
        ("form", "table_4"),
        ("layout", "sideways"),
        ("weight_decay_mode", "gentle"),
        ("exponents", {"source": "guess"}),
        ("exponents", {"source": "calibration"}),
        ("exponents", {"source": "calibration", "id": "no id"}),
        ("target", 1024),
        ("tensors", {}),
    ):
        yield f"{name} {json.dumps(value)}", transfer(**{name: value})
    yield "no base", transfer(base=None)
    yield "nothing", {}
    for name, tensors in (
        ("twice", [TENSORS[1], TENSORS[1]]),
        ("ranks", [_tensor([256], [1024, 1024])]),
        ("empty axis", [_tensor([0, 256], [0, 1024])]),
        ("axis beyond", [_tensor([256, 256], [512, 512], fan_in_axes=[3], fan_out_axes=[0])]),
        ("axis twice", [_tensor([256, 256], [512, 512], fan_in_axes=[1], fan_out_axes=[1])]),
        ("one side only", [_tensor([256, 256], [512, 512], fan_in_axes=[1])]),
        ("three axes", [_tensor([4, 256, 512], [4, 512, 1024])]),
        ("swapped", [_tensor([100, 256], [100, 512], role="embedding", fan_in_axes=[1], fan_out_axes=[0])]),
        ("padded", [_tensor([50257, 256], [50304, 1024])]),
        ("unknown role", [_tensor([256, 256], [512, 512], role="attention")]),
        ("tie to itself", [_tensor([256, 256], [512, 512], tied_to="x")]),
        ("tie of sizes", [TENSORS[0], _tensor([100, 256], [100, 1024], tied_to="embed")]),
        ("tie of roles", [TENSORS[1], _tensor([65536], [1048576], role="vector", tied_to="q")]),
        ("no name", [{"base_shape": [2], "target_shape": [4]}]),
        ("control character", [_tensor([2], [4], "\u0007")]),
        ("a stack or a table", [*UNTIED, _tensor([12, 256], [24, 1024], "positions")]),
        ("two faults", [_tensor([100, 256], [100, 512], "a"), _tensor([4, 8, 16], [4, 8, 32], "b")]),
    ):
        yield f"tensors {name}", _with(*tensors)
    yield "layout left open", _with(*UNTIED, layout=None)


def commands() -> Iterator[tuple[str, list[str], str]]:
    """Runs of `widthwise transfer … --json`: name, arguments, standard input."""
    options = ["-p", "standard", "-o", "adam", "--base-width", "256", "--target-width", "4096", "--lr", "0.003"]
    yield "options", [*options, "--epsilon", "1e-8"], ""
    sizes = ["--weight-decay", "0.1", "--init-std", "0.02", "--gradient-rms", "hidden=1e-6", "--alignment", "none"]
    yield "every option", [*options, *sizes, "--weight-decay-mode", "independent", "--readout-omega", "1"], ""
    by_role = ["--lr", "embedding=0.1", "--lr", "hidden=0.01", "--lr", "readout=0.02"]
    yield "by role", ["-p", "mup", "-o", "sgd", "--base-width", "64", "--target-width", "128", *by_role], ""
    yield "form", ["-p", "mup", "-o", "adamw", *options[4:], "--form", "table_3"], ""
    yield "standard input", ["-"], json.dumps(transfer(tensors=UNTIED, layout="out_in"))
    replaced = ["-", "-p", "ntk", "--target-width", "512", "--layout", "in_out"]
    yield "replaced", replaced, json.dumps(transfer(tensors=UNTIED, layout="out_in"))
    yield "not JSON", ["-"], "{"
    yield "unknown field", ["-"], json.dumps(transfer(colour="red"))
    yield "unplaced", ["-"], json.dumps(_with(_tensor([100, 256], [100, 512])))
    yield "no learning rate", options[:-2], ""
    yield "wrong word", [*options, "-o", "sophia"], ""
    yield "form of another", [*options, "--form", "table_3"], ""
