"""Where each tensor stands: its role, its fan axes, and how much each fan grows from base to target.

Nothing is read into a tensor's name.  A tensor is placed by its declared role, by its declared fan axes, or by the
declared layout of matrices whose two axes both grow; whatever is still open is refused with what would settle it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from widthwise.errors import UnplacedTensorsError
from widthwise.theory.fans import Fans
from widthwise.vocabulary import Layout, Role

MAX_DIMENSIONS = 8  # chosen: scan-stacked, expert-stacked convolution kernels have 6
MAX_AXIS = 2**53  # the largest count that a JSON number carries exactly
MAX_FAN = 2**63  # chosen: a product of axes beyond any model; keeps every ratio and multiplier a finite float

#: An axis that changes by less than this factor while the other grows by a fifth or more is a padded vocabulary
#: rather than a width; which one it is must be declared.  Chosen: 50257 → 51200 is 1.019, width steps are ≥ 1.25.
_BARELY, _CLEARLY = 1.02, 1.2


@dataclass(frozen=True, slots=True)
class Tensor:
    """One parameter of the model, with its unsharded shape in the base and in the target."""

    name: str
    base_shape: Sequence[int]
    target_shape: Sequence[int]
    fan_in_axes: Sequence[int] | None = None  #: axes summed over in the forward pass; [] for gains and biases
    fan_out_axes: Sequence[int] | None = None  #: axes of the output; axes in neither are stacks (layers, experts)
    role: Role | str | None = None
    tied_to: str | None = None  #: name of the tensor that owns the weights which this one reuses
    decayed: bool = True  #: False keeps weight decay away from it, whatever its role has


class Placement(NamedTuple):
    """A tensor's role and fans, and what they rest on."""

    role: Role
    fans: Fans
    declared: bool  #: the role was declared; else it follows from the fans
    by_layout: bool  #: neither role nor axes were declared: the layout alone says which axis is which
    stack_changes: bool  #: an axis that is neither fan-in nor fan-out differs between base and target


class _Unplaced(Exception):  # noqa: N818 - control flow inside this module, never leaves it
    pass


def place(tensors: Sequence[Tensor], layout: Layout | str | None = None) -> list[Placement]:
    """Role and fans of each tensor, in order.

    Raises UnplacedTensorsError that lists every tensor whose role or axes can't be known, with what settles it.
    """
    order = Layout(layout) if layout is not None else None
    problems: list[tuple[str, str]] = []
    placements: list[Placement] = []
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) != len(tensors):
        problems += [(name, "this name is given more than once; names must be unique") for name in _repeated(tensors)]
    owners = {tensor.tied_to for tensor in tensors if tensor.tied_to is not None}
    seen: dict[tuple[object, ...], Placement] = {}
    for tensor in tensors:
        key = (
            tuple(tensor.base_shape),
            tuple(tensor.target_shape),
            None if tensor.fan_in_axes is None else tuple(tensor.fan_in_axes),
            None if tensor.fan_out_axes is None else tuple(tensor.fan_out_axes),
            tensor.role,
            tensor.tied_to,
            tensor.name in owners,
        )
        placement = seen.get(key)
        if placement is None:
            try:
                placement = _place(_with_tied_role(tensor, by_name, tensor.name in owners), order)
            except _Unplaced as unplaced:
                problems.append((tensor.name, str(unplaced)))
                continue
            seen[key] = placement
        placements.append(placement)
    if problems:
        raise UnplacedTensorsError(problems)
    return placements


def _repeated(tensors: Iterable[Tensor]) -> list[str]:
    seen: set[str] = set()
    repeated = []
    for tensor in tensors:
        if tensor.name in seen:
            repeated.append(tensor.name)
        seen.add(tensor.name)
    return repeated


def _with_tied_role(tensor: Tensor, by_name: dict[str, Tensor], owns: bool) -> Tensor:
    """Check a tie, and return an undeclared tied matrix its side: the owner embeds, the one tied to it reads out."""
    if tensor.tied_to is not None:
        owner = by_name.get(tensor.tied_to)
        if owner is None:
            raise _Unplaced(f"tied_to names {tensor.tied_to!r}, which is not among the tensors; list it too")
        if owner.name == tensor.name or owner.tied_to is not None:
            raise _Unplaced(
                f"tied_to names {tensor.tied_to!r}, which is itself tied; name the tensor that owns the weights"
            )
        if math.prod(owner.base_shape) != math.prod(tensor.base_shape) or math.prod(owner.target_shape) != math.prod(
            tensor.target_shape
        ):
            raise _Unplaced(
                f"tied to {tensor.tied_to!r}, but their sizes differ: {_shapes(tensor)} against {_shapes(owner)}"
            )
    elif not owns:
        return tensor
    if tensor.role is not None or tensor.fan_in_axes is not None or tensor.fan_out_axes is not None:
        return tensor
    if len(tensor.base_shape) != 2 or len(_changed(tensor)) > 1:
        return tensor
    role = Role.READOUT if tensor.tied_to is not None else Role.EMBEDDING
    return Tensor(tensor.name, tensor.base_shape, tensor.target_shape, role=role, tied_to=tensor.tied_to)


def _place(tensor: Tensor, layout: Layout | None) -> Placement:
    _check_shape(tensor)
    try:
        declared = None if tensor.role is None else Role(tensor.role)
    except ValueError:
        roles = ", ".join(role.value for role in Role)
        raise _Unplaced(f"role is {tensor.role!r}; give one of {roles}") from None
    changed = _changed(tensor)
    if tensor.fan_in_axes is not None or tensor.fan_out_axes is not None:
        fan_in_axes, fan_out_axes = _checked_axes(tensor)
    else:
        fan_in_axes, fan_out_axes = _axes(tensor, declared, layout, changed)
    base, target = tensor.base_shape, tensor.target_shape
    fans = Fans(
        _product(base, fan_in_axes),
        _product(target, fan_in_axes),
        _product(base, fan_out_axes),
        _product(target, fan_out_axes),
    )
    if max(fans) > MAX_FAN:
        raise _Unplaced(f"{_shapes(tensor)}: a fan of {max(fans)} is beyond any model (at most 2^63); check the shapes")
    role = declared if declared is not None else _role(tensor, fans, bool(fan_in_axes))
    if declared is not None:
        _check_declared(declared, fans)
    stack_changes = any(axis not in fan_in_axes and axis not in fan_out_axes for axis in changed)
    by_layout = declared is None and tensor.fan_in_axes is None and role is Role.HIDDEN
    return Placement(role, fans, declared is not None, by_layout, stack_changes)


def _product(shape: Sequence[int], axes: Sequence[int]) -> int:
    return shape[axes[0]] if len(axes) == 1 else math.prod([shape[axis] for axis in axes])


def _axes(
    tensor: Tensor, declared: Role | None, layout: Layout | None, changed: list[int]
) -> tuple[list[int], list[int]]:
    """Fan axes of a tensor that names none."""
    dimensions = len(tensor.base_shape)
    if declared is Role.SCALAR or (declared is None and not changed and dimensions != 2):
        return [], list(range(dimensions))
    if declared is Role.VECTOR or (declared is None and dimensions <= 1):
        if len(changed) > 1:
            raise _Unplaced(f"{_shapes(tensor)}: more than one axis changes; give fan_in_axes [] and fan_out_axes")
        return [], changed or list(range(dimensions))
    if dimensions == 1:
        if declared is Role.READOUT:
            return [0], []
        return [], [0]
    if dimensions != 2:
        raise _Unplaced(
            f"{_shapes(tensor)} has {dimensions} axes; give fan_in_axes and fan_out_axes (axes in neither are stacks "
            "of layers or experts), or role 'vector' or 'scalar' for gains and biases"
        )
    return _matrix_axes(tensor, declared, layout, changed)


def _matrix_axes(
    tensor: Tensor, declared: Role | None, layout: Layout | None, changed: list[int]
) -> tuple[list[int], list[int]]:
    by_layout = {Layout.OUT_IN: ([1], [0]), Layout.IN_OUT: ([0], [1])}
    if declared is Role.EMBEDDING:
        if len(changed) == 2:
            raise _Unplaced(f"{_shapes(tensor)}: both axes of an embedding change; give fan_in_axes and fan_out_axes")
        grows = changed[0] if changed else 1  # a table is [entries, width] in PyTorch and in JAX alike
        return [1 - grows], [grows]
    if declared is Role.READOUT and len(changed) == 1:
        return [changed[0]], [1 - changed[0]]
    if declared is None and len(changed) == 1:
        raise _Unplaced(
            f"{_shapes(tensor)}: only axis {changed[0]} changes, which fits an embedding table, a readout and a "
            "projection of constant width; give role (embedding, readout, hidden) or fan_in_axes and fan_out_axes"
        )
    if layout is not None:
        return by_layout[layout]
    square = tensor.base_shape[0] == tensor.base_shape[1] and tensor.target_shape[0] == tensor.target_shape[1]
    if square or not changed:  # either order gives the same numbers
        return by_layout[Layout.OUT_IN]
    raise _Unplaced(
        f"{_shapes(tensor)}: which axis is fan-in is not said; give layout 'out_in' (PyTorch Linear) or 'in_out' "
        "(JAX, Conv1D) for all matrices, or fan_in_axes and fan_out_axes here"
    )


def _role(tensor: Tensor, fans: Fans, has_fan_in: bool) -> Role:
    """Role that follows from which fans grow."""
    grows_in, grows_out = fans.base_in != fans.target_in, fans.base_out != fans.target_out
    if grows_in and grows_out:
        ratio_in, ratio_out = fans.ratio_in, fans.ratio_out
        for one, other, side in ((ratio_in, ratio_out, "fan-in"), (ratio_out, ratio_in, "fan-out")):
            if max(one, 1 / one) < _BARELY and max(other, 1 / other) >= _CLEARLY:
                raise _Unplaced(
                    f"{_shapes(tensor)}: the {side} barely changes (×{one:.4g}) while the other fan changes "
                    f"×{other:.4g}, as with a padded vocabulary; give role (embedding, readout or hidden)"
                )
        return Role.HIDDEN
    if grows_out:
        return Role.EMBEDDING if has_fan_in else Role.VECTOR
    return Role.READOUT if grows_in else Role.SCALAR


def _check_declared(role: Role, fans: Fans) -> None:
    """Refuse a declared role that the fans contradict: the axes are then most likely swapped."""
    grows_in, grows_out = fans.base_in != fans.target_in, fans.base_out != fans.target_out
    if role is Role.EMBEDDING and grows_in and not grows_out:
        raise _Unplaced("role is embedding, but only its fan-in grows; swap the fan axes or correct the role")
    if role is Role.READOUT and grows_out and not grows_in:
        raise _Unplaced("role is readout, but only its fan-out grows; swap the fan axes or correct the role")


def _check_shape(tensor: Tensor) -> None:
    base, target = tensor.base_shape, tensor.target_shape
    if len(base) != len(target):
        raise _Unplaced(f"base_shape has {len(base)} axes and target_shape {len(target)}; they must agree")
    if len(base) > MAX_DIMENSIONS:
        raise _Unplaced(f"{_shapes(tensor)} has {len(base)} axes; at most {MAX_DIMENSIONS} are supported")
    for size in (*base, *target):
        if type(size) is not int or not 1 <= size <= MAX_AXIS:
            raise _Unplaced(f"a shape holds {size!r}; every axis is an integer from 1 to {MAX_AXIS}")


def _checked_axes(tensor: Tensor) -> tuple[list[int], list[int]]:
    if tensor.fan_in_axes is None or tensor.fan_out_axes is None:
        raise _Unplaced("give both fan_in_axes and fan_out_axes ([] where there is none)")
    dimensions = len(tensor.base_shape)
    axes = [*tensor.fan_in_axes, *tensor.fan_out_axes]
    for axis in axes:
        if not -dimensions <= axis < dimensions:
            raise _Unplaced(f"fan axis {axis} does not exist: {_shapes(tensor)} has {dimensions} axes, counted from 0")
    fan_in, fan_out = ([axis % dimensions for axis in side] for side in (tensor.fan_in_axes, tensor.fan_out_axes))
    if len({*fan_in, *fan_out}) != len(axes):
        raise _Unplaced(f"an axis is named twice: fan_in_axes {fan_in}, fan_out_axes {fan_out}")
    return fan_in, fan_out


def _changed(tensor: Tensor) -> list[int]:
    pairs = zip(tensor.base_shape, tensor.target_shape, strict=False)
    return [axis for axis, (base, target) in enumerate(pairs) if base != target]


def _shapes(tensor: Tensor) -> str:
    return f"{list(tensor.base_shape)} → {list(tensor.target_shape)}"
