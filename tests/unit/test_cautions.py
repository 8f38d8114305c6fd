"""The warnings of a plan: each fires where it should, and is silent just outside of that."""

from typing import Any

import pytest

from widthwise import Base, Exponents, Target, Tensor, transfer


def codes(**more) -> set[str]:
    options = {"parameterization": "standard", "optimizer": "adam"} | more
    return {w.code for w in transfer(**options).warnings}


@pytest.mark.parametrize(
    ("code", "request_", "quiet"),
    [
        ("extrapolation", {"target": Target(width=64 * 16 + 1)}, {"target": Target(width=64 * 16)}),
        ("small_base_width", {"base": Base(width=511)}, {"base": Base(width=512)}),
        ("target_smaller", {"target": Target(width=32)}, {"target": Target(width=64)}),
        ("small_head_dim", {"target": Target(width=64, head_dim=32)}, {"target": Target(width=64, head_dim=64)}),
        (
            "small_output_dimension",
            {"target": Target(width=64, output_dimension=10)},
            {"target": Target(width=64, output_dimension=256)},
        ),
        (
            "small_output_dimension",
            {"target": Target(width=64, output_dimension=10)},
            {"target": Target(width=64, output_dimension=10), "parameterization": "mup"},
        ),
        (
            "epsilon_near_gradient",
            {"base": Base(width=64, epsilon=1e-8, gradient_rms=1e-7), "target": Target(width=640)},
            {"base": Base(width=64, epsilon=1e-8, gradient_rms=1e-6), "target": Target(width=640)},
        ),
        ("epsilon_near_gradient", {"base": Base(width=64, epsilon=1e-3)}, {"base": Base(width=64, epsilon=1e-12)}),
        (
            "epsilon_near_gradient",
            {"base": Base(width=64, epsilon=1e-3)},
            {"base": Base(width=64, epsilon=1e-3), "optimizer": "adam_atan2"},
        ),
        ("epsilon_underflow", {"base": Base(width=64, epsilon=1e-25)}, {"base": Base(width=64, epsilon=1e-15)}),
        (  # torch.optim.Adam couples; a request that says which decay it means needs no warning
            "decay_assumed",
            {"base": Base(width=64, weight_decay=0.1)},
            {"base": Base(width=64, weight_decay=0.1), "weight_decay_mode": "decoupled"},
        ),
        (
            "decay_assumed",
            {"optimizer": "nadam", "base": Base(width=64, weight_decay={"hidden": 0.1})},
            {"optimizer": "nadam", "base": Base(width=64, weight_decay={"hidden": 0.0})},
        ),
        (  # every implementation of AdamW decouples
            "decay_assumed",
            {"optimizer": "adafactor_unscaled", "base": Base(width=64, weight_decay=0.1)},
            {"optimizer": "adamw", "base": Base(width=64, weight_decay=0.1)},
        ),
        (
            "depth_changed",
            {"base": Base(width=64, depth=2), "target": Target(width=64, depth=4)},
            {"base": Base(width=64, depth=2), "target": Target(width=64)},
        ),
        (
            "horizon_changed",
            {"base": Base(width=64, tokens=10), "target": Target(width=64, tokens=20)},
            {"base": Base(width=64, tokens=10), "target": Target(width=64, tokens=10)},
        ),
        (
            "batch_changed",
            {"base": Base(width=64, batch_tokens=10), "target": Target(width=64, batch_tokens=20)},
            {"base": Base(width=64)},
        ),
        (  # one output is the worst case
            "small_output_dimension",
            {"tensors": [Tensor("score", (1, 64), (1, 128), role="readout")]},
            {"tensors": [Tensor("score", (1000, 64), (1000, 128), role="readout")]},
        ),
        (  # a table's entries are not a width
            "extrapolation",
            {"tensors": [Tensor("wte", (10, 64), (10, 6400), role="embedding")]},
            {"tensors": [Tensor("wte", (10, 64), (6400, 128), (0,), (1,), role="embedding")]},
        ),
        (
            "width_mismatch",
            {"base": Base(width=64), "target": Target(width=256), "tensors": [Tensor("g", (64,), (128,))]},
            {"base": Base(width=64), "target": Target(width=128), "tensors": [Tensor("g", (64,), (128,))]},
        ),
        (  # Adafactor adds ε₁ to the squared gradient: its usual 1e-30 is fine, Adam's 1e-8 is not
            "epsilon_near_gradient",
            {"optimizer": "adafactor", "base": Base(width=64, epsilon=1e-8, gradient_rms=1e-6)},
            {"optimizer": "adafactor", "base": Base(width=64, epsilon=1e-30, gradient_rms=1e-6)},
        ),
        (
            "epsilon_underflow",
            {"optimizer": "adafactor", "base": Base(width=64, epsilon=1e-40)},
            {"optimizer": "adafactor", "base": Base(width=64, epsilon=1e-30)},
        ),
        (  # fine at the base, too small where the plan takes it
            "epsilon_underflow",
            {"parameterization": "mean_field", "base": Base(width=64, epsilon=1e-18), "target": Target(width=1024)},
            {"parameterization": "mean_field", "base": Base(width=64, epsilon=1e-18)},
        ),
        (
            "measured_extrapolation",
            {"target": Target(width=256), "exponents": Exponents({"hidden": 1.1}, widths=[64, 128])},
            {"target": Target(width=256), "exponents": Exponents({"hidden": 1.1}, widths=[64, 256])},
        ),
        (  # without stated widths, the fan-ins of hidden tensors tell; no message quotes them
            "measured_extrapolation",
            {
                **{"base": Base(), "target": Target(), "exponents": Exponents({"hidden": 1.1}, widths=[64, 128])},
                "tensors": [Tensor("h", (36, 36), (72, 72))],
            },
            {
                **{"base": Base(), "target": Target(), "exponents": Exponents({"hidden": 1.1}, widths=[64, 128])},
                "tensors": [Tensor("h", (64, 64), (128, 128))],
            },
        ),
        (
            "measured_without_interval",
            {"exponents": Exponents({"hidden": 1.1}, intervals={"hidden": None})},
            {"exponents": Exponents({"hidden": 1.1}, intervals={"hidden": (1.05, 1.15)})},
        ),
        (
            "measured_agrees_with_theory",
            {"exponents": Exponents({"hidden": 1.1}, intervals={"hidden": (0.9, 1.3)})},
            {"exponents": Exponents({"hidden": 1.1}, intervals={"hidden": (1.05, 1.15)})},
        ),
        (  # one readout is declared, and keys of constant width would be another
            "several_readouts",
            {
                "tensors": [
                    Tensor("k", (64, 8), (128, 8), (0,), (1,)),
                    Tensor("head", (64, 99), (128, 99), role="readout"),
                ]
            },
            {"tensors": [Tensor("head", (64, 99), (128, 99), (0,), (1,))]},
        ),
        (
            "several_readouts",
            {"tensors": [Tensor(n, (8, 64), (8, 128), (1,), (0,)) for n in "ab"]},
            {"tensors": [Tensor(n, (8, 64), (8, 128), (1,), (0,), role="hidden") for n in "ab"]},
        ),
        (  # nobody has to be told of readouts that were declared, nor of a hidden tensor next to them
            "several_readouts",
            {"tensors": [Tensor(n, (8, 64), (8, 128), (1,), (0,)) for n in "ab"]},
            {
                "tensors": [
                    *(Tensor(n, (8, 64), (8, 128), (1,), (0,), role="readout") for n in "ab"),
                    Tensor("h", (64, 64), (128, 128), (1,), (0,)),
                ]
            },
        ),
        (  # everything else grows
            "constant_matrices",
            {"tensors": [Tensor("h", (64, 64), (128, 128)), Tensor("edges", (64, 82), (64, 82))], "layout": "out_in"},
            {"tensors": [Tensor("h", (64, 64), (64, 64)), Tensor("edges", (64, 82), (64, 82))], "layout": "out_in"},
        ),
        (
            "constant_matrices",
            {"tensors": [Tensor("h", (64, 64), (128, 128)), Tensor("t", (99, 64), (99, 64), role="embedding")]},
            {"tensors": [Tensor("h", (64, 64), (128, 128)), Tensor("bias", (99,), (99,))]},
        ),
        (  # PyTorch lists a tied weight once
            "no_readout",
            {"tensors": [Tensor("wte", (99, 64), (99, 128), role="embedding")]},
            {
                "tensors": [
                    Tensor("wte", (99, 64), (99, 128), role="embedding"),
                    Tensor("head", (99, 64), (99, 128), tied_to="wte"),
                ]
            },
        ),
        (  # the last layer, or a table of positions
            "unmatched_growth",
            {"tensors": [Tensor("x", (512, 64), (1024, 128))], "layout": "out_in"},
            {"tensors": [Tensor("x", (512, 64), (1024, 128), role="hidden")], "layout": "out_in"},
        ),
        (  # a number that stays may be a coincidence
            "stacked_by_depth",
            {
                "base": Base(width=64, depth=12),
                "target": Target(width=128, depth=12),
                "tensors": [Tensor("gains", (12, 64), (12, 128))],
            },
            {
                "base": Base(width=64, depth=12),
                "target": Target(width=128, depth=24),
                "tensors": [Tensor("gains", (12, 64), (24, 128))],
            },
        ),
        (
            "stack_changes",
            {"tensors": [Tensor("moe", (8, 64, 64), (16, 128, 128), (1,), (2,))]},
            {"tensors": [Tensor("moe", (8, 64, 64), (8, 128, 128), (1,), (2,))]},
        ),
    ],
)
def test_warnings(code, request_, quiet) -> None:
    plain = {"base": Base(width=64), "target": Target(width=64)}
    assert code in codes(**(plain | request_))
    assert code not in codes(**(plain | quiet))


def message(code: str, **options: Any) -> str:
    """The one warning of this code."""
    words = {"parameterization": "standard", "optimizer": "adam", **options}
    (found,) = [w.message for w in transfer(**words).warnings if w.code == code]
    return found


def test_a_small_base_width_is_named_and_not_the_targets() -> None:
    assert "the base width 64 is under 512" in message("small_base_width", base=Base(width=64), target=Target(width=96))


@pytest.mark.parametrize(("count", "named"), [(1, "a:"), (3, "a, b, c:"), (4, "a, b, c and 1 more:")])
def test_three_tensors_are_named_and_the_others_counted(count: int, named: str) -> None:
    still = [Tensor(name, (64, 82), (64, 82)) for name in "abcd"[:count]]
    words = {"layout": "out_in", "tensors": [Tensor("h", (64, 64), (128, 128)), *still]}
    assert message("constant_matrices", base=Base(width=64), target=Target(width=128), **words).startswith(named)
