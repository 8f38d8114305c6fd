"""Axes of tensors: which axis of one tensor is which axis of another, through reshapes, slices and products.

The dimension of a tensor is a list of atoms, outermost first; one of size 1 has none. An atom is split when a reshape
or a slice needs a piece of it; the pieces are made once, so that the same piece has the same atom. Two relations say
that atoms are one: `same` (the same axis of the model, by any operation) and `own` (the same axis of a weight, by
operations between parameters alone).
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod


@dataclass(eq=False, slots=True)
class Atom:
    """An axis, or a piece of one."""

    index: int
    size: int
    parameter: tuple[str, int] | None = None  #: the parameter's name and axis that it is
    parent: "Atom | None" = None
    key: tuple[int | str, ...] = ()  #: how it lies in its parent: the sizes of a split, or ("slice", start, size, step)
    position: int = 0  #: among the pieces of one split
    pieces: dict[tuple[int | str, ...], list["Atom"]] = field(default_factory=dict)


Dim = list[Atom]
Dims = list[Dim]


class _Relation:
    """A union-find over atoms."""

    def __init__(self) -> None:
        self._parents: list[int] = []

    def add(self) -> None:
        self._parents.append(len(self._parents))

    def root(self, index: int) -> int:
        parents = self._parents
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    def unite(self, one: int, other: int) -> tuple[int, int]:
        """The root that stays and the one that it took in; equal if they were one already."""
        kept, gone = self.root(one), self.root(other)
        self._parents[gone] = kept
        return kept, gone


class AxisRelations:
    """All atoms of one recording, and the two relations between them."""

    def __init__(self) -> None:
        self._atoms: list[Atom] = []
        self._same, self._own = _Relation(), _Relation()
        #: The pieces of a class of the same atoms, by how they were cut: the same piece of the same axis is the same.
        self._pieces: dict[int, dict[tuple[int | str, ...], list[Atom]]] = {}

    def atom(self, size: int, parameter: tuple[str, int] | None = None) -> Atom:
        """A new axis."""
        return self._new(Atom(len(self._atoms), size, parameter))

    def fresh(self, shape: Sequence[int]) -> Dims:
        """New axes for a shape."""
        return [[] if size == 1 else [self.atom(size)] for size in shape]

    def split(self, atom: Atom, outer: int) -> list[Atom]:
        """The two pieces of an axis that a reshape cuts into `outer` × the rest."""
        return self._cut(atom, (outer, atom.size // outer), (outer, atom.size // outer))

    def slice(self, dim: Dim, start: int, size: int, step: int = 1) -> Dim:
        """The dimension that a slice of another one has."""
        if prod(atom.size for atom in dim) == size:
            return list(dim)
        if size == 1:
            return []
        if len(dim) == 1:
            return self._cut(dim[0], ("slice", start, size, step), (size,))
        inner = prod(atom.size for atom in dim[1:])
        if dim and inner and step == 1 and start % inner == 0 and size % inner == 0:
            outer = (
                []
                if size == inner
                else self._cut(dim[0], ("slice", start // inner, size // inner, 1), (size // inner,))
            )
            return [*outer, *dim[1:]]
        return [self.atom(size)]

    def reshape(self, dims: Dims, shape: Sequence[int]) -> Dims | None:
        """The dimensions after a reshape; None if the sizes do not divide each other."""
        left = [atom for dim in dims for atom in dim]
        if 0 in shape or any(atom.size == 0 for atom in left):
            return None
        found: Dims = []
        for size in shape:
            dim: Dim = []
            needed = size
            while needed > 1:
                if not left:
                    return None
                atom = left.pop(0)
                if needed % atom.size == 0:
                    dim.append(atom)
                    needed //= atom.size
                elif atom.size % needed == 0:
                    outer, inner = self.split(atom, needed)
                    dim.append(outer)
                    left.insert(0, inner)
                    needed = 1
                else:
                    return None
            found.append(self._whole(dim))
        return found

    def unite(self, one: Dim, other: Dim, *, own: bool = False) -> None:
        """Say that two dimensions are the same axis; own: also of one weight. Unequal sizes are left alone."""
        ours, theirs = list(one), list(other)
        size = prod(atom.size for atom in ours)
        if size == 0 or size != prod(atom.size for atom in theirs):
            return
        while ours and theirs:
            a, b = ours.pop(0), theirs.pop(0)
            if a.size > b.size and a.size % b.size == 0:
                a, rest = self.split(a, b.size)
                ours.insert(0, rest)
            elif b.size > a.size and b.size % a.size == 0:
                b, rest = self.split(b, a.size)
                theirs.insert(0, rest)
            elif a.size != b.size:
                return
            self._unite(a, b)
            if own:
                self._own.unite(a.index, b.index)

    def classes(self, atoms: Iterable[Atom]) -> set[Hashable]:
        """The axes of the model that some atoms belong to, with what they are pieces of and what are pieces of them."""
        return {self._same.root(relative.index) for atom in atoms for relative in relatives(atom)}

    def own_classes(self, atoms: Iterable[Atom]) -> set[Hashable]:
        """The axes of weights that some atoms belong to, with what they are pieces of and what are pieces of them."""
        return {self._own.root(relative.index) for atom in atoms for relative in relatives(atom)}

    def class_of(self, atom: Atom) -> Hashable:
        """The axis of the model that one atom is."""
        return self._same.root(atom.index)

    def _new(self, atom: Atom) -> Atom:
        self._atoms.append(atom)
        self._same.add()
        self._own.add()
        return atom

    def _cut(self, atom: Atom, key: tuple[int | str, ...], sizes: Sequence[int]) -> list[Atom]:
        if key in atom.pieces:
            return list(atom.pieces[key])
        pieces = [
            self._new(Atom(len(self._atoms), size, None, atom, key, position)) for position, size in enumerate(sizes)
        ]
        atom.pieces[key] = pieces
        known = self._pieces.setdefault(self._same.root(atom.index), {})
        if key in known:
            for one, other in zip(known[key], pieces, strict=True):
                self._unite(one, other)
        else:
            known[key] = pieces
        return list(pieces)

    def _unite(self, one: Atom, other: Atom) -> None:
        kept, gone = self._same.unite(one.index, other.index)
        if kept == gone:
            return
        theirs = self._pieces.pop(gone, {})
        ours = self._pieces.setdefault(kept, {})
        for key, pieces in theirs.items():
            if key in ours:
                for a, b in zip(ours[key], pieces, strict=True):
                    self._unite(a, b)
            else:
                ours[key] = pieces

    def _whole(self, dim: Dim) -> Dim:
        """A dimension in which pieces that make up their whole are replaced by it."""
        for start, atom in enumerate(dim):
            if atom.parent is not None and atom.position == 0 and atom.key[0] != "slice":
                pieces = atom.parent.pieces[atom.key]
                if [a.index for a in dim[start : start + len(pieces)]] == [a.index for a in pieces]:
                    return self._whole([*dim[:start], atom.parent, *dim[start + len(pieces) :]])
        return dim


def relatives(atom: Atom) -> Iterator[Atom]:
    """The atom, everything that it is a piece of, and all its pieces."""
    above = atom.parent
    while above is not None:
        yield above
        above = above.parent
    yield from _below(atom)


def _below(atom: Atom) -> Iterator[Atom]:
    yield atom
    for pieces in atom.pieces.values():
        for piece in pieces:
            yield from _below(piece)


def origin(atom: Atom) -> tuple[tuple[str, int] | None, list[Atom]]:
    """The parameter's axis that an atom is a piece of, and the cuts on the way, outermost first."""
    path = []
    while atom.parent is not None:
        path.append(atom)
        atom = atom.parent
    return atom.parameter, path[::-1]
