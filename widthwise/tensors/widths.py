"""The widths of a model, as its own tensors and its stated width show them.

A matrix [a, b] whose two axes change is like a stack of gains [layers, width] or a table [positions, width] in all but
one respect: a matrix's first axis is a width, and a width is found elsewhere in the model, because what one layer
gives out the next takes in, and gains and biases have the length of what they act on. Layers, positions and experts
are found nowhere else. The last axis is a width in all three.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from widthwise.tensors.tensor import Tensor, changed_axes
from widthwise.vocabulary import Layout, Role

#: Size of one axis at base and target.
Pair = tuple[int, int]

#: How many equal matrices a fused one holds side by side: queries, keys and values; gate and up.
_QKV, _GATED = 3, 2
MORE_THAN_LAYERS = 128  # chosen: Llama 3.1 405B has 126
_MOST_GROUPS = 128  # of queries that share keys and values (chosen): multi-query models have up to 71
_MOST_COPIES = 8  # of a width in a concatenation (chosen)


class KnownWidths:
    """Which (base, target) sizes are widths of the model."""

    def __init__(
        self,
        tensors: Iterable[Tensor],
        layout: Layout | None,
        stated: Pair | None = None,
        head_dim: Pair | None = None,
    ) -> None:
        self._tensors = tensors  #: one of each kind is enough
        self._layout = layout
        self._stated = stated
        self._head_dim = head_dim

    def __contains__(self, pair: Pair) -> bool:
        """Whether a pair of sizes is a width that some tensor, or the request, shows as it is."""
        return pair in self._pairs

    def explains(self, pair: Pair, alike: Callable[[], int]) -> bool:
        """Whether a matrix's first axis of this size is a width, and not layers or positions.

        alike: how many tensors have the matrix's shape.  It is a width, three of them (queries, keys and values fused),
        the two halves of a gated layer whose other end nothing else meets, widths next to fewer constant features than
        one width has (a concatenation), or fewer heads of keys and values than of queries. Twice or four times a
        width proves nothing: so are usual numbers of positions.
        """
        if pair in self._pairs:
            return True
        base, target = pair
        fused = base % _QKV == target % _QKV == 0 and (base // _QKV, target // _QKV) in self._pairs
        return fused or self._is_gated(pair) or self._is_concatenated(pair) or (alike() > 1 and self._is_shared(pair))

    def _is_shared(self, pair: Pair) -> bool:
        """Whether keys and values that several queries share; they come in twos, and a table of positions alone."""
        if self._head_dim is not None and all(size % d == 0 for size, d in zip(pair, self._head_dim, strict=True)):
            heads = [size // d for size, d in zip(pair, self._head_dim, strict=True)]
            if any(all(n in fewer for n, fewer in zip(heads, each, strict=True)) for each in self._fewer_heads):
                return True
        base, target = pair
        if base < MORE_THAN_LAYERS:
            return False
        return any((base * groups, target * groups) in self._pairs for groups in range(2, _MOST_GROUPS + 1))

    @cached_property
    def _pairs(self) -> frozenset[Pair]:
        pairs = {pair for tensor in self._tensors for pair in _shown(tensor)}
        if self._stated is not None and self._stated[0] != self._stated[1]:
            pairs.add(self._stated)
        return frozenset(pairs)

    @cached_property
    def _ends(self) -> tuple[frozenset[Pair], frozenset[Pair]]:
        """First and last axes of the matrices that `layout` alone places."""
        bare = [tensor for tensor in self._tensors if _is_bare_matrix(tensor)]
        return frozenset(_pair(tensor, 0) for tensor in bare), frozenset(_pair(tensor, 1) for tensor in bare)

    def _is_gated(self, pair: Pair) -> bool:
        """Whether the axis is the fused gate and up that nothing takes in whole, or the half that nothing gives out."""
        firsts, lasts = self._ends
        base, target = pair
        if self._layout is Layout.IN_OUT:  # the half, taken in by the layer that follows the gate
            whole = (_GATED * base, _GATED * target)
            return whole in lasts and whole not in firsts
        if base % _GATED or target % _GATED:
            return False
        half = (base // _GATED, target // _GATED)
        return half in lasts and half not in firsts and half not in self._elsewhere and half != self._stated

    @cached_property
    def _elsewhere(self) -> frozenset[Pair]:
        """Widths that tensors other than bare matrices show."""
        return frozenset(pair for tensor in self._tensors if not _is_bare_matrix(tensor) for pair in _shown(tensor))

    def _is_concatenated(self, pair: Pair) -> bool:
        """Whether k·width + c: k copies of a width, which grow, and fewer constant features than one width has."""
        base, growth = pair[0], pair[1] - pair[0]
        return any(
            0 < base - copies * width < width
            for copies in range(1, _MOST_COPIES + 1)
            if growth % copies == 0
            for width in self._by_growth.get(growth // copies, ())
        )

    @cached_property
    def _fewer_heads(self) -> list[tuple[frozenset[int], ...]]:
        """For each width that is whole heads, the numbers of heads that divide its own, at base and target."""
        if self._head_dim is None:
            return []
        whole = [w for w in self._pairs if all(size % d == 0 for size, d in zip(w, self._head_dim, strict=True))]
        counts = [[size // d for size, d in zip(w, self._head_dim, strict=True)] for w in whole]
        return [
            tuple(frozenset(n // g for g in range(1, min(n, _MOST_GROUPS) + 1) if n % g == 0) for n in each)
            for each in counts
        ]

    @cached_property
    def _by_growth(self) -> dict[int, list[int]]:
        """Sizes of the widths at the base, by how much they grow."""
        found: dict[int, list[int]] = {}
        for base, target in self._pairs:
            found.setdefault(target - base, []).append(base)
        return found


def _shown(tensor: Tensor) -> Iterator[Pair]:
    """The widths that one tensor shows by itself."""
    dimensions = len(tensor.base_shape)
    if dimensions != len(tensor.target_shape) or any(type(size) is not int for size in _sizes(tensor)):
        return  # refused elsewhere
    changed = changed_axes(tensor)
    if tensor.fan_in_axes is not None and tensor.fan_out_axes is not None:
        for side in (tensor.fan_in_axes, tensor.fan_out_axes):
            axes = [axis for axis in side if -dimensions <= axis < dimensions]
            yield from (_pair(tensor, axis) for axis in axes if axis % dimensions in changed)
            if len(axes) > 1 and any(axis % dimensions in changed for axis in axes):
                yield _product(tensor, axes)
        return
    if tensor.role == Role.SCALAR or not changed:
        return
    if tensor.role in (Role.HIDDEN, Role.READOUT) or (tensor.role is not None and len(changed) == 1):
        yield from (_pair(tensor, axis) for axis in changed)
    elif dimensions - 1 in changed:
        yield _pair(tensor, dimensions - 1)


def _is_bare_matrix(tensor: Tensor) -> bool:
    declared = tensor.role is not None or tensor.fan_in_axes is not None or tensor.fan_out_axes is not None
    return not declared and len(tensor.base_shape) == len(tensor.target_shape) == 2


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    return (*tensor.base_shape, *tensor.target_shape)


def _pair(tensor: Tensor, axis: int) -> Pair:
    return tensor.base_shape[axis], tensor.target_shape[axis]


def _product(tensor: Tensor, axes: Iterable[int]) -> Pair:
    base = target = 1
    for axis in axes:
        base, target = base * tensor.base_shape[axis], target * tensor.target_shape[axis]
    return base, target
