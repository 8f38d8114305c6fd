"""The leaves of a pytree of parameters, by name."""

from collections import Counter
from typing import Any

import jax

from widthwise.errors import InvalidInputError


def named_leaves(params: Any) -> list[str]:
    """The path of every leaf, with dots between the keys, in the order in which JAX flattens the pytree.

    Raises InvalidInputError if there is no array of real or complex numbers among them.
    """
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    if not any(_is_trained(leaf) for _, leaf in leaves):
        kinds = ", ".join(sorted({type(leaf).__name__ for _, leaf in leaves})) or "nothing"
        raise InvalidInputError(
            f"params is a {type(params).__name__} that holds {kinds} and no array of floating-point numbers; give the "
            "pytree of the trained arrays, or of their shapes (jax.eval_shape)",
            field="params",
        )
    paths = [path for path, _ in leaves]
    holders = Counter(path[:-1] for path in paths)
    return [_name(path[:-1] if _is_box(path) and holders[path[:-1]] == 1 else path) for path in paths]


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _is_box(path: tuple[Any, ...]) -> bool:
    """Whether a path ends in the attribute by which a variable of Flax holds its array."""
    return len(path) > 1 and getattr(path[-1], "name", None) == "value"


def _is_trained(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and bool(jax.numpy.issubdtype(dtype, jax.numpy.inexact))
