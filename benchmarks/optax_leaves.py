"""What one transformation with a value for each leaf costs, compared with one a tensor and with labels in groups.

    python -m benchmarks.optax_leaves [--leaves 300] [--steps 10] [--rounds 3] [--dry]

All train the same plan, and each is compiled in turn in this process; then they take turns, so that whatever else the
machine does slows all of them. A step is jitted; its time is the shortest of the rounds.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import widthwise.optax
from benchmarks import record
from widthwise import Base, Plan, Target, Tensor, transfer
from widthwise.groups import groups
from widthwise.transfers.plan import TensorPlan

SIZE = 64  # of each leaf's sides (chosen): small, so that the optimizers' own cost shows
#: By what the pages call them.
OURS, LABELS, ONE_EACH, PLAIN = "widthwise.optax.adamw", "labels in groups", "one adamw a tensor", "one adamw for all"


def planned(leaves: int) -> Plan:
    """A plan for square matrices, tables and readouts in turn, each with the values of its role."""
    shapes = {"embedding": ((SIZE, 16), (SIZE, SIZE)), "hidden": ((16, 16), (SIZE, SIZE))}
    shapes["readout"] = ((16, SIZE), (SIZE, SIZE))
    roles = [list(shapes)[index % 3] for index in range(leaves)]
    tensors = [
        Tensor(f"leaf_{index:03d}", *shapes[role], role=role, fan_in_axes=(0,), fan_out_axes=(1,))
        for index, role in enumerate(roles)
    ]
    base = Base(learning_rate=0.003, epsilon=1e-8, weight_decay=0.1)
    return transfer(parameterization="standard", optimizer="adamw", base=base, target=Target(), tensors=tensors)


def optimizers(plan: Plan) -> Mapping[str, optax.GradientTransformation]:
    """What is compared; the last trains all leaves with the first's values and follows no plan."""
    names = {tensor.name: tensor.name for tensor in plan.tensors}
    grouped = {
        group.name: optax.adamw(group.learning_rate, eps=group.epsilon or 0.0, weight_decay=group.weight_decay or 0.0)
        for group in groups(plan)
    }
    one_each = {tensor.name: _adamw(tensor) for tensor in plan.tensors}
    return {
        OURS: widthwise.optax.adamw(plan),
        LABELS: optax.partition(grouped, widthwise.optax.labels(plan)),
        ONE_EACH: optax.partition(one_each, names),
        PLAIN: _adamw(plan.tensors[0]),
    }


def _adamw(tensor: TensorPlan) -> optax.GradientTransformation:
    epsilon = None if tensor.epsilon is None else tensor.epsilon.value
    return optax.adamw(
        tensor.learning_rate.value or 0.0, eps=epsilon or 0.0, weight_decay=tensor.weight_decay.value or 0.0
    )


def measure(leaves: int, steps: int, rounds: int) -> tuple[dict[str, dict[str, float]], float]:
    """Seconds to compile and milliseconds a step of each, and how far the plan's updates differ at most."""
    plan = planned(leaves)
    draw = np.random.default_rng(0)
    params = {tensor.name: jnp.asarray(draw.normal(size=(SIZE, SIZE)), jnp.float32) for tensor in plan.tensors}
    found: dict[str, dict[str, float]] = {}
    run: dict[str, Callable[[], float]] = {}
    updates: dict[str, Any] = {}
    jax.jit(lambda tree: tree).lower(params).compile()  # the first compilation of a process takes longer
    for name, optimizer in optimizers(plan).items():
        state = optimizer.init(params)
        started = time.perf_counter()
        compiled = jax.jit(optimizer.update).lower(params, state, params).compile()
        found[name] = {"compile_s": time.perf_counter() - started, "step_ms": float("inf")}
        updates[name] = compiled(params, state, params)[0]
        run[name] = lambda compiled=compiled, state=state: _milliseconds(compiled, params, state, steps)  # type: ignore[misc]
    for _ in range(rounds):
        for name, once in run.items():
            found[name]["step_ms"] = min(found[name]["step_ms"], once())
    apart = [float(jnp.max(jnp.abs(updates[OURS][name] / updates[ONE_EACH][name] - 1))) for name in params]
    return found, max(apart)


def _milliseconds(compiled: Any, params: Any, state: Any, steps: int) -> float:
    started = time.perf_counter()
    for _ in range(steps):
        updates, state = compiled(params, state, params)
    for leaf in jax.tree.leaves((updates, state)):
        leaf.block_until_ready()
    return 1e3 * (time.perf_counter() - started) / steps


def page(found: Mapping[str, Mapping[str, float]], apart: float, options: argparse.Namespace) -> list[str]:
    """The page's lines."""
    ours, worst = found[OURS], found[ONE_EACH]
    rows = [
        f"| {name} | {each['compile_s']:.2f} | {each['compile_s'] / ours['compile_s']:.1f} | {each['step_ms']:.2f} | "
        f"{each['step_ms'] / ours['step_ms']:.1f} |"
        for name, each in found.items()
    ]
    return [
        f"With {options.leaves} leaves of {SIZE}×{SIZE}, one optax optimizer a tensor takes "
        f"{worst['compile_s'] / ours['compile_s']:.1f} times as long to compile and "
        f"{worst['step_ms'] / ours['step_ms']:.1f} times as long a step as one transformation with a value for each "
        f"leaf. Their first updates differ by {apart:.1g} at most, relative to each entry.",
        "",
        f"A step is the shortest of {options.rounds} rounds of {options.steps} in which the four take turns. The last "
        "trains every leaf with one leaf's values and so follows no plan: it shows what the leaves' own values cost.",
        "",
        "| optimizer | compile, s | / first | step, ms | / first |",
        "|---|---|---|---|---|",
        *rows,
    ]


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--leaves", type=int, default=300)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found, apart = measure(options.leaves, options.steps, options.rounds)
    record.write_result(
        "optax_leaves",
        "What a value for each leaf costs in optax",
        page(found, apart, options),
        {"leaves": options.leaves, "optimizers": found, "largest_difference": apart},
        options,
        packages=("widthwise", "jax", "jaxlib", "optax"),
    )


if __name__ == "__main__":
    main()
