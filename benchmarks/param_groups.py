"""What do a plan's parameter groups cost? Time of an optimizer's step over 1,000 tensors, against one group.

    python -m benchmarks.param_groups            # half a minute; writes docs/results/param_groups.*
    python -m benchmarks.param_groups --dry

Steps of all cases take turns, and processor time of one thread is counted, so that other programs disturb little.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.record import arguments, write_result
from widthwise import Base, Plan, Target, Tensor, transfer

TENSORS, SIDE = 1000, 32
DIFFERENT = 30  # fan-ins, and so learning rates: the most groups that a plan gets
ALLOWED = 0.05


def plan_of(names: list[str]) -> Plan:
    """A plan with 30 different learning rates for tensors of one shape: their bases had other fan-ins."""
    axes: dict[str, Any] = {"role": "hidden", "fan_in_axes": (1,), "fan_out_axes": (0,)}
    tensors = [Tensor(name, (SIDE, 8 + at % DIFFERENT), (SIDE, SIDE), **axes) for at, name in enumerate(names)]
    return transfer(
        parameterization="standard",
        optimizer="adamw",
        base=Base(learning_rate=1e-3, epsilon=1e-8, weight_decay=0.1),
        target=Target(),
        weight_decay_mode="decoupled",
        tensors=tensors,
    )


def cases(count: int) -> dict[tuple[str, str], Callable[[], Any]]:
    """A step of each case, by the optimizer and the groups; each has parameters to itself, with gradients."""
    import torch
    from torch import nn

    import widthwise.torch

    def model() -> Any:
        weights = nn.ParameterList(torch.randn(SIDE, SIDE) for _ in range(count))
        for parameter in weights:
            parameter.grad = torch.randn(SIDE, SIDE)
        return nn.ModuleDict({"weights": weights})

    optimizers: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
        "AdamW, foreach": lambda groups: torch.optim.AdamW(groups, foreach=True),
        "AdamW, fused": lambda groups: torch.optim.AdamW(groups, fused=True),
        "AdamAtan2": widthwise.torch.AdamAtan2,
    }
    found: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, make in optimizers.items():
        one, merged, attached, each = model(), model(), model(), model()
        plan = plan_of([name for name, _ in one.named_parameters()])
        found[name, "one group"] = make([{"params": list(one.parameters())}]).step
        found[name, "the plan's groups"] = make(widthwise.torch.param_groups(merged, plan)).step
        optimizer = make(widthwise.torch.param_groups(attached, plan))
        widthwise.torch.attach(optimizer, plan)
        found[name, "the same, attached"] = optimizer.step
        found[name, "a group for each tensor"] = make([{"params": [parameter]} for parameter in each.parameters()]).step
    return found


def measure(steps: dict[tuple[str, str], Callable[[], Any]], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Milliseconds of processor time of each case's step, in turn; the first, which makes the state, is left out."""
    found: dict[tuple[str, str], list[float]] = {case: [] for case in steps}
    for at in range(rounds + 1):
        for case, step in steps.items():
            begun = time.process_time()
            step()
            if at:
                found[case].append(1e3 * (time.process_time() - begun))
    return found


def page(found: dict[tuple[str, str], list[float]], count: int) -> Iterator[str]:
    """The page's lines: the shortest step of each case, and the median of its ratio to one group in the same round."""
    worst = max(_ratio(found, case) for case in found if case[1] in ("the plan's groups", "the same, attached"))
    groups = min(DIFFERENT, count)
    yield (
        f"A step over {count:,} tensors of {SIDE} × {SIDE} in a plan's {groups} groups takes at most "
        f"{100 * (worst - 1):.1f} % longer than in one group ({100 * ALLOWED:.0f} % are allowed)."
    )
    yield ""
    yield "| optimizer | groups | step, ms | against one group |"
    yield "|---|---|---|---|"
    for case, times in found.items():
        yield f"| {case[0]} | {case[1]} | {min(times):.1f} | ×{_ratio(found, case):.2f} |"
    yield ""
    yield (
        "Processor time of one thread: the shortest step, and the median over rounds of the ratio to one group's step "
        "in the same round."
    )


def _ratio(found: dict[tuple[str, str], list[float]], case: tuple[str, str]) -> float:
    return statistics.median(a / b for a, b in zip(found[case], found[case[0], "one group"], strict=True))


def main() -> None:
    import torch

    options = _options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = measure(cases(TENSORS), options.rounds)
    data = {f"{optimizer}; {groups}": times for (optimizer, groups), times in found.items()}
    lines = list(page(found, TENSORS))
    write_result("param_groups", "What a plan's parameter groups cost", lines, {"step_milliseconds": data}, options)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="steps of each case (default: 60)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
