"""The memory that a proxy's training may need on a CPU, known before anything has run: a limit, not a forecast.

A small proxy takes 0.3 GiB, a transformer of width 1024 and 26 million weights 1.3 GiB (measured, JAX 0.10.2).
"""

from widthwise.calibration.corpora import file_name
from widthwise.calibration.cost import VOCABULARY_SIZE, feed_forward_units
from widthwise.calibration.spec import CalibrationSpec, ProxySpec
from widthwise.vocabulary import Architecture, FeedForward

BASE_BYTES = 1 << 30  # Python, JAX, the compiler, a text that every worker has (chosen: 0.3 GiB measured)
FILE_BYTES = 2 << 30  # a file of the operator's, at most 512 MiB: read, split, and on the device
COPIES = 32  # of every weight (chosen: 10 measured); measurements and branches of horizons keep more
ACTIVATION_COPIES = 8  # of every activation of a batch (chosen): forward, backward, and what the compiler adds
_FLOAT = 4  # bytes


def training_bytes(spec: CalibrationSpec, width: int) -> int:
    """Return more bytes than a process needs that trains the specification's proxy at `width`.

    >>> spec = CalibrationSpec.from_dict({"parameterization": "mup", "optimizer": "adam", "widths": [32]})
    >>> training_bytes(spec, 32) < 2 * BASE_BYTES
    True
    """
    proxy = spec.proxy
    branches = COPIES + 4 * len(spec.horizons)
    activations = ACTIVATION_COPIES * proxy.batch_size * _activations(proxy, width)
    starts = 2 * spec.steps * proxy.batch_size
    text = 0 if file_name(proxy.dataset) is None else FILE_BYTES
    return BASE_BYTES + text + _FLOAT * (branches * _weights(proxy, width) + activations + starts)


def _weights(proxy: ProxySpec, width: int) -> int:
    tables = (2 * VOCABULARY_SIZE + proxy.sequence_length) * width
    if proxy.architecture is Architecture.MLP:
        return tables + (proxy.sequence_length + proxy.depth) * width**2
    matrices = 3 if proxy.feed_forward is FeedForward.SWIGLU else 2
    return tables + proxy.depth * (4 * width**2 + matrices * width * _inner(proxy, width))


def _activations(proxy: ProxySpec, width: int) -> int:
    """The numbers of one window that a step keeps."""
    positions = proxy.sequence_length
    if proxy.architecture is Architecture.MLP:
        return (positions + 4 * proxy.depth) * width + VOCABULARY_SIZE
    block = positions * (8 * width + 3 * _inner(proxy, width)) + width // proxy.head_dim * positions**2
    return proxy.depth * block + positions * VOCABULARY_SIZE


def _inner(proxy: ProxySpec, width: int) -> int:
    return feed_forward_units(width, proxy.feed_forward, proxy.head_dim)
