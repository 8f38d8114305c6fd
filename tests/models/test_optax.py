"""A model of every JAX library, planned from its trace: init, then steps whose effect on each leaf is the plan's."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import equinox as eqx
import flax.linen as nn
import flax.serialization
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import widthwise.optax
from widthwise import Base, Plan, transfer
from widthwise.folding import folded
from widthwise.jax import trace

VOCABULARY, OUTPUTS, INNER = 11, 7, 3
WIDTHS = (8, 32)
IDS = jnp.arange(6) % VOCABULARY
KEY = jax.random.key(0)
SCHEDULE = optax.linear_schedule(1.0, 0.0, 10)


@dataclass(frozen=True, slots=True)
class Built:
    """A model: its forward pass and its parameters."""

    forward: Callable[[Any, Any], Any]
    params: Any


class Linen(nn.Module):
    """A table, a block with a norm, and a readout."""

    width: int

    @nn.compact
    def __call__(self, ids: Any) -> Any:
        x = nn.Embed(VOCABULARY, self.width)(ids)
        x = x + nn.Dense(self.width)(nn.relu(nn.Dense(INNER * self.width)(nn.LayerNorm()(x))))
        return nn.Dense(OUTPUTS, use_bias=False)(x)


class Nnx(nnx.Module):
    """The same of NNX."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.table, self.norm = nnx.Embed(VOCABULARY, width, rngs=rngs), nnx.LayerNorm(width, rngs=rngs)
        self.up, self.down = nnx.Linear(width, INNER * width, rngs=rngs), nnx.Linear(INNER * width, width, rngs=rngs)
        self.head = nnx.Linear(width, OUTPUTS, use_bias=False, rngs=rngs)

    def __call__(self, ids: Any) -> Any:
        x = self.table(ids)
        return self.head(x + self.down(nnx.relu(self.up(self.norm(x)))))


class Equinox(eqx.Module):
    """The same of Equinox, for one token; a callable module, as most are."""

    table: eqx.nn.Embedding
    layers: list[Any]
    head: eqx.nn.Linear

    def __init__(self, width: int, key: Any) -> None:
        keys = jax.random.split(key, 4)
        self.table = eqx.nn.Embedding(VOCABULARY, width, key=keys[0])
        self.layers = [
            eqx.nn.LayerNorm(width),
            eqx.nn.Linear(width, INNER * width, key=keys[1]),
            jax.nn.relu,
            eqx.nn.Linear(INNER * width, width, key=keys[2]),
        ]
        self.head = eqx.nn.Linear(width, OUTPUTS, use_bias=False, key=keys[3])

    def __call__(self, token: Any) -> Any:
        x = y = self.table(token)
        for layer in self.layers:
            y = layer(y)
        return self.head(x + y)


def _linen(width: int) -> Built:
    model = Linen(width)
    return Built(model.apply, jax.jit(model.init)(KEY, IDS))


def _linen_inside(width: int) -> Built:
    """As `TrainState` holds them: without the collection."""
    model = Linen(width)
    return Built(lambda params, ids: model.apply({"params": params}, ids), jax.jit(model.init)(KEY, IDS)["params"])


def _nnx(width: int) -> Built:
    graph, params, rest = nnx.split(Nnx(width, nnx.Rngs(0)), nnx.Param, ...)
    return Built(lambda params, ids: nnx.merge(graph, params, rest)(ids), params)


def _equinox(width: int) -> Built:
    params, static = eqx.partition(Equinox(width, KEY), eqx.is_inexact_array)
    return Built(lambda params, ids: jax.vmap(eqx.combine(params, static))(ids), params)


def _haiku(width: int) -> Built:
    def forward(ids: Any) -> Any:
        x = hk.Embed(VOCABULARY, width)(ids)
        y = hk.LayerNorm(-1, create_scale=True, create_offset=True)(x)
        return hk.Linear(OUTPUTS, with_bias=False, name="head")(x + hk.nets.MLP([INNER * width, width])(y))

    model = hk.without_apply_rng(hk.transform(forward))
    return Built(model.apply, jax.jit(model.init)(KEY, IDS))


def _plain(width: int) -> Built:
    shapes = {"table": (VOCABULARY, width), "up": (width, INNER * width), "down": (INNER * width, width)}
    keys = dict(zip((*shapes, "head"), jax.random.split(KEY, 4), strict=True))
    params = {name: jax.random.normal(keys[name], shape) for name, shape in shapes.items()}
    params |= {"head": jax.random.normal(keys["head"], (width, OUTPUTS)), "gain": jnp.ones(width)}

    def forward(params: Any, ids: Any) -> Any:
        x = params["table"][ids]
        return (x + jax.nn.relu((x * params["gain"]) @ params["up"]) @ params["down"]) @ params["head"]

    return Built(forward, params)


LIBRARIES = {
    "linen": _linen,
    "linen inside": _linen_inside,
    "nnx": _nnx,
    "equinox": _equinox,
    "haiku": _haiku,
    "plain": _plain,
}


@cache
def target_of(library: str) -> Built:
    """The library's model at the target's width."""
    return LIBRARIES[library](WIDTHS[1])


@cache
def planned(library: str) -> Plan:
    """A plan of the library's model, as it comes out of JSON."""
    base, target = (
        trace(each.forward, each.params, IDS) for each in (LIBRARIES[library](WIDTHS[0]), target_of(library))
    )
    plan = transfer(
        model={"base": base, "target": target},
        parameterization="mup",
        optimizer="adamw",
        base=Base(learning_rate=0.01, epsilon=1e-4, weight_decay=0.1, init_std=0.5),
    )
    return Plan.from_dict(json.loads(json.dumps(plan.to_dict())))


def by_name(tree: Any) -> dict[str, Any]:
    """Leaves by the name that the trace has for them."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = (jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value") for path, _ in leaves)
    return dict(zip(names, (np.asarray(leaf) for _, leaf in leaves), strict=True))


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_leafs_first_steps_are_the_plans(library: str) -> None:
    """Gradients of one size: the step of Adam is η(g/(|g| + ε) + λW) × the schedule, also after a restore."""
    plan = planned(library)
    in_force = folded(plan)
    target = target_of(library)
    params = widthwise.optax.init(plan, target.params, KEY)
    optimizer = widthwise.optax.adamw(plan, schedule=SCHEDULE)
    state = optimizer.init(params)
    gradients = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1e-3), params)
    weights = by_name(params)
    assert set(weights) == {tensor.name for tensor in plan.tensors}
    for made in range(2):
        updates, state = jax.jit(optimizer.update)(gradients, state, params)
        steps = by_name(updates)
        for tensor in in_force.tensors:
            rate, epsilon, decay = tensor.learning_rate.value, tensor.epsilon, tensor.weight_decay.value
            assert rate is not None
            assert epsilon is not None
            assert epsilon.value is not None
            assert decay is not None
            step = -(1 - made / 10) * rate * (1e-3 / (1e-3 + epsilon.value) + decay * weights[tensor.name])
            np.testing.assert_allclose(steps[tensor.name], step, rtol=1e-4, atol=1e-9, err_msg=tensor.name)
        state = restored(state, optimizer.init(params), library)


def restored(state: Any, fresh: Any, library: str) -> Any:
    """A state from a file, as users of the library write it; NNX's boxes are not for Flax's serialization."""
    if library not in ("nnx", "equinox"):
        return flax.serialization.from_bytes(fresh, flax.serialization.to_bytes(state))
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, state)
    file.seek(0)
    return eqx.tree_deserialise_leaves(file, fresh)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_initial_parameters_are_the_plans(library: str) -> None:
    plan = planned(library)
    target = target_of(library)
    before, after = by_name(target.params), by_name(widthwise.optax.init(plan, target.params, KEY))
    for tensor in folded(plan).tensors:
        leaf = after[tensor.name]
        if tensor.role == "vector":
            np.testing.assert_array_equal(leaf, before[tensor.name])
        else:
            rms = np.sqrt(np.mean(np.square(leaf)))
            assert rms == pytest.approx(tensor.init_std.value, rel=4 / np.sqrt(2 * leaf.size)), tensor.name


@pytest.mark.parametrize("library", LIBRARIES)
def test_it_trains_and_labels_partition_alike(library: str) -> None:
    plan = planned(library)
    target = target_of(library)
    label_of = widthwise.optax.labels(plan)
    groups = set(jax.tree.leaves(label_of(target.params)))
    both = optax.partition({name: widthwise.optax.adamw(plan) for name in groups}, label_of)

    def loss(params: Any) -> Any:
        logits = target.forward(params, IDS)
        return optax.softmax_cross_entropy_with_integer_labels(logits, IDS % OUTPUTS).mean()

    found = []
    for optimizer in (widthwise.optax.adamw(plan), both):
        params = widthwise.optax.init(plan, target.params, KEY)
        state = optimizer.init(params)

        @jax.jit
        def step(params: Any, state: Any, optimizer: Any = optimizer) -> Any:
            value, gradients = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, value

        losses = []
        for _ in range(3):
            params, state, value = step(params, state)
            losses.append(float(value))
        found.append(losses)
    assert found[0][-1] < found[0][0]
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_in_flaxs_own_trainers() -> None:
    """`nnx.Optimizer` hands over boxes at first and plain arrays later; `TrainState` has no collection."""
    plan = planned("nnx")
    model = Nnx(WIDTHS[1], nnx.Rngs(0))
    nnx.update(model, widthwise.optax.init(plan, nnx.state(model, nnx.Param), KEY))
    optimizer = nnx.Optimizer(model, widthwise.optax.adamw(plan, schedule=SCHEDULE), wrt=nnx.Param)
    before = by_name(nnx.state(model, nnx.Param))
    gradients = nnx.grad(lambda model: jnp.square(model(IDS)).sum())(model)
    optimizer.update(model, jax.tree.map(lambda leaf: jnp.full_like(leaf, 1.0), gradients))
    after = by_name(nnx.state(model, nnx.Param))
    for tensor in folded(plan).tensors:
        assert tensor.learning_rate.value is not None
        assert tensor.weight_decay.value is not None
        step = -tensor.learning_rate.value * (1 + tensor.weight_decay.value * before[tensor.name])
        np.testing.assert_allclose(after[tensor.name] - before[tensor.name], step, rtol=1e-2, atol=1e-6)
    plan = planned("linen")
    built = target_of("linen")
    params = built.params["params"]
    state = TrainState.create(apply_fn=built.forward, params=params, tx=widthwise.optax.adamw(plan))
    assert int(state.apply_gradients(grads=params).step) == 1


def test_the_pages_code_runs() -> None:
    """docs/optax.md, block by block; the first step of both of its optimizers is not nothing."""
    page = (Path(__file__).parents[2] / "docs" / "optax.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102
    params, muon = names["params"], names["muon"]
    updates, _ = jax.jit(muon.update)(params, names["muon_state"], params)
    assert all(float(jnp.abs(leaf).max()) > 0 for leaf in jax.tree.leaves(updates) if leaf.ndim > 1)
    assert names["model"].apply(params, names["ids"]).shape == (2, 16, 256)
