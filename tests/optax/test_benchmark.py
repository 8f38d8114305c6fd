"""The benchmark of values for each leaf: what it compares trains one plan, and its page says what was measured."""

import argparse

from benchmarks import optax_leaves


def test_it_compares_optimizers_of_one_plan() -> None:
    found, apart = optax_leaves.measure(leaves=3, steps=1, rounds=1)
    assert list(found) == [optax_leaves.OURS, optax_leaves.LABELS, optax_leaves.ONE_EACH, optax_leaves.PLAIN]
    assert apart < 1e-5


def test_the_page_compares_with_the_planned_optimizer() -> None:
    seconds = {optax_leaves.OURS: 2.0, optax_leaves.LABELS: 3.0, optax_leaves.ONE_EACH: 9.0, optax_leaves.PLAIN: 1.0}
    found = {name: {"compile_s": each, "step_ms": 10 * each} for name, each in seconds.items()}
    lines = optax_leaves.page(found, 1e-7, argparse.Namespace(leaves=300, steps=10, rounds=3))
    assert "takes 4.5 times as long to compile and 4.5 times as long a step" in lines[0]
    assert "| one adamw a tensor | 9.00 | 4.5 | 90.00 | 4.5 |" in lines
