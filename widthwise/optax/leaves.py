"""The leaves of a pytree of parameters, matched with the tensors of a plan by name.

A name may have dots or slashes, or the form of `jax.tree_util.keystr`. The collection `params` of Flax linen and the
`value` in which Flax NNX boxes an array may stand in it or be left out:

>>> for name in ("params/Dense_0/kernel", "Dense_0.kernel.value", "['params']['Dense_0']['kernel']"):
...     canonical(name)
'Dense_0.kernel'
'Dense_0.kernel'
'Dense_0.kernel'
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from widthwise.errors import InvalidInputError, like_tensors
from widthwise.transfers.plan import Plan, TensorPlan

_BRACKETS = re.compile(r"\[['\"]?([^]'\"]*)['\"]?]")  # of `keystr` without `simple`


def canonical(name: str) -> str:
    """Return the one spelling under which a plan's tensor and a leaf are compared."""
    dotted = _BRACKETS.sub(r".\1", name).replace("/", ".").strip(".")
    return dotted.removeprefix("params.").removesuffix(".value")


def is_gap(leaf: Any) -> bool:
    """Whether something stands in for a leaf: None without a gradient, a node that `optax.masked` leaves out."""
    return leaf is None or isinstance(leaf, optax.MaskedNode)


def named(tree: Any) -> list[tuple[str, Any]]:
    """Return every leaf of a pytree with its canonical name, gaps included, in JAX's order."""
    leaves = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_gap)[0]
    return [(canonical(jax.tree_util.keystr(path, simple=True, separator=".")), leaf) for path, leaf in leaves]


class PlannedLeaves:
    """The tensors of a plan by the names of leaves; a tied weight is the leaf of its first use."""

    def __init__(self, plan: Plan) -> None:
        self._plans = {canonical(tensor.name): tensor for tensor in plan.tensors if tensor.tied_to is None}

    def check(self, tree: Any) -> None:
        """Raise InvalidInputError unless the pytree holds each tensor of the plan once, and no other parameter.

        Leaves without real numbers (counters, keys) need no plan, nor do those that `optax.masked` leaves out.
        """
        leaves = named(tree)
        names = [name for name, leaf in leaves if not is_gap(leaf) and _is_trained(leaf)]
        masked = {name for name, leaf in leaves if isinstance(leaf, optax.MaskedNode)}
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        if twice:
            raise InvalidInputError(f"several leaves have one name: {_listed(twice)}; rename them", field="params")
        there = set(names)
        extra = [name for name in names if name not in self._plans]
        missing = [name for name in self._plans if name not in there and not _within(name, masked)]
        if extra or missing:
            said = [f"the plan has no tensor for {_listed(extra)}"] if extra else []
            said += [f"no leaf for the plan's {_listed(missing)}"] if missing else []
            raise InvalidInputError(
                f"the parameters are not those of the plan: {'; '.join(said)}. Give the pytree that "
                "`widthwise.jax.trace` read, or list the tensors by the paths of their leaves",
                field="params",
            )

    def of(self, tree: Any) -> list[TensorPlan | None]:
        """Return the plan of every leaf, gaps included; None for what is not a parameter.

        Raises InvalidInputError for a parameter that the plan does not have.
        """
        found = [(name, leaf, self._plans.get(name)) for name, leaf in named(tree)]
        extra = [name for name, leaf, plan in found if plan is None and not is_gap(leaf) and _is_trained(leaf)]
        if extra:
            raise InvalidInputError(f"the plan has no tensor for {_listed(extra)}", field="params")
        return [plan for _, _, plan in found]


def _within(name: str, holders: Collection[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:depth]) in holders for depth in range(len(parts) + 1))


def _listed(names: Sequence[str]) -> str:
    groups = like_tensors([(name, "") for name in names])
    return ", ".join(f"{each.name!r}{f' (×{each.count})' if each.count > 1 else ''}" for each in groups)


def _is_trained(leaf: Any) -> bool:
    dtype = leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)
    return bool(jnp.issubdtype(dtype, jnp.inexact))
