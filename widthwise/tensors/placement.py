"""Where each tensor stands: its role, its fan axes, and how much each fan grows from base to target.

Nothing is read into a tensor's name.  A tensor is placed by its declared role, by its declared fan axes, or, if it is a
matrix whose two axes both change, by the declared layout once other tensors show that its first axis is a width
(`widths`); whatever is still open is refused with what would settle it.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

from widthwise.errors import UnplacedTensorsError
from widthwise.tensors.axes import FanAxes, Surroundings, Unplaced, check_padding, fan_axes
from widthwise.tensors.tensor import Tensor, changed_axes, shapes_of
from widthwise.tensors.widths import KnownWidths, Pair
from widthwise.theory.fans import Fans
from widthwise.vocabulary import Layout, Role

__all__ = ["MAX_AXIS", "MAX_DIMENSIONS", "MAX_FAN", "Placement", "Tensor", "place"]

MAX_DIMENSIONS = 8  # chosen: scan-stacked, expert-stacked convolution kernels have 6
MAX_AXIS = 2**53  # the largest count that a JSON number carries exactly
MAX_FAN = 2**63  # chosen: a product of axes beyond any model; keeps every ratio and multiplier a finite float


class Placement(NamedTuple):
    """A tensor's role and fans, and what they rest on."""

    role: Role
    fans: Fans
    declared: bool  #: the role was declared; else it follows from the fans
    stack_changes: bool  #: an axis that is neither fan-in nor fan-out differs between base and target
    unmatched: bool  #: a matrix by the layout alone, whose first axis is a width nowhere else
    stacked_by_depth: bool  #: undeclared; an axis counts as a stack because it equals the stated depth


def place(
    tensors: Sequence[Tensor],
    layout: Layout | str | None = None,
    *,
    width: Pair | None = None,
    depth: Pair | None = None,
    head_dim: Pair | None = None,
) -> list[Placement]:
    """Role and fans of each tensor, in order.

    width, depth, head_dim: what base and target state of the whole model. An axis with the stated depth at both ends is
    a stack of layers, unless axes are declared.  Raises UnplacedTensorsError that lists every tensor whose role or
    axes can't be known, with what settles it.
    """
    if not tensors:
        return []
    order = Layout(layout) if layout is not None else None
    problems: list[tuple[str, str]] = []
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) != len(tensors):
        problems += [(name, "this name is given more than once; names must be unique") for name in _repeated(tensors)]
    owners = {tensor.tied_to for tensor in tensors if tensor.tied_to is not None}
    # Large models repeat few shapes many times: each is placed once.
    keys = [_key(tensor, tensor.name in owners) for tensor in tensors]
    distinct = dict(zip(keys, tensors, strict=True))
    counts = cache(partial(_counts, keys))  # few requests need them
    known = KnownWidths(distinct.values(), order, width, head_dim)
    model = Surroundings(order, known, depth, any(map(_reads_out, distinct.values())))
    found: dict[tuple[object, ...], Placement | str] = {}
    for key, tensor in distinct.items():
        try:
            settled = _with_tied_role(tensor, by_name, tensor.name in owners)
            found[key] = _place(settled, model, partial(_count, counts, key))
        except Unplaced as unplaced:
            found[key] = str(unplaced)
    if open_ones := {key: why for key, why in found.items() if isinstance(why, str)}:
        problems += [
            (tensor.name, open_ones[key]) for key, tensor in zip(keys, tensors, strict=True) if key in open_ones
        ]
    if problems:
        raise UnplacedTensorsError(problems)
    placed = {key: placement for key, placement in found.items() if not isinstance(placement, str)}
    return [placed[key] for key in keys]


def _counts(keys: Sequence[object]) -> Counter[object]:
    return Counter(keys)


def _count(counts: Callable[[], Counter[object]], key: object) -> int:
    return counts()[key]


def _reads_out(tensor: Tensor) -> bool:
    if tensor.role == Role.READOUT or tensor.tied_to is not None:
        return True
    changed = changed_axes(tensor)
    fan_in, fan_out = tensor.fan_in_axes, tensor.fan_out_axes
    return bool(fan_in) and fan_out is not None and any(changed) and not any(axis in changed for axis in fan_out)


def _key(tensor: Tensor, owns: bool) -> tuple[object, ...]:
    """Everything that a tensor's placement depends on."""
    return (
        tuple(tensor.base_shape),
        tuple(tensor.target_shape),
        None if tensor.fan_in_axes is None else tuple(tensor.fan_in_axes),
        None if tensor.fan_out_axes is None else tuple(tensor.fan_out_axes),
        tensor.role,
        tensor.tied_to,
        owns,
    )


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
            raise Unplaced(f"tied_to names {tensor.tied_to!r}, which is not among the tensors; list it too")
        if owner.name == tensor.name or owner.tied_to is not None:
            raise Unplaced(
                f"tied_to names {tensor.tied_to!r}, which is itself tied; name the tensor that owns the weights"
            )
        if math.prod(owner.base_shape) != math.prod(tensor.base_shape) or math.prod(owner.target_shape) != math.prod(
            tensor.target_shape
        ):
            raise Unplaced(
                f"tied to {tensor.tied_to!r}, but their sizes differ: {shapes_of(tensor)} against {shapes_of(owner)}"
            )
    elif not owns:
        return tensor
    if tensor.role is not None or tensor.fan_in_axes is not None:  # axes of one side alone are refused later
        return tensor
    if len(tensor.base_shape) != 2 or len(changed_axes(tensor)) > 1:
        return tensor
    role = Role.READOUT if tensor.tied_to is not None else Role.EMBEDDING
    return replace(tensor, role=role)


def _place(tensor: Tensor, model: Surroundings, alike: Callable[[], int]) -> Placement:
    _check_shape(tensor)
    try:
        declared = None if tensor.role is None else Role(tensor.role)
    except ValueError:
        roles = ", ".join(role.value for role in Role)
        raise Unplaced(f"role is {tensor.role!r}; give one of {roles}") from None
    if tensor.fan_in_axes is not None or tensor.fan_out_axes is not None:
        axes = _checked_axes(tensor)
    else:
        axes = fan_axes(tensor, declared, model, alike)
    fan_in_axes, fan_out_axes, by_depth, unmatched = axes
    base, target = tensor.base_shape, tensor.target_shape
    fans = Fans(
        _product(base, fan_in_axes),
        _product(target, fan_in_axes),
        _product(base, fan_out_axes),
        _product(target, fan_out_axes),
    )
    if max(fans) > MAX_FAN:
        raise Unplaced(
            f"{shapes_of(tensor)}: a fan of {max(fans)} is beyond any model (at most 2^63); check the shapes"
        )
    role = declared if declared is not None else _role(tensor, fans, bool(fan_in_axes))
    if declared is not None:
        _check_declared(declared, fans)
    stack_changes = any(axis not in fan_in_axes and axis not in fan_out_axes for axis in changed_axes(tensor))
    return Placement(role, fans, declared is not None, stack_changes, unmatched, by_depth and declared is None)


def _product(shape: Sequence[int], axes: Sequence[int]) -> int:
    return shape[axes[0]] if len(axes) == 1 else math.prod([shape[axis] for axis in axes])


def _role(tensor: Tensor, fans: Fans, has_fan_in: bool) -> Role:
    """Role that follows from which fans grow; a matrix keeps the role of its place if neither does."""
    grows_in, grows_out = fans.base_in != fans.target_in, fans.base_out != fans.target_out
    if grows_in and grows_out:
        check_padding(tensor, (fans.base_in, fans.target_in), (fans.base_out, fans.target_out), ("fan-in", "fan-out"))
        return Role.HIDDEN
    if grows_out:
        return Role.EMBEDDING if has_fan_in else Role.VECTOR
    if grows_in:
        return Role.READOUT
    return Role.HIDDEN if has_fan_in else Role.SCALAR


def _check_declared(role: Role, fans: Fans) -> None:
    """Refuse a declared role that the fans contradict: the axes are then most likely swapped."""
    grows_in, grows_out = fans.base_in != fans.target_in, fans.base_out != fans.target_out
    if role is Role.EMBEDDING and grows_in and not grows_out:
        raise Unplaced("role is embedding, but only its fan-in grows; swap the fan axes or correct the role")
    if role is Role.READOUT and grows_out and not grows_in:
        raise Unplaced("role is readout, but only its fan-out grows; swap the fan axes or correct the role")


def _check_shape(tensor: Tensor) -> None:
    base, target = tensor.base_shape, tensor.target_shape
    if len(base) != len(target):
        raise Unplaced(f"base_shape has {len(base)} axes and target_shape {len(target)}; they must agree")
    if len(base) > MAX_DIMENSIONS:
        raise Unplaced(f"{shapes_of(tensor)} has {len(base)} axes; at most {MAX_DIMENSIONS} are supported")
    for size in (*base, *target):
        if type(size) is not int or not 1 <= size <= MAX_AXIS:
            raise Unplaced(f"a shape holds {size!r}; every axis is an integer from 1 to {MAX_AXIS}")


def _checked_axes(tensor: Tensor) -> FanAxes:
    if tensor.fan_in_axes is None or tensor.fan_out_axes is None:
        raise Unplaced("give both fan_in_axes and fan_out_axes ([] where there is none)")
    dimensions = len(tensor.base_shape)
    axes = [*tensor.fan_in_axes, *tensor.fan_out_axes]
    for axis in axes:
        if not -dimensions <= axis < dimensions:
            raise Unplaced(f"fan axis {axis} does not exist: {shapes_of(tensor)} has {dimensions} axes, counted from 0")
    fan_in, fan_out = ([axis % dimensions for axis in side] for side in (tensor.fan_in_axes, tensor.fan_out_axes))
    if len({*fan_in, *fan_out}) != len(axes):
        raise Unplaced(f"an axis is named twice: fan_in_axes {fan_in}, fan_out_axes {fan_out}")
    return FanAxes(fan_in, fan_out)
