"""The cost of a proxy's training run in floating-point operations, known before anything has run.

The service estimates calibrations with it and the engine reports trials with it, so the two agree. It counts the
products with weights and those of attention, but not norms, activations and the optimizer.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Architecture, FeedForward

# Byte values: no tokenizer to ship, and far from the small outputs at which SP drifts (Haas et al. 2505.22491).
VOCABULARY_SIZE = 256
FEED_FORWARD_RATIO = 4  # d_ff / n of the transformer with GeLU, Everett et al. 2024
GATED_RATIO = 8 / 3  # d_ff / n with SwiGLU, so that its three matrices weigh as much as two: Shazeer 2020 (2002.05202)
HELD_OUT_PREDICTIONS = 8192  # chosen: standard error of the mean near 0.02 nats, shared by all trials; 5 % of a run
HELD_OUT_PIECES = 16  # evaluated in sequence, so that evaluation needs no more memory than training

COOLDOWN_SHARE = 0.2  # the end of a run: Hägele et al. 2405.18392, shaped 1 − √t

_TRAINING = 6.0  # operations per weight and position: 2 forward, 4 backward (Kaplan et al. 2020, 2001.08361)
_FORWARD_SHARE = 1 / 3  # of that


def predictions(architecture: str, sequence_length: int) -> int:
    """Return how many positions of a window are predicted: the last byte for the MLP, every byte for the transformer.

    Raises InvalidInputError for another architecture.
    """
    return _cost(architecture).predictions(sequence_length)


def held_out_windows(predicted: int) -> int:
    """Return the windows of one evaluation with `predicted` positions each: whole pieces, ≥ HELD_OUT_PREDICTIONS.

    >>> held_out_windows(1), held_out_windows(64), held_out_windows(100)
    (8192, 128, 96)
    """
    return -(-HELD_OUT_PREDICTIONS // (predicted * HELD_OUT_PIECES)) * HELD_OUT_PIECES


def feed_forward_units(width: int, feed_forward: str = FeedForward.GELU, head_dim: int | None = None) -> int:
    """Return d_ff of the transformer: 4n for "gelu"; for "swiglu" 8n/3, rounded for one head and times the heads.

    So d_ff/n is the same at every width of whole heads, and all widths are one family. Raises InvalidInputError for any
    other word, and for "swiglu" without a head_dim.

    >>> feed_forward_units(64), feed_forward_units(64, "swiglu", 16), feed_forward_units(128, "swiglu", 16)
    (256, 172, 344)
    """
    if feed_forward == FeedForward.GELU:
        return FEED_FORWARD_RATIO * width
    if feed_forward != FeedForward.SWIGLU:
        raise InvalidInputError(
            f"feed_forward is {feed_forward!r}; give {' or '.join(FeedForward)}", field="proxy.feed_forward"
        )
    if head_dim is None:
        raise InvalidInputError("d_ff of swiglu depends on the heads; give head_dim", field="proxy.head_dim")
    return width // head_dim * round(GATED_RATIO * head_dim)


def window_flops(
    architecture: str,
    width: int,
    *,
    depth: int,
    sequence_length: int,
    feed_forward: str = FeedForward.GELU,
    head_dim: int | None = None,
) -> float:
    """Return the operations to train on one window of `sequence_length` bytes; lookup tables cost none.

    A tied readout costs as much as an untied one, and QK-norm is left out like the other norms. Only "swiglu" reads
    `head_dim`. Raises InvalidInputError for an unknown architecture or feed-forward.

    >>> window_flops("mlp", 32, depth=2, sequence_length=8)
    110592.0
    """
    blocks = _Blocks(width, depth, sequence_length, feed_forward, head_dim)
    cost = _cost(architecture)
    readout = width * VOCABULARY_SIZE * cost.predictions(sequence_length)
    return _TRAINING * (cost.weights(blocks) + readout)


class _Blocks(NamedTuple):
    """What the cost of a model's blocks depends on."""

    width: int
    depth: int
    sequence_length: int
    feed_forward: str
    head_dim: int | None


def _mlp(blocks: _Blocks) -> float:
    return (blocks.sequence_length + blocks.depth) * blocks.width**2


def _transformer(blocks: _Blocks) -> float:
    width, depth, positions = blocks.width, blocks.depth, blocks.sequence_length
    inner = feed_forward_units(width, blocks.feed_forward, blocks.head_dim)
    # query, key, value, output; up and down, and the gate
    block = 4 * width**2 + (3 if blocks.feed_forward == FeedForward.SWIGLU else 2) * width * inner
    # Scores and their mixing: two products of T·T·n a block, each 2 operations forward and 4 backward
    attention = 2 * depth * positions**2 * width
    return depth * block * positions + attention


class _Cost(NamedTuple):
    """How an architecture's cost is counted."""

    predictions: Callable[[int], int]  #: in one window of that many bytes
    weights: Callable[[_Blocks], float]  #: multiplications of one window in all layers but the readout


_COSTS: Mapping[str, _Cost] = {
    Architecture.MLP: _Cost(lambda _: 1, _mlp),
    Architecture.TRANSFORMER: _Cost(lambda bytes_seen: bytes_seen, _transformer),
}


def _cost(architecture: str) -> _Cost:
    if architecture not in _COSTS:
        raise InvalidInputError(
            f"the cost of architecture {architecture!r} is not known; give {' or '.join(_COSTS)}",
            field="proxy.architecture",
        )
    return _COSTS[architecture]


def trial_flops(
    architecture: str,
    width: int,
    *,
    depth: int,
    sequence_length: int,
    windows: int,
    evaluated: bool = True,
    feed_forward: str = FeedForward.GELU,
    head_dim: int | None = None,
) -> float:
    """Return the operations of a run that trains on `windows` windows (steps times batch size) and is then evaluated.

    Raises InvalidInputError for an unknown architecture or feed-forward.
    """
    held_out = held_out_windows(predictions(architecture, sequence_length)) if evaluated else 0
    each = window_flops(
        architecture,
        width,
        depth=depth,
        sequence_length=sequence_length,
        feed_forward=feed_forward,
        head_dim=head_dim,
    )
    return each * (windows + held_out * _FORWARD_SHARE)


def run_flops(spec: CalibrationSpec, width: int, *, steps: float | None = None, evaluated: bool = True) -> float:
    """Return the operations of one run of a specification at `width`; `steps` defaults to the specification's.

    >>> from widthwise.calibration.spec import CalibrationSpec
    >>> spec = CalibrationSpec.from_dict({"parameterization": "mup", "optimizer": "adam", "widths": [32]})
    >>> run_flops(spec, 32, steps=1, evaluated=False)
    28311552.0
    """
    proxy = spec.proxy
    return trial_flops(
        proxy.architecture,
        width,
        depth=proxy.depth,
        sequence_length=proxy.sequence_length,
        windows=round((spec.steps if steps is None else steps) * proxy.batch_size),
        evaluated=evaluated,
        feed_forward=proxy.feed_forward,
        head_dim=proxy.head_dim,
    )
