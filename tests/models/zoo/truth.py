"""What is true of a parameter, as its model's code says: use, role, axes and tie."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from widthwise.reading.parameter import Parameter, ParameterUse
from widthwise.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one parameter.

    axes: a letter for each axis: i of the fan-in, o of the fan-out, s of a stack. None where nothing can be said: the
    parameter is unused. role: None where no reader can know it, so that it must stay open.
    """

    use: ParameterUse
    role: Role | None
    axes: str | None
    or_use: ParameterUse | None = None  #: where the dataflow is the same for two uses
    also: "Truth | None" = None  #: the other use of the same weights, which a reading lists as tied to this one

    idle: bool = False  #: no data reaches it in the specimen's pass, and siblings of it are used

    def tied(self, other: "Truth") -> "Truth":
        """This truth of weights that have the other's as well."""
        return replace(self, also=other)

    @property
    def has_gradient(self) -> bool:
        """Whether the specimen's pass uses it."""
        return self.use is not ParameterUse.UNUSED and not self.idle

    def faults(self, found: Parameter) -> Iterator[str]:
        """What a reading has wrong, in words. An axis of size 1 may stand anywhere."""
        if found.use not in (self.use, self.or_use):
            yield f"use {found.use} instead of {self.use}"
        if found.role is not self.role:
            yield f"role {found.role or 'open'} instead of {self.role or 'open'}"
        if found.role is None and found.question is None:
            yield "an open role without a question"
        letters = _letters(found)
        if "?" in letters or len(letters) != len(found.shape):
            yield f"axes {letters!r} are not each of {list(found.shape)} once"
        elif self.axes is not None and _matter(letters, found) != _matter(self.axes, found):
            yield f"axes {letters!r} instead of {self.axes!r} of {list(found.shape)}"


def _letters(found: Parameter) -> str:
    sides = {"i": found.fan_in_axes, "o": found.fan_out_axes, "s": found.stack_axes}
    letters = ["?"] * len(found.shape)
    for letter, axes in sides.items():
        for axis in axes:
            letters[axis] = letter if letters[axis] == "?" else "?"
    return "".join(letters)


def _matter(letters: str, found: Parameter) -> list[str]:
    return [letter for letter, size in zip(letters, found.shape, strict=True) if size > 1]


def matrix(axes: str = "oi", role: Role = Role.HIDDEN) -> Truth:
    """A weight that data is multiplied with."""
    return Truth(ParameterUse.CONTRACTION, role, axes)


def kernel(axes: str = "oiii", role: Role = Role.HIDDEN) -> Truth:
    """A weight of a convolution."""
    return Truth(ParameterUse.CONVOLUTION, role, axes)


def gain(axes: str = "o") -> Truth:
    """Numbers that multiply data."""
    return Truth(ParameterUse.GAIN, Role.VECTOR, axes)


def bias(axes: str = "o") -> Truth:
    """Numbers that are added to data."""
    return Truth(ParameterUse.BIAS, Role.VECTOR, axes)


def token(axes: str) -> Truth:
    """Learned entries of a sequence."""
    return Truth(ParameterUse.TOKEN, Role.VECTOR, axes)


def rows(axes: str) -> Truth:
    """A table that is used whole and is not added to the stream: entries of a sequence, or positions of one."""
    return replace(token(axes), or_use=ParameterUse.POSITION)


def positions(axes: str) -> Truth:
    """A table of positions that is used whole."""
    return Truth(ParameterUse.POSITION, Role.VECTOR, axes)


LINEAR = matrix()
IDLE = replace(LINEAR, idle=True)  # of an expert that no token chooses
LINEAR_IO = matrix("io")  # x @ W, as in GPT-2's Conv1D
FIRST = matrix(role=Role.EMBEDDING)  # reads the model's input
HEAD = matrix(role=Role.READOUT)
TABLE = Truth(ParameterUse.LOOKUP, Role.EMBEDDING, "io")  # data picks its rows
PLACES = Truth(ParameterUse.POSITION, Role.EMBEDDING, "io")  # positions, which are constants, pick its rows
DEPTHWISE = kernel("oii", Role.VECTOR)  # Conv1d with a channel of each group: (channels, 1, kernel)
DEPTHWISE_2D = kernel("oiii", Role.VECTOR)
PATCHES = kernel(role=Role.EMBEDDING)  # Conv2d that reads the picture
LOW_RANK = Truth(ParameterUse.LOW_RANK, Role.HIDDEN, "oi")
GAIN = gain()
BIAS = bias()
TEMPERATURE = Truth(ParameterUse.GAIN, Role.SCALAR, "")
UNUSED = Truth(ParameterUse.UNUSED, None, None)

RMS_NORM = {"*norm*.weight": GAIN}
NORM = {**RMS_NORM, "*norm*.bias": BIAS}

Truths = Mapping[str, Truth]  #: by a pattern of names; the first that matches counts


def truth_of(name: str, truths: Truths) -> tuple[str, Truth]:
    """The pattern that a name falls under, with its truth. Raises LookupError for a name without."""
    for pattern, truth in truths.items():
        if fnmatchcase(name, pattern):
            return pattern, truth
    raise LookupError(f"no truth is written for {name}")
