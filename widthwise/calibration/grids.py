"""The learning rates and horizons that a calibration tries by default: measured, as pure data.

All multipliers are 1 at the base width, so every parameterization starts from the same model there and has the same
best base learning rate. It depends on the optimizer, the architecture and the base width.

Measured on the Python documentation text: 200 steps, depth 2; MLP with 8 bytes of context, batch 256; transformer with
64, batch 32, head dimension 16; one seed (two for MLP with Adam at 32), learning rates in steps of 2 (of 4 for the
transformer at 32) that enclose the optimum and the first divergence, one base width at a time, such as

    python -m benchmarks.optimum_over_widths --optimizer sgd --widths 32 --learning-rates 0.125 0.25 0.5 1 2 4

Best base learning rate:

| | base 32 | 64 | 128 | 256 |
|---|---|---|---|---|
| MLP, Adam | 0.030 | | 0.011 | 0.0042 |
| MLP, Adam-atan2 (a = b = 1) | 0.031 | | | |
| MLP, SGD (diverges at 4, 2, 1, 0.5) | 1.0 | 1.0 | 0.5 | ≤ 0.25 |
| MLP, Adafactor | 0.093 | | 0.063 | 0.059 |
| MLP, Adam with parameter scaling | 0.087 | | 0.069 | 0.057 |
| transformer, Adam | 0.022 | 0.011 | | |
| transformer, SGD | 0.43 | 0.5 | | |
| transformer, Adafactor | 0.125 | | | |
| transformer, Adam with parameter scaling | 0.073 | | | |
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Architecture, Optimizer, known_word

MEASURED_AT = 32  # base width of the centres below


@dataclass(frozen=True, slots=True)
class MeasuredOptimum:
    """Where an optimizer's best base learning rate lies."""

    centres: Mapping[Architecture, float]  #: at base width MEASURED_AT
    exponent: float  #: it is proportional to (base width)^−exponent: slopes of the table above


# published: 0.95 for one global learning rate (Everett et al. 2024)
_ADAM = MeasuredOptimum({Architecture.MLP: 0.030, Architecture.TRANSFORMER: 0.022}, exponent=0.95)

OPTIMA: Mapping[Optimizer, MeasuredOptimum] = {
    Optimizer.ADAM: _ADAM,
    Optimizer.ADAMW: _ADAM,  # it decays by ηλ ≈ 0.003 per step here
    Optimizer.ADAM_ATAN2: _ADAM,  # the same step as Adam while a·atan2(x) ≈ x
    # the slope is 0.7 to 1; the divergence moves with slope 1
    Optimizer.SGD: MeasuredOptimum({Architecture.MLP: 1.0, Architecture.TRANSFORMER: 0.43}, exponent=0.75),
    Optimizer.ADAFACTOR: MeasuredOptimum({Architecture.MLP: 0.093, Architecture.TRANSFORMER: 0.125}, exponent=0.25),
    Optimizer.ADAM_PARAMETER_SCALING: MeasuredOptimum(
        {Architecture.MLP: 0.087, Architecture.TRANSFORMER: 0.073}, exponent=0.25
    ),
}

HALF_OCTAVE = 0.5  # ratio 2^½ (chosen): five points within an octave of the optimum, which is the fit's window
# More room downwards: under the wrong alignment the optimum falls by up to half an octave per doubling of the width.
# Two octaves upwards, since training breaks down one to four octaves above the optimum.
OCTAVES_BELOW, OCTAVES_ABOVE = 3.0, 2.0
HORIZON_FACTORS = (1, 2, 4)  # chosen: two doublings, so that the exponent over tokens has a degree of freedom


def default_learning_rates(
    optimizer: Optimizer | str, architecture: str, base_width: int = MEASURED_AT
) -> tuple[float, ...]:
    """Return base learning rates, in ascending steps of 2^½, that bracket the optimum from 1 to 8 times the base width.

    Raises InvalidInputError for an optimizer or architecture that was not measured, and for a width below 1.

    >>> [round(rate, 4) for rate in default_learning_rates("adam", "mlp", 32)]
    [0.0039, 0.0055, 0.0078, 0.011, 0.0156, 0.0221, 0.0312, 0.0442, 0.0625, 0.0884, 0.125]
    """
    measured = OPTIMA[known_word(Optimizer, optimizer, "optimizer")]
    if architecture not in measured.centres:
        raise InvalidInputError(
            f"no learning rates were measured for architecture {architecture!r}; give learning_rates, or one of "
            f"{', '.join(sorted(measured.centres))}",
            field="proxy.architecture",
        )
    if base_width < 1:
        raise InvalidInputError(f"base width is {base_width}; give an integer of at least 1", field="widths")
    best = measured.centres[Architecture(architecture)]
    centre = math.log2(best) - measured.exponent * math.log2(base_width / MEASURED_AT)
    steps = round(centre / HALF_OCTAVE)  # on a common lattice, so that grids of different widths share points
    below, above = round(OCTAVES_BELOW / HALF_OCTAVE), round(OCTAVES_ABOVE / HALF_OCTAVE)
    return tuple(2.0 ** (HALF_OCTAVE * k) for k in range(steps - below, steps + above + 1))


def default_horizons(steps: int) -> list[int]:
    """Return the horizons in steps, ascending: the specification's steps, and longer ones.

    >>> default_horizons(200)
    [200, 400, 800]
    """
    return [factor * steps for factor in HORIZON_FACTORS]
