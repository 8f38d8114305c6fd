"""Chains of residual joins, cut into blocks, and the parameters of each block."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from widthwise.reading.dataflow.flow import Flow, between
from widthwise.reading.dataflow.graph import Kind, Value, WeightUse
from widthwise.reading.dataflow.residuals import Join
from widthwise.reading.parameter import Block

_LEADING = 2  # chosen: joins before the first block that may belong to none


@dataclass(frozen=True, slots=True)
class Chain:
    """Joins along one stream, and the block that each belongs to; None for joins before the first block."""

    joins: tuple[Join, ...]
    blocks: tuple[int | None, ...]

    @property
    def count(self) -> int:
        """The number of blocks."""
        return len({block for block in self.blocks if block is not None})


class Chains:
    """Finds the chains of a model, and the block of each use of a weight."""

    def __init__(self, flow: Flow, joins: Sequence[Join]) -> None:
        self._flow = flow
        self._graph = flow.graph
        self._uses: dict[int, list[WeightUse]] = {}
        for use in self._graph.uses:
            self._uses.setdefault(use.node.output.index, []).append(use)
        self._results = {join.result.index for join in joins}
        self._inside = {index for join in joins for index in join.inside}
        self.chains = [self._cut(chain) for chain in self._linked(joins) if not self._is_recurrence(chain)]

    def _linked(self, joins: Sequence[Join]) -> list[list[Join]]:
        """Joins in chains: the skip of each is the result of the one before, with no matrix in between."""
        number = {join.result.index: place for place, join in enumerate(joins)}
        following: dict[int, int] = {}
        heads = []
        for place, join in enumerate(joins):
            before = self._before(join.skip, number, place)
            if before is None:
                heads.append(place)
            else:
                following.setdefault(before, place)
        chains = []
        for head in heads:
            chain = [head]
            while chain[-1] in following:
                chain.append(following[chain[-1]])
            chains.append([joins[place] for place in chain])
        return chains

    def _before(self, skip: Value, number: dict[int, int], place: int) -> int | None:
        best: int | None = None
        waiting, seen = [skip], {skip.index}
        while waiting:
            value = waiting.pop()
            found = number.get(value.index)
            if found is not None and found < place:
                best = found if best is None else max(best, found)
                continue
            if value.node is not None and value.node.matrices:
                continue
            for parent in value.parents:
                if parent.kind is Kind.DATA and parent.index not in seen:
                    seen.add(parent.index)
                    waiting.append(parent)
        return best

    def _is_recurrence(self, joins: Sequence[Join]) -> bool:
        """Whether joins follow one another in time: all use the same parameters, and each reads a separate input."""
        if len(joins) == 1:
            return False
        used = {frozenset(_used(use) for use in self._uses_inside(join)) for join in joins}
        return len(used) == 1 and len({self._read_outside(join) for join in joins}) == len(joins)

    def _uses_inside(self, join: Join) -> Iterator[WeightUse]:
        for index in join.inside:
            if index != join.skip.index:
                yield from self._uses.get(index, ())

    def _read_outside(self, join: Join) -> frozenset[int]:
        branch = join.inside - {join.skip.index}
        parents = (parent for index in branch for parent in self._graph.values[index].parents)
        return frozenset(
            parent.index for parent in parents if parent.index not in join.inside and parent.kind is Kind.DATA
        )

    def _cut(self, joins: Sequence[Join]) -> Chain:
        """Cut a chain where its pattern of branches repeats."""
        for signatures, leading in (
            ([self._matrices(join) for join in joins], 1),
            ([self._mixes(join) for join in joins], _LEADING + 1),
        ):
            for offset in range(leading):
                period = _period(signatures[offset:])
                if period is not None:
                    blocks = [None if i < offset else (i - offset) // period for i in range(len(joins))]
                    return Chain(tuple(joins), tuple(blocks))
        return Chain(tuple(joins), (0,) * len(joins))

    def _matrices(self, join: Join) -> tuple[object, ...]:
        """The matrices of a branch: how they are used, and their shapes."""
        return tuple(
            sorted(
                (use.how.value, self._graph.shapes[name])
                for use in self._uses_inside(join)
                if use.is_matrix
                for name in use.value.parameters
            )
        )

    def _mixes(self, join: Join) -> bool:
        """Whether a branch carries data from one place of the sequence to another."""
        for index in join.inside:
            node = self._graph.values[index].node
            if node is None or index == join.skip.index:
                continue
            if (node.contraction is not None and node.contraction.of_data) or node.operation in (
                *("attention", "cumsum", "written", "scan"),
            ):
                return True
            if any(max(use.value.shape[2:], default=1) > 1 for use in node.matrices if use.how.value == "convolution"):
                return True
        return False

    def blocks(self) -> dict[str, Block]:
        """The block of each parameter that stands in one, by name; the one in the deeper chain if it is in several."""
        found: dict[str, tuple[int, Block]] = {}
        for number, chain in enumerate(self.chains):
            for index, values in sorted(self._values(chain).items()):
                names = {name for each in values for use in self._uses.get(each, ()) for name in use.value.parameters}
                for name in names:
                    if name not in found or found[name][0] < chain.count:
                        found[name] = (chain.count, Block(number, index))
        return {name: block for name, (_, block) in found.items()}

    def _values(self, chain: Chain) -> dict[int, set[int]]:
        """The values of each block: its branches, the stream up to the next one, and what feeds this block alone."""
        found: dict[int, set[int]] = {}
        tail: list[str] = []
        for place, (join, block) in enumerate(zip(chain.joins, chain.blocks, strict=True)):
            if block is None:
                continue
            values = found.setdefault(block, set())
            values |= (join.inside - {join.skip.index}) | {join.result.index}
            if place + 1 < len(chain.joins):
                ahead = chain.joins[place + 1].skip
                stream = between(join.result, ahead) if ahead is not join.result else set()
                values |= stream - {join.result.index}
                operations = [self._operation(index) for index in sorted(stream) if self._uses.get(index)]
                tail = operations or tail
            elif tail:
                values |= self._after(join.result, tail)
        for values in found.values():
            self._with_feeders(values)
        return found

    def _operation(self, index: int) -> str:
        node = self._graph.values[index].node
        return node.operation if node is not None else ""

    def _after(self, result: Value, operations: Sequence[str]) -> set[int]:
        """What follows the last join of a chain as it follows the others: the norm of a post-norm block."""
        found: set[int] = set()
        waiting, seen = [result], {result.index}
        while waiting and len(found) < len(operations):
            for node in self._flow.readers(waiting.pop(0)):
                if node.output.index in seen or node.matrices:
                    continue
                seen.add(node.output.index)
                waiting.append(node.output)
                if self._uses.get(node.output.index) and node.operation in operations:
                    found.add(node.output.index)
        return found

    def _with_feeders(self, values: set[int]) -> None:
        """Add what only these values read: keys of a cross-attention, modulations of a norm."""
        waiting = list(values)
        while waiting:
            for parent in self._graph.values[waiting.pop()].parents:
                taken = parent.index in values or parent.index in self._results or parent.index in self._inside
                if taken or parent.kind is not Kind.DATA or parent.node is None:
                    continue
                if parent.node.operation == "look_up" and parent.node.uses:
                    continue
                if all(node.output.index in values for node in self._flow.readers(parent)):
                    values.add(parent.index)
                    waiting.append(parent.index)


def _used(use: WeightUse) -> tuple[object, ...]:
    """Which parameters a use is of, and which layer of a stack of them."""
    return use.value.parameters, frozenset((atom.index, place) for atom, place in use.value.picks)


def _period(signatures: Sequence[object]) -> int | None:
    """The length after which a row repeats itself, at least twice; None if it does not."""
    length = len(signatures)
    for period in range(1, length // 2 + 1):
        if length % period == 0 and all(signatures[i] == signatures[i + period] for i in range(length - period)):
            return period
    return None
