"""Two readings of one model, at the base's and at the target's size, as the tensors of a transfer.

Parameters outside residual blocks are paired by name. A residual block of the target is paired with a block of the
base that holds the same kinds of parameters in the same order: the one of the same number if it does, else the nearest.
So a deeper target takes its extra blocks from the base's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial

from widthwise.errors import InvalidInputError, UnplacedTensorsError
from widthwise.reading.growth import Growth
from widthwise.reading.model import ModelReading
from widthwise.reading.parameter import Block, Parameter, ParameterUse
from widthwise.tensors.placement import Tensor
from widthwise.vocabulary import Role, known_word

#: What weight decay is usually kept away from.
UNDECAYED = frozenset({ParameterUse.GAIN, ParameterUse.BIAS, ParameterUse.TOKEN, ParameterUse.POSITION})

_ROLES = ", ".join(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class PairedParameter:
    """One parameter of the target with the parameter of the base that it continues."""

    base: Parameter
    target: Parameter

    @property
    def tensor(self) -> Tensor:
        """The tensor of a transfer, named as in the target."""
        known = self.target.use not in (ParameterUse.UNUSED, ParameterUse.UNKNOWN)
        return Tensor(
            self.target.name,
            self.base.shape,
            self.target.shape,
            fan_in_axes=self.target.fan_in_axes if known else None,
            fan_out_axes=self.target.fan_out_axes if known else None,
            role=self.target.role,
            tied_to=self.target.tied_to,
            part=self.target.part,
        )


def pair(
    base: ModelReading, target: ModelReading, roles: Mapping[str, Role | str] | None = None
) -> tuple[PairedParameter, ...]:
    """Pair every parameter of the target with one of the base, in the target's order.

    roles: by a pattern of names (`*` and `?`), the role that settles what is open, or replaces what was read. Raises
    UnplacedTensorsError that lists every parameter without a counterpart, every one on which the two readings
    disagree and every role that is open in a reading or by its growth (`Growth`); InvalidInputError for a role that is
    unknown or a pattern that matches no parameter.
    """
    base, target = _with_roles(base, target, roles or {})
    growth = Growth(base, target)
    problems: list[tuple[str, str]] = []
    pairs = []
    counterparts = _Counterparts(base, target)
    for parameter in target.parameters:
        try:
            found = PairedParameter(counterparts.of(parameter), parameter)
            _agree(found)
        except _Unpaired as unpaired:
            problems.append((parameter.name, str(unpaired)))
            continue
        if not _is_declared(parameter, roles or {}):
            found = replace(found, target=growth.settled(found.base, found.target))
        if found.target.question is not None:
            problems.append((parameter.name, f"{found.target.question}; name its role in roles ({_ROLES})"))
        pairs.append(found)
    problems += [
        (parameter.name, "the base has this parameter and the target has none of this name")
        for parameter in base.parameters
        if parameter.block is None and parameter.name not in target.by_name
    ]
    if problems:
        raise UnplacedTensorsError(problems)
    return tuple(pairs)


class _Unpaired(Exception):  # noqa: N818 - control flow inside this module, never leaves it
    pass


def _with_roles(
    base: ModelReading, target: ModelReading, roles: Mapping[str, Role | str]
) -> tuple[ModelReading, ModelReading]:
    """Both readings with the roles that the caller declares. A later pattern replaces an earlier one."""
    for pattern, word in roles.items():
        role = known_word(Role, word, f"roles[{pattern!r}]")
        if not any(fnmatchcase(parameter.name, pattern) for parameter in target.parameters):
            some = ", ".join(parameter.name for parameter in target.parameters[:3])
            raise InvalidInputError(
                f"roles: the pattern {pattern!r} matches no parameter of the target, which has {some} …; "
                "correct it or leave it out",
                field="roles",
            )
        base, target = (
            replace(
                reading,
                parameters=tuple(
                    replace(parameter, role=role, question=None) if fnmatchcase(parameter.name, pattern) else parameter
                    for parameter in reading.parameters
                ),
            )
            for reading in (base, target)
        )
    return base, target


def _is_declared(parameter: Parameter, roles: Mapping[str, Role | str]) -> bool:
    return any(fnmatchcase(parameter.name, pattern) for pattern in roles)


class _Counterparts:
    """Finds the base's parameter that a target's parameter continues."""

    def __init__(self, base: ModelReading, target: ModelReading) -> None:
        self._by_name = base.by_name
        self._found = dict(_paired_in_blocks(_by_block(base), _by_block(target)))

    def of(self, parameter: Parameter) -> Parameter:
        if parameter.block is None:
            if parameter.name not in self._by_name:
                raise _Unpaired("the target has this parameter and the base has none of this name")
            return self._by_name[parameter.name]
        if parameter.name not in self._found:
            raise _Unpaired(
                "no block of the base holds the same kinds of parameters as this one's; give both models the same "
                "kinds of blocks"
            )
        return self._found[parameter.name]


_Blocks = Mapping[Block, Sequence[Parameter]]


def _paired_in_blocks(base: _Blocks, target: _Blocks) -> Iterator[tuple[str, Parameter]]:
    """The name of each parameter in the target's blocks, with its counterpart in the nearest like block of the base."""
    alike: dict[tuple[object, ...], list[Block]] = {}
    for block, parameters in base.items():
        alike.setdefault(_kind(block, parameters), []).append(block)
    for block, parameters in target.items():
        candidates = alike.get(_kind(block, parameters), [])
        if candidates:
            nearest = min(candidates, key=partial(_distance, block))
            yield from ((ours.name, theirs) for ours, theirs in zip(parameters, base[nearest], strict=True))


def _distance(one: Block, other: Block) -> int:
    return abs(one.index - other.index)


def _by_block(reading: ModelReading) -> _Blocks:
    blocks: dict[Block, list[Parameter]] = {}
    for parameter in reading.parameters:
        if parameter.block is not None:
            blocks.setdefault(parameter.block, []).append(parameter)
    return blocks


def _kind(block: Block, parameters: Sequence[Parameter]) -> tuple[object, ...]:
    """What makes two blocks alike: their chain, and their parameters in order without names and sizes."""
    return (block.chain, *(_what(parameter) for parameter in parameters))


def _what(parameter: Parameter) -> tuple[object, ...]:
    return (
        parameter.use,
        parameter.fan_in_axes,
        parameter.fan_out_axes,
        parameter.stack_axes,
        parameter.feeds,
        tuple((part.feeds, part.axis) for part in parameter.parts),
        parameter.role,
        parameter.tied_to is not None,
    )


def _agree(pair: PairedParameter) -> None:
    """Refuse a pair on which the two readings disagree: one of them read something else than the user thinks."""
    base, target = pair.base, pair.target
    for name, ours, theirs in (
        ("axes", len(base.shape), len(target.shape)),
        ("use", base.use.value, target.use.value),
        ("fan-in axes", base.fan_in_axes, target.fan_in_axes),
        ("fan-out axes", base.fan_out_axes, target.fan_out_axes),
        ("role", base.role, target.role),
        ("tie", base.tied_to is not None, target.tied_to is not None),
    ):
        if ours != theirs:
            raise _Unpaired(
                f"base and target disagree: {name} {ours!s} in the base ({'; '.join(base.evidence) or base.name}) and "
                f"{theirs!s} in the target ({'; '.join(target.evidence) or target.name})"
            )
