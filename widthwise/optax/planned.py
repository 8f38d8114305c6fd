"""One optax transformation for a whole plan: each leaf has its own learning rate, epsilon and decay."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from widthwise.errors import InvalidInputError
from widthwise.folding import folded
from widthwise.groups import trained
from widthwise.optax.directions import Direction, Incoming, Moments
from widthwise.optax.leaves import PlannedLeaves, canonical, is_gap
from widthwise.theory.optimizers import epsilon_power
from widthwise.transfers.plan import Plan
from widthwise.vocabulary import Optimizer, WeightDecayMode, known_word

Schedule: TypeAlias = Callable[[Any], Any]  #: the factor on every learning rate, by the number of steps made


class PlannedState(NamedTuple):
    """The state of a planned optimizer: it holds nothing of the plan, so a restored one trains by the plan given."""

    count: jax.Array  # type: ignore[assignment]  # optax's name, and a method of every tuple  #: steps made
    moments: dict[str, Any]  #: trees of the shape of the parameters, such as "mu" and "nu"


class LeafValues(NamedTuple):
    """What one leaf trains with."""

    learning_rate: float
    epsilon: float  #: 0 if the optimizer has none
    weight_decay: float  #: λ; 0 if the base gave none


def planned(
    plan: Plan, direction: Direction, schedule: Schedule | None, words: Sequence[Optimizer], *, fold: bool
) -> optax.GradientTransformation:
    """Return a direction as a transformation with the values of a plan, which must be for one of `words`."""
    values, mode = values_in_force(plan, words, fold=fold)
    leaves = PlannedLeaves(plan)
    decays = any(each.weight_decay for each in values.values())

    def of(tree: Any) -> list[LeafValues]:
        found = leaves.of(tree)
        return [_NOTHING if each is None else values[canonical(each.name)] for each in found]

    def init(params: Any) -> PlannedState:
        leaves.check(params)
        flat, treedef = flatten(params)
        made = [
            {} if is_gap(leaf) else direction.init(leaf, each.epsilon)
            for leaf, each in zip(flat, of(params), strict=True)
        ]
        return PlannedState(jnp.zeros([], jnp.int32), _trees(made, flat, treedef))

    def update(gradients: Any, state: PlannedState, params: Any = None) -> tuple[Any, PlannedState]:
        if params is None and (direction.needs_parameter or decays):
            raise InvalidInputError(
                "update(gradients, state) has no params, which weight decay needs; call "
                "update(gradients, state, params)",
                field="params",
            )
        each_has = of(gradients)
        flat, treedef = flatten(gradients)
        weights = [None] * len(flat) if params is None else treedef.flatten_up_to(params)
        kept = {name: treedef.flatten_up_to(tree) for name, tree in state.moments.items()}
        factor = 1.0 if schedule is None else schedule(state.count)
        count = jnp.where(state.count < _LAST, state.count + 1, _LAST)
        updates: list[Any] = []
        moments: list[Moments] = []
        for index, (gradient, weight, each) in enumerate(zip(flat, weights, each_has, strict=True)):
            before = {name: tree[index] for name, tree in kept.items()}
            if is_gap(gradient) or each is _NOTHING:
                still = gradient if is_gap(gradient) or weight is None else jnp.zeros_like(weight)
                updates.append(still)
                moments.append(before)
                continue
            arrived = gradient
            if mode is WeightDecayMode.COUPLED and each.weight_decay:
                arrived = gradient + each.weight_decay * weight
            step, after = direction.step(Incoming(arrived, weight, each.epsilon, count), before)
            if mode is WeightDecayMode.DECOUPLED and each.weight_decay:
                step = step + each.weight_decay * weight
            step = -each.learning_rate * step
            if mode is WeightDecayMode.INDEPENDENT and each.weight_decay:
                step = step - each.weight_decay * weight
            updates.append(step * jnp.asarray(factor, step.dtype))
            moments.append(after)
        return treedef.unflatten(updates), PlannedState(count, _trees(moments, flat, treedef))

    return optax.GradientTransformation(init, update)


_NOTHING = LeafValues(0.0, 0.0, 0.0)  # a leaf that nothing trains stays
_LAST = 2**31 - 1  # of an int32: a counter that overflows would restart the schedule


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a pytree, gaps included, and its structure."""
    flat, treedef = jax.tree_util.tree_flatten(tree, is_leaf=is_gap)
    return flat, treedef


def values_in_force(
    plan: Plan, words: Sequence[Optimizer], *, fold: bool
) -> tuple[Mapping[str, LeafValues], WeightDecayMode]:
    """Return what each leaf trains with, by its canonical name, and how the decay is applied.

    Raises InvalidInputError for a plan of an optimizer that is not among `words`, or without the values it needs.
    """
    optimizer = known_word(Optimizer, plan.provenance.get("optimizer", ""), "plan.provenance.optimizer")
    if optimizer not in words:
        raise InvalidInputError(
            f"the plan is for {optimizer.value!r}, and this is an optimizer for "
            f"{' or '.join(repr(word.value) for word in words)}; transfer for the one that trains",
            field="optimizer",
        )
    mode = known_word(
        WeightDecayMode, plan.provenance.get("weight_decay_mode", ""), "plan.provenance.weight_decay_mode"
    )
    if fold:
        plan = folded(plan)
    found = {}
    for tensor in trained(plan):
        epsilon = tensor.epsilon
        if epsilon is not None and epsilon.value is None and epsilon_power(optimizer, tensor.role):
            raise InvalidInputError(
                f"the plan has no epsilon for {tensor.name!r}; give base.epsilon, such as optax's 1e-8 for Adam",
                field="base.epsilon",
            )
        found[canonical(tensor.name)] = LeafValues(
            tensor.learning_rate.value or 0.0,
            (epsilon and epsilon.value) or 0.0,
            tensor.weight_decay.value or 0.0,
        )
    return found, mode


def _trees(made: Sequence[Mapping[str, Any]], leaves: Sequence[Any], treedef: Any) -> dict[str, Any]:
    """One tree for each moment; a gap stays what it is."""
    names = dict.fromkeys(name for each in made for name in each)
    return {
        name: treedef.unflatten([each.get(name, leaf) for each, leaf in zip(made, leaves, strict=True)])
        for name in names
    }
