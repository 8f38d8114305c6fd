"""A piece of a model, or all of it: its parameters in order, its attentions and its multipliers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from widthwise.reading.model import Attention, CodeMultiplier
from widthwise.reading.parameter import Block, Parameter


@dataclass(frozen=True, slots=True)
class Outline:
    """Names and paths are relative to the piece; a tie names its owner in full."""

    parameters: tuple[Parameter, ...] = ()
    attentions: tuple[Attention, ...] = ()
    multipliers: tuple[CodeMultiplier, ...] = ()


NOTHING = Outline()


def together(*pieces: Outline) -> Outline:
    """Return several pieces as one, in their order."""
    return Outline(
        tuple(parameter for piece in pieces for parameter in piece.parameters),
        tuple(attention for piece in pieces for attention in piece.attentions),
        tuple(multiplier for piece in pieces for multiplier in piece.multipliers),
    )


def under(path: str, *pieces: Outline) -> Outline:
    """Return the pieces as the contents of the module at `path`."""
    inside = together(*pieces)
    return Outline(
        tuple(replace(parameter, name=f"{path}.{parameter.name}") for parameter in inside.parameters),
        tuple(
            replace(attention, where=f"{path}.{attention.where}" if attention.where else path)
            for attention in inside.attentions
        ),
        tuple(
            replace(multiplier, parameters=tuple(f"{path}.{name}" for name in multiplier.parameters))
            for multiplier in inside.multipliers
        ),
    )


def chain(path: str, length: int, block: Callable[[int], Outline], *, number: int = 0) -> Outline:
    """Return a chain of residual blocks, numbered in its path. number: of the chain, if a model has two."""
    return together(*(_within(Block(number, index), under(f"{path}.{index}", block(index))) for index in range(length)))


def in_chain(number: int, piece: Outline) -> Outline:
    """Return a piece of one chain with that chain's number in the whole model."""
    return replace(
        piece,
        parameters=tuple(
            each if each.block is None else replace(each, block=replace(each.block, chain=number))
            for each in piece.parameters
        ),
    )


def outside_blocks(piece: Outline) -> Outline:
    """Return a piece of a block that the whole chain shares, so that it stands in no block."""
    return replace(piece, parameters=tuple(replace(each, block=_SHARED) for each in piece.parameters))


#: Marks what `chain` leaves outside its blocks.
_SHARED = Block(-1, -1)


def _within(block: Block, piece: Outline) -> Outline:
    return replace(
        piece,
        parameters=tuple(
            replace(parameter, block=None if parameter.block is _SHARED else block) for parameter in piece.parameters
        ),
    )
