"""From a recorded dataflow to the model as it was read."""

from collections.abc import Mapping, Sequence

from widthwise.reading.dataflow.flow import Flow
from widthwise.reading.dataflow.graph import Graph
from widthwise.reading.dataflow.placing import Placed, Placing
from widthwise.reading.dataflow.residuals import joins
from widthwise.reading.dataflow.resolving import mark_dead, resolve
from widthwise.reading.dataflow.sides import SidesOfParameters
from widthwise.reading.dataflow.standing import Standing
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.vocabulary import Role

_MATRICES = (ParameterUse.CONTRACTION, ParameterUse.CONVOLUTION, ParameterUse.LOW_RANK)


def read(graph: Graph, source: str, aliases: Mapping[str, Sequence[str]] | None = None) -> ModelReading:
    """Return what a recorded forward pass says about every parameter.

    source: how the pass was recorded, in words. aliases: the other names of parameters that have several.
    """
    merged = resolve(graph)
    mark_dead(graph)
    flow = Flow(graph)
    found = joins(graph)
    standing = Standing(flow, found)
    placing = Placing(graph)
    sides = SidesOfParameters(graph, merged).all()
    parameters: list[Parameter] = []
    for name, uses in sides.items():
        places = placing.places(name, uses)
        names = [name]
        if len(places) > 1:
            names.append(_other_name(name, places[1], (aliases or {}).get(name, ())))
        for each, place in zip(names, places, strict=True):
            parameters.append(_parameter(graph, standing, each, name, place))
    return ModelReading(source, tuple(parameters))


def _other_name(owner: str, place: Placed, aliases: Sequence[str]) -> str:
    """The name that the second use of tied weights goes by: that of the module which ran it, if it has one there."""
    for alias in aliases:
        if any(alias.rpartition(".")[0] == sides.use.node.where for sides in place.uses):
            return alias
    return aliases[-1] if aliases else f"{owner}@readout"


def _parameter(graph: Graph, standing: Standing, name: str, owner: str, place: Placed) -> Parameter:
    shape = graph.shapes[owner]
    role, question, evidence = _role(standing, place, shape)
    return Parameter(
        name=name,
        shape=shape,
        use=place.use,
        role=role,
        fan_in_axes=place.fan_in,
        fan_out_axes=place.fan_out,
        stack_axes=place.stack(len(shape)),
        tied_to=None if name == owner else owner,
        question=question,
        evidence=(*place.evidence, *evidence),
    )


def _role(standing: Standing, place: Placed, shape: Sequence[int]) -> tuple[Role | None, str | None, tuple[str, ...]]:
    if place.question is not None:
        return None, place.question, ()
    if place.use in _MATRICES:
        found = dict(standing.role(sides.use) for sides in place.uses)
        if place.use is ParameterUse.LOW_RANK:
            return Role.HIDDEN, None, ("a factor of a low-rank change of another weight",)
        for role in (None, Role.VECTOR, Role.READOUT, Role.HIDDEN, Role.EMBEDDING):
            if role in found:
                return role, found[role] if role is None else None, (found[role],)
    if place.use in (ParameterUse.LOOKUP, ParameterUse.POSITION) and not place.whole:
        return Role.EMBEDDING, None, ()
    return (Role.SCALAR if all(size == 1 for size in shape) else Role.VECTOR), None, ()
