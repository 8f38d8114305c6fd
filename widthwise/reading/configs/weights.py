"""The weights of a layer as outlines: matrices, tables, gains and biases."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from widthwise.reading.configs.outline import Outline
from widthwise.reading.parameter import Feeds, FusedPart, Parameter, ParameterUse
from widthwise.vocabulary import Layout, Role

GATE_AND_UP = (Feeds.GATE, Feeds.UP)
QUERY_KEY_VALUE = (Feeds.QUERY, Feeds.KEY, Feeds.VALUE)


def linear(
    name: str,
    fan_in: int,
    fan_out: int,
    *,
    bias: bool = False,
    layout: Layout = Layout.OUT_IN,
    feeds: Feeds | None = None,
    parts: tuple[FusedPart, ...] = (),
) -> Outline:
    """Return a matrix inside the model, and its bias if it has one."""
    weight = replace(_matrix(f"{name}.weight", fan_in, fan_out, layout), feeds=feeds, parts=parts)
    return _biased(name, weight, fan_out, bias)


def matrix(
    name: str, fan_in: int, fan_out: int, *, layout: Layout = Layout.OUT_IN, parts: tuple[FusedPart, ...] = ()
) -> Outline:
    """Return a matrix that is a parameter of its module by itself, without a layer around it."""
    return Outline((replace(_matrix(name, fan_in, fan_out, layout), parts=parts),))


def first_layer(name: str, fan_in: int, fan_out: int, *kernel: int, bias: bool = False) -> Outline:
    """Return the weight that reads a model's input: patches of a picture, or frames of a spectrogram."""
    return _biased(name, _kernel(name, fan_in, fan_out, kernel, Role.EMBEDDING), fan_out, bias)


def convolution(name: str, fan_in: int, fan_out: int, *kernel: int, bias: bool = False) -> Outline:
    """Return the kernel of a convolution inside the model: (out, in, *kernel)."""
    return _biased(name, _kernel(name, fan_in, fan_out, kernel, Role.HIDDEN), fan_out, bias)


def depthwise(name: str, channels: int, *kernel: int, bias: bool = False) -> Outline:
    """Return the kernel of a convolution of each channel by itself: (channels, 1, *kernel). Its fan-in is constant."""
    return _biased(name, _kernel(name, 1, channels, kernel, Role.VECTOR), channels, bias)


def readout(name: str, fan_in: int, fan_out: int, *, bias: bool = False, tied_to: str | None = None) -> Outline:
    """Return the matrix whose output is the model's."""
    weight = replace(_matrix(f"{name}.weight", fan_in, fan_out), role=Role.READOUT, tied_to=tied_to)
    return _biased(name, weight, fan_out, bias)


def compared(name: str, fan_in: int, fan_out: int) -> Outline:
    """Return a matrix whose output is compared with another tower's: what its role is, no code says."""
    weight = replace(
        _matrix(f"{name}.weight", fan_in, fan_out),
        role=None,
        question="its output is compared with another tower's, at a size that is chosen: a readout if that size stays, "
        "hidden if it grows with the model",
    )
    return Outline((weight,))


def stacked(
    name: str,
    count: int,
    fan_in: int,
    fan_out: int,
    *,
    layout: Layout = Layout.OUT_IN,
    parts: tuple[FusedPart, ...] = (),
) -> Outline:
    """Return as many matrices of equal size in one parameter, with the count as axis 0: experts."""
    inside = _matrix(name, fan_in, fan_out, layout)
    return Outline(
        (
            replace(
                inside,
                shape=(count, *inside.shape),
                fan_in_axes=(inside.fan_in_axes[0] + 1,),
                fan_out_axes=(inside.fan_out_axes[0] + 1,),
                stack_axes=(0,),
                parts=parts,
            ),
        )
    )


def table(name: str, rows: int, features: int) -> Outline:
    """Return a table of which data picks the rows."""
    return Outline((_table(name, rows, features, ParameterUse.LOOKUP),))


def positions(name: str, rows: int, features: int) -> Outline:
    """Return a table of which constants pick the rows."""
    return Outline((_table(name, rows, features, ParameterUse.POSITION),))


def norm(name: str, size: int, *, bias: bool = False) -> Outline:
    """Return the gain of a norm, and its bias if it has one."""
    return _biased(name, _vector(f"{name}.weight", (size,), ParameterUse.GAIN), size, bias)


def gain(name: str, *shape: int) -> Outline:
    """Return numbers that multiply data, or what stands in its recurrence, each for itself."""
    return Outline((_vector(name, shape, ParameterUse.GAIN),))


def added(name: str, *shape: int, stack: int = 0) -> Outline:
    """Return numbers that are added to data. stack: how many leading axes number separate vectors."""
    return Outline((_vector(name, shape, ParameterUse.BIAS, stack),))


def token(name: str, *shape: int) -> Outline:
    """Return a learned entry of the sequence, whose last axis is its features."""
    return Outline((_vector(name, shape, ParameterUse.TOKEN, len(shape) - 1),))


def whole_positions(name: str, *shape: int) -> Outline:
    """Return a table of positions that is added as a whole, whose last axis is its features."""
    return Outline((_vector(name, shape, ParameterUse.POSITION, len(shape) - 1),))


def temperature(name: str) -> Outline:
    """Return a single number that multiplies the logits."""
    return Outline((Parameter(name, (), ParameterUse.GAIN, Role.SCALAR, (), ()),))


@lru_cache(maxsize=64)  # every block of a model asks for the same, of thousands of heads
def side_by_side(
    feeds: tuple[Feeds, ...], sizes: tuple[int, ...], *, axis: int = 0, repeats: int = 1
) -> tuple[FusedPart, ...]:
    """Return the parts of a parameter that holds several matrices one after the other along an axis.

    sizes: of each. repeats: how often they follow each other, as where every head holds its own query, key and value.
    """
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    period = sum(sizes)
    return tuple(
        FusedPart(feed, axis, tuple(slice(start + n * period, start + n * period + size) for n in range(repeats)))
        for feed, start, size in zip(feeds, starts, sizes, strict=True)
    )


def interleaved(feeds: tuple[Feeds, ...], size: int, *, axis: int = 0) -> tuple[FusedPart, ...]:
    """Return the parts of a parameter in which the entries of several matrices take turns along an axis of `size`."""
    return tuple(FusedPart(feed, axis, (slice(number, size, len(feeds)),)) for number, feed in enumerate(feeds))


def _matrix(name: str, fan_in: int, fan_out: int, layout: Layout = Layout.OUT_IN) -> Parameter:
    if layout is Layout.OUT_IN:
        return Parameter(name, (fan_out, fan_in), ParameterUse.CONTRACTION, Role.HIDDEN, (1,), (0,))
    return Parameter(name, (fan_in, fan_out), ParameterUse.CONTRACTION, Role.HIDDEN, (0,), (1,))


def _kernel(name: str, fan_in: int, fan_out: int, kernel: Sequence[int], role: Role) -> Parameter:
    shape = (fan_out, fan_in, *kernel)
    return Parameter(f"{name}.weight", shape, ParameterUse.CONVOLUTION, role, tuple(range(1, len(shape))), (0,))


def _table(name: str, rows: int, features: int, use: ParameterUse) -> Parameter:
    return Parameter(f"{name}.weight", (rows, features), use, Role.EMBEDDING, (0,), (1,))


def _vector(name: str, shape: tuple[int, ...], use: ParameterUse, stack: int = 0) -> Parameter:
    axes = tuple(range(len(shape)))
    return Parameter(name, shape, use, Role.VECTOR, (), axes[stack:], axes[:stack])


def _biased(name: str, weight: Parameter, size: int, bias: bool) -> Outline:
    if not bias:
        return Outline((weight,))
    return Outline((weight, _vector(f"{name}.bias", (size,), ParameterUse.BIAS)))
