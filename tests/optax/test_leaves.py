"""Leaves are the plan's by name, whatever library made the pytree; all that differ are in one refusal."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

import widthwise.optax
from tests.optax.plans import SHAPES, exported, parameters
from widthwise.errors import InvalidInputError

NESTED = {name: f"Dense_{index}/{'scale' if name == 'gain' else 'kernel'}" for index, name in enumerate(SHAPES)}


def tree(names: dict[str, str], separator: str = "/") -> dict[str, Any]:
    """A dict of dicts whose leaves have these names."""
    found: dict[str, Any] = {}
    for name, leaf in parameters().items():
        *holders, last = names[name].split(separator)
        inner = found
        for holder in holders:
            inner = inner.setdefault(holder, {})
        inner[last] = leaf
    return found


class Layer(NamedTuple):
    """A holder whose keys are attributes, as those of Equinox's modules."""

    weight: Any
    bias: Any = None


@pytest.mark.parametrize("separator", ["/", "."])
@pytest.mark.parametrize("prefix", ["", "params/"])
def test_linen(separator: str, prefix: str) -> None:
    """Plans with or without the collection, for trees with or without it."""
    plan = exported(names={name: (prefix + path).replace("/", separator) for name, path in NESTED.items()})
    for params in (tree(NESTED), {"params": tree(NESTED)}):
        widthwise.optax.adamw(plan).init(params)


def test_haiku() -> None:
    names = {name: f"net/~/linear_{index}|w" for index, name in enumerate(SHAPES)}
    plan = exported(names={name: path.replace("|", "/") for name, path in names.items()})
    widthwise.optax.adamw(plan).init(tree(names, "|"))


def test_attributes_lists_and_boxes() -> None:
    params = {"layers": [Layer(leaf) for leaf in parameters().values()]}
    for spelling in ("layers/{}/weight", "layers.{}.weight", "['layers'][{}].weight", "layers/{}/weight/value"):
        plan = exported(names={name: spelling.format(index) for index, name in enumerate(SHAPES)})
        widthwise.optax.adamw(plan).init(params)


def test_all_that_differ_are_listed() -> None:
    params = {name: leaf for name, leaf in parameters().items() if name != "up"}
    params |= {f"extra_{index}": jnp.zeros(3) for index in range(4)}
    with pytest.raises(InvalidInputError) as refusal:
        widthwise.optax.adamw(exported()).init(params)
    assert "no tensor for 'extra_*' (×4); no leaf for the plan's 'up'." in str(refusal.value)


def test_two_leaves_of_one_name_are_refused() -> None:
    params = {**parameters(), "a/b": jnp.zeros(2), "a": {"b": jnp.zeros(2)}}
    with pytest.raises(InvalidInputError, match=r"several leaves have one name: 'a\.b'"):
        widthwise.optax.adamw(exported()).init(params)


def test_counters_need_no_plan_and_what_is_masked_is_anothers() -> None:
    params = {**parameters(), "step": jnp.ones([], jnp.int32), "none": None}
    counted = jax.grad(lambda p: sum(jnp.sum(leaf) for leaf in jax.tree.leaves(p)).astype(float), allow_int=True)(
        params
    )
    optimizer = widthwise.optax.adamw(exported())
    updates, _ = optimizer.update(counted, optimizer.init(params), params)
    assert optax.apply_updates(params, updates)["step"] == 1
    with pytest.raises(InvalidInputError, match="no tensor for 'other'"):
        optimizer.update({**params, "other": jnp.zeros(2)}, optimizer.init(params), {**params, "other": jnp.zeros(2)})
    others = {"up": "other", "down": "other"}
    optimizer = optax.partition(
        {"ours": widthwise.optax.adamw(exported()), "other": optax.sgd(1.0)},
        {name: others.get(name, "ours") for name in SHAPES},
    )
    params = parameters()
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert jnp.allclose(updates["up"], -params["up"])
    assert not jnp.allclose(updates["head"], -params["head"])
