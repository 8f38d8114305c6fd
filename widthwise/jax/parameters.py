"""The leaves of a pytree of parameters, by name."""

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
    return [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]


def _is_trained(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and bool(jax.numpy.issubdtype(dtype, jax.numpy.inexact))
