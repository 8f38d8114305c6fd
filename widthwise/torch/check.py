"""A check of what is in force in a training script against its plan, before it trains."""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

import torch
from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.groups import groups, trained
from widthwise.torch.attach import SCALE
from widthwise.torch.checked import CheckedTensor, Pair, alike, named, number, table
from widthwise.torch.init import planned_stds
from widthwise.torch.matched import matched
from widthwise.torch.multipliers import multipliers
from widthwise.torch.shards import whole_of
from widthwise.transfers.plan import Plan, TensorPlan

_SAME = 1e-6  # of two settings: what a checkpoint rounds is less
_MULTIPLIED = 1e-9
#: How far an RMS may lie from its std (chosen): 6 standard errors, and 2 % for draws cut at 3σ and for padding rows.
_STANDARD_ERRORS, _CUT = 6, 0.02


def check(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer],
    plan: Plan,
    base_model: nn.Module | None = None,
    *,
    schedule: float = 1.0,
    file: TextIO | None = None,
) -> tuple[CheckedTensor, ...]:
    """Hold each trainable parameter's rate, epsilon, decay, init and multiplier against the plan, print and return all.

    optimizer: one, or several that share the parameters. base_model: as in `init_`, if the plan has no init std;
    without it the weights are not compared. Nor are they once a parameter has made a step, nor gains and biases.
    schedule: what the schedule multiplies rates by now. file: takes the table instead of standard output; like tensors
    share a line.

    Raises InvalidInputError that lists every difference: other values, a decay of another mode, other betas, a
    parameter that no group holds, or one in a group that is not the model's (made before `to_empty`), a multiplier
    that no hook applies.
    """
    optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else list(optimizer)
    parameters = {name: each for name, each in matched(model, plan).items() if each.requires_grad}
    rows = tuple(_rows(model, optimizers, plan, parameters, base_model, schedule=schedule))
    lines = list(table(rows))
    (file or sys.stdout).write("\n".join(lines) + "\n")
    problems = [*_of_the_whole(optimizers, plan, parameters), *_by_name(rows)]
    if problems:
        raise InvalidInputError(
            f"what is in force differs from the plan in {len(problems)} respect(s):\n  " + "\n  ".join(problems),
            field="optimizer",
        )
    return rows


def _rows(
    model: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    plan: Plan,
    parameters: Mapping[str, nn.Parameter],
    base_model: nn.Module | None,
    *,
    schedule: float,
) -> Iterator[CheckedTensor]:
    holders = {id(each): (group, of) for of in optimizers for group in of.param_groups for each in group["params"]}
    stds, _ = planned_stds(plan, base_model, parameters)
    hooked = multipliers(model)
    tied: dict[str, list[TensorPlan]] = {}
    for tensor in plan.tensors:
        tied.setdefault(tensor.tied_to or tensor.name, []).append(tensor)
    deviations = {name: group.deviation for group in groups(plan) for name in group.tensors}
    for tensor in trained(plan):
        parameter = parameters.get(tensor.name)
        if parameter is None:
            continue
        group, holder = holders.get(id(parameter), (None, None))
        stepped = holder is not None and bool(holder.state.get(parameter))
        init = (None, None) if stepped else _init(parameter, stds.get(tensor.name))
        forward, unapplied = _forward(tied[tensor.name], hooked)
        problems = [*_init_problem(parameter, init), *unapplied]
        if group is None:
            empty: Pair = (None, None)
            problems.insert(0, "no group of the optimizer holds it")
            yield CheckedTensor(tensor.name, empty, empty, empty, init, forward, tuple(problems))
            continue
        rate, epsilon, decay = _settings(tensor, group, schedule)
        problems = [*_setting_problems(tensor, rate, epsilon, decay, deviations[tensor.name]), *problems]
        yield CheckedTensor(tensor.name, rate, epsilon, decay, init, forward, tuple(problems))


def _settings(tensor: TensorPlan, group: Mapping[str, Any], schedule: float) -> tuple[Pair, Pair, Pair]:
    planned = tensor.learning_rate.value
    wanted = None if planned is None else planned * schedule
    rate = float(group["lr"]) * group.get(SCALE, 1.0)
    if "lr_scale" in group and wanted is not None and not math.isclose(rate, wanted, rel_tol=_SAME):
        rate *= group["lr_scale"]  # the loop has not multiplied yet
    epsilon = None if tensor.epsilon is None else tensor.epsilon.value
    return (wanted, rate), (epsilon, group.get("eps")), (tensor.weight_decay.value, group.get("weight_decay"))


def _setting_problems(tensor: TensorPlan, rate: Pair, epsilon: Pair, decay: Pair, deviation: float) -> Iterator[str]:
    tolerance = deviation * (1 + _SAME) + _SAME
    for what, (planned, found), known in (
        ("learning rate", rate, True),
        ("epsilon", epsilon, tensor.epsilon is not None),
        ("weight decay", decay, True),
    ):
        if planned is None:
            if known and found:
                word = what.replace(" ", "_")
                yield f"{what} {found:.6g}, and the plan has none; give base.{word}, 0 for none"
        elif found is None or not math.isclose(planned, found, rel_tol=tolerance):
            yield f"{what} {number(found)} instead of {planned:.6g}"


def _init(parameter: nn.Parameter, std: float | None) -> Pair:
    if std is None or parameter.is_meta:
        return None, None
    return std, float(whole_of(parameter.detach()).double().square().mean().sqrt())


def _init_problem(parameter: nn.Parameter, init: Pair) -> Iterator[str]:
    std, rms = init
    if std is not None and rms is not None:
        tolerance = _STANDARD_ERRORS / math.sqrt(2 * parameter.numel()) + _CUT
        if abs(rms - std) > tolerance * std:
            yield f"init RMS {rms:.6g} instead of {std:.6g}"


def _forward(uses: Sequence[TensorPlan], hooked: Mapping[str, float]) -> tuple[Pair, list[str]]:
    """The multiplier of the first use that has one, and what is wrong with any."""
    pairs = {use.name: (use.forward_multiplier.multiplier, hooked.get(use.name, 1.0)) for use in uses}
    problems = [
        f"forward multiplier {found:.6g} instead of {planned:.6g} on {name!r}"
        for name, (planned, found) in pairs.items()
        if not math.isclose(planned, found, rel_tol=_MULTIPLIED)
    ]
    shown = next((pair for pair in pairs.values() if pair != (1.0, 1.0)), (1.0, 1.0))
    return shown, problems


def _of_the_whole(
    optimizers: Sequence[torch.optim.Optimizer], plan: Plan, parameters: Mapping[str, nn.Parameter]
) -> Iterator[str]:
    """Differences that are not one tensor's: strange parameters, betas, the mode of decay."""
    ours = {id(parameter) for parameter in parameters.values()}
    held = [each for of in optimizers for group in of.param_groups for each in group["params"]]
    strange = sum(id(each) not in ours and each.requires_grad for each in held)
    if strange:
        yield f"{strange} parameter(s) of the optimizer are not the model's; make it after to_empty and sharding"
    modes, betas = set(), set()
    for group in (group for of in optimizers for group in of.param_groups):
        if group.get("weight_decay") and "decoupled_weight_decay" in group:
            modes.add("decoupled" if group["decoupled_weight_decay"] else "coupled")
        if "betas" in group:
            betas.add(tuple(float(beta) for beta in group["betas"]))
    planned_mode = plan.provenance.get("weight_decay_mode")
    yield from (f"weight decay is {mode}, and the plan's {planned_mode}" for mode in modes - {planned_mode})
    for index, name in enumerate(("beta1", "beta2")):
        quantity = getattr(plan.training, name)
        for pair in betas if quantity is not None and quantity.value is not None else ():
            if not math.isclose(pair[index], quantity.value, rel_tol=_SAME):
                yield f"{name} {pair[index]:.6g} instead of {quantity.value:.6g}"


def _by_name(rows: Sequence[CheckedTensor]) -> Iterator[str]:
    for like in alike(rows):
        for problem in like[0].problems:
            yield f"{named(like)}: {problem}"
