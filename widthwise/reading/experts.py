"""What the matrices of a block are within its experts: the router, and the two sides of experts in one parameter."""

from collections.abc import Sequence
from dataclasses import replace

from widthwise.reading.parameter import Block, Feeds, Parameter, ParameterUse
from widthwise.vocabulary import TensorPart

_INTO = frozenset({Feeds.GATE, Feeds.UP})


def with_parts(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """Return the parameters with the part of each that the router of its block settles.

    An expert by itself, as a shared one, looks like any feed-forward part: its reading says which it is, or nothing
    does.
    """
    routers = {each.block: each for each in parameters if each.feeds is Feeds.ROUTER and each.block is not None}
    if not routers:
        return tuple(parameters)
    return tuple(replace(each, part=_part(each, routers)) if each.part is None else each for each in parameters)


def _part(parameter: Parameter, routers: dict[Block, Parameter]) -> TensorPart | None:
    if parameter.feeds is Feeds.ROUTER:
        return TensorPart.ROUTER
    router = None if parameter.block is None else routers.get(parameter.block)
    if router is None or parameter.use is not ParameterUse.CONTRACTION:
        return None
    if [parameter.shape[axis] for axis in parameter.stack_axes] != [router.fan_out]:
        return None
    into = parameter.feeds in _INTO or any(each.feeds in _INTO for each in parameter.parts)
    if into or (parameter.fan_in == router.fan_in and parameter.fan_out != router.fan_in):
        return TensorPart.EXPERT_UP
    return TensorPart.EXPERT_DOWN if parameter.fan_out == router.fan_in else None
