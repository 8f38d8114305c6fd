"""Initial parameters: every matrix drawn with the plan's standard deviation."""

import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from widthwise.errors import InvalidInputError
from widthwise.folding import folded
from widthwise.optax.leaves import PlannedLeaves, canonical, is_gap, named
from widthwise.optax.planned import flatten
from widthwise.transfers.plan import Plan, TensorPlan
from widthwise.vocabulary import Role

#: Draws entries of mean 0 and variance 1, from a key, a shape and a dtype.
Distribution: TypeAlias = Callable[[Any, Any, Any], jax.Array]
_STANDARD_ERRORS = 6  # by which the mean of draws around 0 may be off (chosen): one tensor in 10⁹
#: What a model multiplies by in the middle of a forward pass, which no weight alone can hold.
_IN_THE_MODEL = ("attention_scale", "residual_multiplier")


def init(
    plan: Plan,
    params: Any,
    key: Any,
    base_params: Any = None,
    *,
    distribution: Distribution = jax.random.normal,
    fold: bool = True,
    in_model: Collection[str] = (),
) -> Any:
    """Return new parameters of the shapes of `params`: each tensor drawn with the plan's init std.

    Vectors and scalars (gains, biases) keep what `params` holds. If the plan multiplies their init, the one number that
    all entries hold is multiplied: an equivalent model starts every parameter so many times as large. Entries that
    differ are drawn as a matrix is, by the base's own RMS, since they may follow the width already. Shapes are enough
    for all other leaves (`jax.ShapeDtypeStruct`). A leaf's entries depend on the key and its name, not on the other
    leaves.

    base_params: the base's parameters as its own init makes them, needed if the plan has no init std: then a tensor
    gets the RMS of the base's leaf of the same name, × the plan's multiplier.

    fold: forward multipliers are absorbed into the weights, as planned optimizers do by default; False if the model
    multiplies. in_model: "attention_scale" and "residual_multiplier", if the plan changes these and the model's code
    has been changed so: no weight can hold them.

    Raises InvalidInputError for parameters that are not the plan's, without init stds, for tied weights that don't
    fold, and for multipliers that the model must have.
    """
    _refuse_model_multipliers(plan, in_model)
    if fold:
        plan = folded(plan)
    leaves = PlannedLeaves(plan)
    leaves.check(params)
    measured = {name: leaf for name, leaf in named(base_params) if not is_gap(leaf)}
    flat, treedef = flatten(params)
    return treedef.unflatten(
        [
            leaf if tensor is None or is_gap(leaf) else _initial(tensor, leaf, key, distribution, measured)
            for leaf, tensor in zip(flat, leaves.of(params), strict=True)
        ]
    )


def _initial(tensor: TensorPlan, leaf: Any, key: Any, distribution: Distribution, measured: Mapping[str, Any]) -> Any:
    std = tensor.init_std
    if tensor.role in (Role.VECTOR, Role.SCALAR):
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise InvalidInputError(
                f"params has only the shape of {tensor.name!r}, and a {tensor.role.value} keeps its value (a gain's 1, "
                "a bias's 0); give the parameters that the model's own init makes",
                field="params",
            )
        if std.multiplier == 1:
            return leaf
        if _is_constant(leaf):
            return leaf * jnp.asarray(std.multiplier, leaf.dtype)
        scale = _vector_std(tensor, measured)
    else:
        scale = _std(tensor, measured)
    own = jax.random.fold_in(key, zlib.crc32(canonical(tensor.name).encode()))
    return distribution(own, leaf.shape, leaf.dtype) * jnp.asarray(scale, leaf.dtype)


def _is_constant(leaf: Any) -> bool:
    """Whether all entries are one number; those of a traced leaf are not known, and count as one."""
    return isinstance(leaf, jax.core.Tracer) or bool(jnp.all(leaf == leaf.ravel()[0]))


def _vector_std(tensor: TensorPlan, measured: Mapping[str, Any]) -> float:
    """The std of a gain or bias that is drawn: the base's own × the plan's multiplier."""
    if canonical(tensor.name) not in measured:
        raise InvalidInputError(
            f"the plan multiplies the init of {tensor.name!r} by {tensor.init_std.multiplier:.4g}, and its entries "
            "differ: give base_params, in which a std is measured if they are drawn around 0, or params that hold one "
            "number there",
            field="params",
        )
    return _measured_std(tensor, measured)


def _std(tensor: TensorPlan, measured: Mapping[str, Any]) -> float:
    """The plan's std, or what the base's own values have × the plan's multiplier."""
    value, _, _ = tensor.init_std
    return _measured_std(tensor, measured) if value is None else value


def _measured_std(tensor: TensorPlan, measured: Mapping[str, Any]) -> float:
    base = measured.get(canonical(tensor.name))
    if base is None:
        raise InvalidInputError(
            f"the plan has no init std for {tensor.name!r}; give base.init_std, for the whole model or by role, or "
            "base_params, in which it is then measured",
            field="base.init_std",
        )
    values = np.asarray(base, np.float64)
    rms = float(np.sqrt(np.mean(np.square(values))))
    if abs(values.mean()) > _STANDARD_ERRORS * rms / np.sqrt(values.size):
        raise InvalidInputError(
            f"the base's {tensor.name!r} has mean {values.mean():.3g} and RMS {rms:.3g}: it is not drawn around 0, and "
            "a std says nothing of it; give base.init_std",
            field="base.init_std",
        )
    return rms * tensor.init_std.multiplier


def _refuse_model_multipliers(plan: Plan, in_model: Collection[str]) -> None:
    unknown = sorted(set(in_model) - set(_IN_THE_MODEL))
    if unknown:
        raise InvalidInputError(f"in_model has {unknown}; give some of {list(_IN_THE_MODEL)}", field="in_model")
    for name in _IN_THE_MODEL:
        quantity = getattr(plan.model, name)
        if quantity is not None and quantity.multiplier != 1 and name not in in_model:
            raise InvalidInputError(
                f"the plan's {name} is ×{quantity.multiplier:.6g} ({quantity.reason}), which no weight can hold; "
                f"multiply in the model, and say so: in_model=[{name!r}]",
                field=f"model.{name}",
            )
