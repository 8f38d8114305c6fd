"""Which entries of a parameter's axis a value came from."""

from collections.abc import Mapping, Sequence

from widthwise.reading.dataflow.axes import Atom
from widthwise.reading.dataflow.graph import Value

Entries = Sequence[int]  #: in order; a range for a regular row of them


def entries(axis: Atom, value: Value) -> Entries | None:
    """The entries of an axis that a value still has or selected from; None if it has lost the axis."""
    present = {atom.index for dim in value.dims for atom in dim}
    return _entries(axis, present, {atom.index: index for atom, index in value.picks})


def _entries(atom: Atom, present: set[int], picks: Mapping[int, int]) -> Entries | None:
    if atom.index in present:
        return range(atom.size)
    if atom.index in picks:
        return range(picks[atom.index], picks[atom.index] + 1)
    for key, pieces in atom.pieces.items():
        found = [_entries(piece, present, picks) for piece in pieces]
        if all(each is None for each in found):
            continue
        if key[0] == "slice":
            start, step = int(key[1]), int(key[3])
            (inside,) = found
            return _shifted(inside or (), start, step)
        outer, inner = (range(piece.size) if each is None else each for piece, each in zip(pieces, found, strict=True))
        return _nested(outer, inner, pieces[1].size)
    return None


def _shifted(inside: Entries, start: int, step: int) -> Entries:
    if isinstance(inside, range):
        return range(start + inside.start * step, start + inside.stop * step, inside.step * step)
    return [start + step * entry for entry in inside]


def _nested(outer: Entries, inner: Entries, size: int) -> Entries:
    if isinstance(outer, range) and isinstance(inner, range) and inner.step == 1:
        if len(outer) == 1:
            return _shifted(inner, outer[0] * size, 1)
        if len(inner) == size and outer.step == 1:
            return range(outer.start * size, outer.stop * size)
    return [one * size + other for one in outer for other in inner]


def joined(parts: Sequence[Entries]) -> Entries:
    """All entries of several parts, in order."""
    found = sorted({entry for part in parts for entry in part})
    whole = range(found[0], found[-1] + 1)
    return whole if len(whole) == len(found) else found


def slices(of: Entries, size: int) -> tuple[slice, ...]:
    """The same entries of an axis of some size as slices, in order."""
    if isinstance(of, range):
        return (slice(of.start, min(of.stop, size), None if of.step == 1 else of.step),)
    found: list[slice] = []
    for entry in of:
        if found and found[-1].stop == entry:
            found[-1] = slice(found[-1].start, entry + 1)
        else:
            found.append(slice(entry, entry + 1))
    return tuple(found)
