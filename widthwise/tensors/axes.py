"""The fan axes of a tensor that names none: from its role, the layout, the widths of the model and its depth."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from widthwise.tensors.tensor import Tensor, shapes_of
from widthwise.tensors.widths import MORE_THAN_LAYERS, KnownWidths, Pair
from widthwise.vocabulary import Layout, Role

#: An axis that changes by less than this factor while the other grows by a fifth or more is a padded vocabulary
#: rather than a width; which one it is must be declared.  Chosen: 50257 → 51200 is 1.019, width steps are ≥ 1.25.
_BARELY, _CLEARLY = 1.02, 1.2
_MATRIX = 2  # axes

_BY_LAYOUT = {Layout.OUT_IN: ([1], [0]), Layout.IN_OUT: ([0], [1])}
_AXES = "fan_in_axes and fan_out_axes"

#: Fan-in and fan-out axes.
_Axes = tuple[list[int], list[int]]


class FanAxes(NamedTuple):
    """The fan axes of a tensor, and what they rest on."""

    fan_in: list[int]
    fan_out: list[int]
    by_depth: bool = False  #: an axis was left out as the stack of layers that the depth states
    unmatched: bool = False  #: a matrix whose first axis is a width nowhere else


class Unplaced(Exception):  # noqa: N818 - control flow inside this package, never leaves it
    """What is unknown of one tensor, and what would settle it."""


class Surroundings(NamedTuple):
    """What the rest of a request says about one tensor."""

    layout: Layout | None
    known: KnownWidths
    depth: Pair | None  #: as stated
    has_readout: bool  #: else what the last layer gives out is a width that nothing takes in


def fan_axes(tensor: Tensor, declared: Role | None, model: Surroundings, alike: Callable[[], int]) -> FanAxes:
    """The fan axes of a tensor that declares none.

    alike: how many tensors have this shape and these declarations.  Raises Unplaced for what can't be known.
    """
    sizes = list(zip(tensor.base_shape, tensor.target_shape, strict=True))
    stacks = [axis for axis, size in enumerate(sizes) if size == model.depth]
    is_stack = len(stacks) == 1
    free = [axis for axis in range(len(sizes)) if not is_stack or axis != stacks[0]]
    open_tensor = _Open(tensor, [sizes[axis] for axis in free], model, alike)
    fan_in, fan_out = open_tensor.axes(declared)
    return FanAxes(
        [free[axis] for axis in fan_in], [free[axis] for axis in fan_out], is_stack, open_tensor.is_unmatched
    )


def check_padding(tensor: Tensor, one: Pair, other: Pair, sides: tuple[str, str]) -> None:
    """Raise Unplaced for a matrix of which one side barely changes and the other clearly does."""
    for (base, target), (other_base, other_target), side in ((one, other, sides[0]), (other, one, sides[1])):
        ratio, beside = target / base, other_target / other_base
        if max(ratio, 1 / ratio) < _BARELY and max(beside, 1 / beside) >= _CLEARLY:
            raise Unplaced(
                f"{shapes_of(tensor)}: the {side} barely changes (×{ratio:.4g}) while the other changes "
                f"×{beside:.4g}, as with a padded vocabulary; give role (embedding, readout or hidden)"
            )


class _Open:
    """A tensor without declared axes, and without its stack of layers where the depth says which axis that is."""

    def __init__(self, tensor: Tensor, sizes: Sequence[Pair], model: Surroundings, alike: Callable[[], int]) -> None:
        self._tensor = tensor
        self._sizes = sizes
        self._layout, self._known, self._depth, self._has_readout = model
        self._alike = alike
        self.is_unmatched = False
        self._all = list(range(len(sizes)))
        self._changed = [axis for axis, (base, target) in enumerate(sizes) if base != target]

    def axes(self, declared: Role | None) -> _Axes:
        match declared:
            case Role.SCALAR:
                return [], self._all
            case Role.VECTOR:
                return self._vector()
            case Role.EMBEDDING:
                return self._embedding()
            case Role.READOUT:
                return self._readout()
            case Role.HIDDEN:
                return self._hidden()
            case None:
                return self._undeclared()

    def _vector(self) -> _Axes:
        """A gain or bias; a stack of them is [layers, width], in scanned models and in stacked arrays alike."""
        if len(self._changed) <= 1:
            return [], self._changed or self._all
        if self._depth is not None or 0 not in self._changed:  # no axis counts layers: one vector of several axes
            return [], self._changed
        if len(self._all) == _MATRIX:
            return [], [1]
        raise self._unplaced(
            "more than one axis changes, and the first may count layers; give base.depth and target.depth, or "
            "fan_in_axes [] and fan_out_axes"
        )

    def _embedding(self) -> _Axes:
        """A table is [entries, width] in PyTorch and in JAX alike."""
        last = self._all[-1:]
        width = self._changed if len(self._changed) == 1 else self._known_axis() or last
        if self._changed and not set(width) <= set(self._changed):
            raise self._unplaced(f"more than one axis of an embedding changes, and not its last; give {_AXES}")
        return [axis for axis in self._all if axis not in width], width

    def _readout(self) -> _Axes:
        if len(self._all) == 1:
            return [0], []
        if len(self._all) == _MATRIX and len(self._changed) != 1:
            return self._matrix()
        if len(self._changed) > 1:
            raise self._unplaced(f"more than one axis of a readout changes; give {_AXES}")
        width = self._changed or self._all[-1:]
        return width, [axis for axis in self._all if axis not in width]

    def _hidden(self) -> _Axes:
        if len(self._all) <= 1:
            return [], self._all
        if len(self._all) == _MATRIX:
            return self._matrix()
        if not self._changed:  # nothing grows: any order gives the same numbers
            return self._all[1:], [0]
        raise self._unplaced(f"has {len(self._all)} axes; give {_AXES} (axes in neither are stacks)")

    def _undeclared(self) -> _Axes:
        dimensions = len(self._all)
        if dimensions <= 1 or (dimensions != _MATRIX and not self._changed):
            return [], self._all
        if dimensions != _MATRIX:
            raise self._unplaced(
                f"has {dimensions} axes; give {_AXES} (axes in neither are stacks of layers or experts), or role "
                "'embedding' for learned tokens and position tables, 'readout' if one axis of it is a width, and "
                "'vector' or 'scalar' for gains and biases"
            )
        if len(self._changed) == 1:
            raise self._unplaced(
                f"only axis {self._changed[0]} changes, which fits an embedding table, a readout, a projection of "
                "constant width, and gains or biases stacked over layers; give role (embedding, readout, hidden, "
                f"vector) or {_AXES}"
            )
        if self._changed:
            check_padding(self._tensor, self._sizes[0], self._sizes[1], ("first axis", "second axis"))
            self._check_first_axis()
        return self._matrix()

    def _check_first_axis(self) -> None:
        """Refuse a matrix that could be a stack or a table: its first axis is a width nowhere else.

        In a list without a readout it may be the last layer, which a caution then says; but not if it is as small as a
        number of layers.
        """
        if self._known.explains(self._sizes[0], self._alike):
            return
        base, target = self._sizes[0]
        if not self._has_readout and base >= MORE_THAN_LAYERS:
            self.is_unmatched = True
            return
        layout = "" if self._layout is not None else "; for role hidden give layout 'out_in' or 'in_out' as well"
        raise self._unplaced(
            f"axis 0 goes from {base} to {target}, which is a width nowhere else in the model: it may count layers "
            "(stacked gains or biases), positions or entries, or outputs; give role (hidden, vector, embedding, "
            f"readout) or {_AXES}, or base.depth and target.depth if it counts layers{layout}"
        )

    def _matrix(self) -> _Axes:
        if self._layout is not None:
            return _BY_LAYOUT[self._layout]
        square = self._sizes[0] == self._sizes[1]
        if square or not self._changed:  # either order gives the same numbers
            return _BY_LAYOUT[Layout.OUT_IN]
        raise self._unplaced(
            "which axis is fan-in is not said; give layout 'out_in' (PyTorch Linear) or 'in_out' (JAX, Conv1D) for "
            f"all matrices, or {_AXES} here"
        )

    def _known_axis(self) -> list[int]:
        """The one changing axis that is a width elsewhere; [] if there is none, or more than one."""
        found = [axis for axis in self._changed if self._sizes[axis] in self._known]
        return found if len(found) == 1 else []

    def _unplaced(self, problem: str) -> Unplaced:
        return Unplaced(f"{shapes_of(self._tensor)}: {problem}")
