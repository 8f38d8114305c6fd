"""Keeps a plan's values in force in an optimizer, whatever a loop, a scheduler or a checkpoint writes into it."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from widthwise.errors import InvalidInputError
from widthwise.groups import MAX_GROUPS, Group, base_learning_rate, groups
from widthwise.torch.matched import matched
from widthwise.torch.param_groups import values
from widthwise.transfers.plan import Plan

SCALE = "widthwise_scale"  #: the key of a group that holds its factor; saved with the optimizer
_SAME = 1e-6  # of two rates: what a checkpoint rounds is less


class Attached:
    """The hooks of one optimizer; they multiply each group's rate by its scale for the length of a step."""

    def __init__(self, optimizer: torch.optim.Optimizer, plan: Plan, found: Sequence[Group]) -> None:
        self._optimizer = optimizer
        self._settings = [{SCALE: group.scale, **values(group, plan)} for group in found]
        self._during: list[tuple[Any, Any]] = []  #: of each group, its rate between steps and the one during a step
        base = base_learning_rate(plan)
        optimizer.defaults["lr"] = base  # schedulers with an absolute end divide it by this
        for group in optimizer.param_groups:
            group["lr"] = torch.full_like(group["lr"], base) if isinstance(group["lr"], torch.Tensor) else base
        self._apply()
        self._handles = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
            optimizer.register_load_state_dict_post_hook(self._loaded),
        ]

    def remove(self) -> None:
        """Take the hooks off; each group's rate becomes what it was during a step."""
        for handle in self._handles:
            handle.remove()
        for group in self._optimizer.param_groups:
            group["lr"] = group["lr"] * group.pop(SCALE)

    def _apply(self) -> None:
        for group, settings in zip(self._optimizer.param_groups, self._settings, strict=True):
            group.update(settings)

    def _before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._after()  # of a step that raised
        for index, group in enumerate(optimizer.param_groups):
            if SCALE not in group:
                raise InvalidInputError(
                    f"group {index} was added after attach, so that its scale is unknown; attach when all groups are "
                    "there",
                    field="optimizer",
                )
            held = group["lr"]
            group["lr"] = held * group[SCALE]
            self._during.append((held, group["lr"]))

    def _after(self, *_: Any) -> None:
        for group, (held, scaled) in zip(self._optimizer.param_groups, self._during, strict=False):
            if group["lr"] is scaled:  # else somebody has written another rate since
                group["lr"] = held
        self._during = []

    def _loaded(self, optimizer: torch.optim.Optimizer) -> None:
        """Put back what the checkpoint's groups replaced."""
        if any(SCALE not in group for group in optimizer.param_groups):
            rates = [float(group["lr"]) for group in optimizer.param_groups]
            if not all(math.isclose(rate, rates[0], rel_tol=_SAME) for rate in rates):
                raise InvalidInputError(
                    "the checkpoint was written without attach and its groups have learning rates that differ, so "
                    "that they hold the plan's factors already; continue without attach, or set every group's rate "
                    "and every scheduler's base rate to the base's",
                    field="optimizer",
                )
        self._apply()


def attach(
    optimizer: torch.optim.Optimizer, plan: Plan, model: nn.Module | None = None, *, max_groups: int = MAX_GROUPS
) -> Attached:
    """Keep the plan's values in force in an optimizer, and return what takes them off again.

    Every group's `lr` becomes the base's learning rate: what a loop or a scheduler writes there is a rate of the base,
    and while `step` runs each group's is multiplied by its scale. That is right for loops that set one rate for all
    groups and for schedulers with an absolute floor or peak, as it is for those that multiply. After
    `optimizer.load_state_dict`, epsilon, decay, betas and scale are the plan's again, whatever the checkpoint has.

    Call it when the optimizer has all its groups and before a scheduler reads their rates. The groups are those of
    `param_groups` (style "absolute") or your own, if no group mixes tensors with different values. model: needed if
    the groups hold no names.

    Raises InvalidInputError for groups that mix values or are unknown to the plan, and for an optimizer that a
    scheduler has read, or whose loop multiplies by `lr_scale` itself.
    """
    for group in optimizer.param_groups:
        if "initial_lr" in group:
            raise InvalidInputError(
                "a scheduler has read this optimizer's rates, or a checkpoint was loaded into it; attach right after "
                "the optimizer is made",
                field="optimizer",
            )
        if "lr_scale" in group:
            raise InvalidInputError(
                'the groups have lr_scale, by which the loop multiplies itself; make them with style="absolute"',
                field="optimizer",
            )
        if SCALE in group:
            raise InvalidInputError("a plan is attached to this optimizer already; remove it first", field="optimizer")
    names = group_names(optimizer, plan, model)
    planned = {name: group for group in groups(plan, max_groups) for name in group.tensors}
    found = []
    for index, of in enumerate(names):
        other = next((name for name in of if planned[name] != planned[of[0]]), None)
        if other is not None:
            raise InvalidInputError(
                f"group {index} holds {of[0]!r} and {other!r}, for which the plan has different values; make the "
                "groups with widthwise.torch.param_groups",
                field="optimizer",
            )
        found.append(planned[of[0]])
    return Attached(optimizer, plan, found)


def group_names(optimizer: torch.optim.Optimizer, plan: Plan, model: nn.Module | None) -> list[list[str]]:
    """Return the plan's names of the parameters in each group of an optimizer.

    Raises InvalidInputError for a parameter without a name, or with one that the plan does not have.
    """
    by_identity = {} if model is None else {id(each): name for name, each in matched(model, plan).items()}
    known = {tensor.name for tensor in plan.tensors if tensor.tied_to is None}
    found = []
    for index, group in enumerate(optimizer.param_groups):
        names = group.get("param_names") if model is None else [by_identity.get(id(each)) for each in group["params"]]
        if names is None:
            raise InvalidInputError(
                f"group {index} holds no names; give the model too, or make the groups with widthwise.torch"
                ".param_groups",
                field="model",
            )
        unknown = [place for place, name in enumerate(names) if name not in known]
        if unknown:
            place = unknown[0]
            what = "a parameter that the model does not have" if names[place] is None else repr(names[place])
            raise InvalidInputError(
                f"group {index} holds {what}, which is unknown to the plan; make the plan and the optimizer from one "
                "model, and give that model if its names have wrappers",
                field="optimizer",
            )
        if not names:
            raise InvalidInputError(f"group {index} is empty; leave it out", field="optimizer")
        found.append(list(names))
    return found
