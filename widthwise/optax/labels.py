"""Labels of a plan's leaves, for `optax.partition` with optimizers that are not here, such as Muon."""

from collections.abc import Callable
from typing import Any

from widthwise.folding import folded
from widthwise.groups import MAX_GROUPS, groups
from widthwise.optax.leaves import PlannedLeaves, canonical, is_gap
from widthwise.optax.planned import flatten
from widthwise.transfers.plan import Plan


def labels(plan: Plan, *, max_groups: int = MAX_GROUPS, fold: bool = True) -> Callable[[Any], Any]:
    """Return the function from a pytree of parameters to the name of each leaf's group.

    The groups are those of `widthwise.groups.groups(plan, max_groups)`, of the folded plan if `fold`; each names its
    learning rate, epsilon and decay. It is a plain function: `optax.partition` calls a tree of labels that happens to
    be callable, as an Equinox module is. Clip by the global norm outside of `optax.partition`: inside, each label has
    a separate norm.

    Raises InvalidInputError as `groups` does; the function raises it for parameters that are not the plan's.
    """
    if fold:
        plan = folded(plan)
    named = {canonical(name): group.name for group in groups(plan, max_groups) for name in group.tensors}
    leaves = PlannedLeaves(plan)
    first = next(iter(named.values()))  # for counters, which nothing trains

    def of(params: Any) -> Any:
        leaves.check(params)
        flat, treedef = flatten(params)
        found = [
            leaf if is_gap(leaf) else first if tensor is None else named[canonical(tensor.name)]
            for leaf, tensor in zip(flat, leaves.of(params), strict=True)
        ]
        return treedef.unflatten(found)

    return of
