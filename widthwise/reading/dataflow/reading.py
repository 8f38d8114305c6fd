"""From a recorded dataflow to the model as it was read."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain as one_after_another
from math import prod

from widthwise.caution import Caution
from widthwise.reading.dataflow.chains import Chain, Chains
from widthwise.reading.dataflow.feeding import Feeding
from widthwise.reading.dataflow.flow import Flow
from widthwise.reading.dataflow.graph import Graph
from widthwise.reading.dataflow.low_rank import low_rank_uses
from widthwise.reading.dataflow.placing import MATRICES, Placed, Placing
from widthwise.reading.dataflow.residuals import joins
from widthwise.reading.dataflow.resolving import mark_dead, resolve
from widthwise.reading.dataflow.scales import Multipliers, attentions
from widthwise.reading.dataflow.sides import SidesOfParameters
from widthwise.reading.dataflow.standing import Standing
from widthwise.reading.experts import with_parts
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Block, Feeds, FusedPart, Parameter, ParameterUse
from widthwise.reading.routers import router_cautions
from widthwise.vocabulary import Role, TensorPart


def read(graph: Graph, source: str, aliases: Mapping[str, Sequence[str]] | None = None) -> ModelReading:
    """Return what a recorded forward pass says about every parameter.

    source: how the pass was recorded, in words. aliases: the other names of parameters that have several.
    """
    merged = resolve(graph)
    mark_dead(graph)
    flow = Flow(graph)
    residual = joins(graph, flow)
    chains = Chains(flow, residual)
    reader = _Reader(flow, Standing(flow, residual), Feeding(flow, residual), chains.blocks())
    placing = Placing(graph, low_rank_uses(graph))
    parameters: list[Parameter] = []
    for owner, sides in SidesOfParameters(graph, merged).all().items():
        places = placing.places(owner, sides)
        parameters.append(reader.parameter(owner, owner, places[0]))
        for place in places[1:]:
            name = _other_name(owner, place, (aliases or {}).get(owner, ()))
            parameters.append(reader.parameter(name, owner, place))
    return ModelReading(
        source,
        with_parts(parameters),
        attentions=attentions(flow),
        multipliers=Multipliers(flow, residual, reader.roles, reader.low_rank).all(),
        blocks=tuple(chain.count for chain in chains.chains),
        width=_width(graph, chains.chains),
        cautions=tuple(_cautions(graph, parameters)),
    )


class _Reader:
    """Makes parameters of places."""

    def __init__(self, flow: Flow, standing: Standing, feeding: Feeding, blocks: Mapping[str, Block]) -> None:
        self._flow, self._standing, self._feeding, self._blocks = flow, standing, feeding, blocks
        self.roles: dict[int, Role | None] = {}  #: of uses, by identity
        self.low_rank: set[int] = set()  #: identities of the uses of low-rank factors

    def parameter(self, name: str, owner: str, place: Placed) -> Parameter:
        shape = self._flow.graph.shapes[owner]
        role, question, evidence = self._role(place, shape)
        self.roles.update({id(sides.use): role for sides in place.uses})
        if place.use is ParameterUse.LOW_RANK:
            self.low_rank.update(id(sides.use) for sides in place.uses)
        feeds: Feeds | None = None
        parts: tuple[FusedPart, ...] = ()
        if place.use in MATRICES and question is None:
            feeds, parts = self._feeding.of(owner, place.fan_out, [sides.use for sides in place.uses])
        return Parameter(
            name=name,
            shape=shape,
            use=place.use,
            role=role,
            fan_in_axes=place.fan_in,
            fan_out_axes=place.fan_out,
            stack_axes=place.stack(len(shape)),
            tied_to=None if name == owner else owner,
            feeds=feeds,
            parts=parts,
            part=_factor(place, shape),
            block=self._blocks.get(owner),
            question=question,
            evidence=(*place.evidence, *evidence),
        )

    def _role(self, place: Placed, shape: Sequence[int]) -> tuple[Role | None, str | None, tuple[str, ...]]:
        """A role with its evidence, or the question that is open."""
        if place.question is not None:
            return None, place.question, ()
        if place.use is ParameterUse.LOW_RANK:
            return Role.HIDDEN, None, ("a factor of a low-rank change of another weight",)
        if place.use in MATRICES:
            found = dict(self._standing.role(sides.use) for sides in place.uses)
            if None in found:
                return None, found[None], ()
            for role in (Role.VECTOR, Role.READOUT, Role.HIDDEN, Role.EMBEDDING):
                if role in found:
                    return role, None, (found[role],)
        if not place.whole:
            return Role.EMBEDDING, None, ()
        return (Role.SCALAR if all(size == 1 for size in shape) else Role.VECTOR), None, ()


def _factor(place: Placed, shape: Sequence[int]) -> TensorPart | None:
    """Which factor of a low-rank change it is: the rank is below both sizes of what is changed."""
    if place.use is not ParameterUse.LOW_RANK or place.question is not None:
        return None
    fan_in, fan_out = (prod(shape[axis] for axis in side) for side in (place.fan_in, place.fan_out))
    return None if fan_in == fan_out else TensorPart.LORA_A if fan_out < fan_in else TensorPart.LORA_B


def _other_name(owner: str, place: Placed, aliases: Sequence[str]) -> str:
    """The name that the second use of tied weights goes by: that of the module which ran it, if it has one there."""
    where = {sides.use.node.where for sides in place.uses}
    for alias in aliases:
        if alias.rpartition(".")[0] in where:
            return alias
    return aliases[-1] if aliases else f"{owner}@{place.use.value}"


def _width(graph: Graph, chains: Sequence[Chain]) -> int | None:
    """The size of the residual stream: the features that its branches read. None if it has none, or several."""
    summed = graph.axes.classes(
        one_after_another.from_iterable((*use.summed, *use.free) for use in graph.uses if use.is_matrix)
    )
    found: Counter[int] = Counter()
    for each in chains:
        for join in each.joins:
            sizes = [
                size
                for size, dim in zip(join.result.shape, join.result.dims, strict=True)
                if any(graph.axes.class_of(atom) in summed for atom in dim)
            ]
            if len(sizes) == 1:
                found[sizes[0]] += 1
    return next(iter(found)) if len(found) == 1 else None


def _cautions(graph: Graph, parameters: Sequence[Parameter]) -> Iterator[Caution]:
    yield from router_cautions(parameters)
    if graph.unknown:
        yield Caution(
            "operations_without_rule",
            f"the forward pass runs operations that the reader has no rule for ({', '.join(sorted(graph.unknown))}); "
            "axes are not followed through them",
        )
