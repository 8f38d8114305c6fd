"""A piece of a model, as a tree of modules: its parameters in order, its attentions and its multipliers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from widthwise.reading.model import Attention, CodeMultiplier
from widthwise.reading.parameter import Block, Parameter, ParameterUse
from widthwise.vocabulary import TensorPart


@dataclass(frozen=True, slots=True)
class Outline:
    """Names and paths are relative to the piece; a tie names its owner in full."""

    parameters: tuple[Parameter, ...] = ()
    attentions: tuple[Attention, ...] = ()
    multipliers: tuple[CodeMultiplier, ...] = ()
    pieces: tuple["Outline", ...] = ()  #: after its own parameters
    path: str = ""  #: of the module that holds all of it; empty if the module around it does
    is_chain: bool = False  #: its pieces are residual blocks, each in a module that is named by its number
    is_shared: bool = False  #: every block of a chain uses it, so it belongs to none

    def flat(self, evidence: tuple[str, ...] = ()) -> "Outline":
        """Return the whole without pieces, with full names, blocks, and what its parameters rest on."""
        walk = _Walk(evidence, [], [], [])
        walk.through(self, "", None)
        return Outline(tuple(walk.parameters), tuple(walk.attentions), tuple(walk.multipliers))


NOTHING = Outline()


def together(*pieces: Outline) -> Outline:
    """Return several pieces as one, in their order."""
    return Outline(pieces=pieces)


def under(path: str, *pieces: Outline) -> Outline:
    """Return the pieces as the contents of the module at `path`."""
    return Outline(pieces=pieces, path=path)


def chain(path: str, length: int, block: Callable[[int], Outline]) -> Outline:
    """Return a chain of residual blocks at `path`, each from its number."""
    return Outline(pieces=tuple(block(index) for index in range(length)), path=path, is_chain=True)


def shared(piece: Outline) -> Outline:
    """Return a piece of one block that the whole chain uses."""
    return replace(piece, is_shared=True)


def as_part(piece: Outline, part: TensorPart) -> Outline:
    """Return a piece whose matrices are all one part."""
    matrices = (ParameterUse.CONTRACTION,)
    marked = (replace(each, part=part) if each.use in matrices else each for each in piece.parameters)
    return replace(piece, parameters=tuple(marked))


@dataclass(slots=True)
class _Walk:
    evidence: tuple[str, ...]
    parameters: list[Parameter]
    attentions: list[Attention]
    multipliers: list[CodeMultiplier]
    chains: int = 0  #: met so far; the next one has this number

    def through(self, piece: Outline, around: str, block: Block | None) -> None:
        here = f"{around}{piece.path}." if piece.path else around
        if piece.is_chain:
            number, self.chains = self.chains, self.chains + 1
            for index, each in enumerate(piece.pieces):
                self.through(each, f"{here}{index}.", Block(number, index))
            return
        block = None if piece.is_shared else block
        for parameter in piece.parameters:
            self.parameters.append(
                replace(parameter, name=f"{here}{parameter.name}", block=block, evidence=self.evidence)
            )
        for attention in piece.attentions:
            self.attentions.append(replace(attention, where=f"{here}{attention.where}".rstrip(".")))
        for multiplier in piece.multipliers:
            names = tuple(f"{here}{name}" for name in multiplier.parameters)
            self.multipliers.append(replace(multiplier, parameters=names))
        for each in piece.pieces:
            self.through(each, here, block)
