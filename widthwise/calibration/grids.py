"""The learning rates and horizons that a calibration tries by default: measured, as pure data.

Where the best learning rate of an optimizer lies is in its record in `widthwise.theory.optimizers`.
"""

import math

from widthwise.errors import InvalidInputError
from widthwise.theory.optimizers import OPTIMA_AT, OPTIMIZERS, trained
from widthwise.vocabulary import Optimizer, known_word

HALF_OCTAVE = 0.5  # ratio 2^½ (chosen): five points within an octave of the optimum, which is the fit's window
# More room downwards: under the wrong alignment the optimum falls by up to half an octave per doubling of the width.
# Two octaves upwards, since training breaks down one to four octaves above the optimum.
OCTAVES_BELOW, OCTAVES_ABOVE = 3.0, 2.0
HORIZON_FACTORS = (1, 2, 4)  # chosen: two doublings, so that the exponent over tokens has a degree of freedom


def default_learning_rates(
    optimizer: Optimizer | str, architecture: str, base_width: int = OPTIMA_AT
) -> tuple[float, ...]:
    """Return base learning rates, in ascending steps of 2^½, that bracket the optimum from 1 to 8 times the base width.

    Raises InvalidInputError for an optimizer or architecture that was not measured, and for a width below 1.

    >>> [round(rate, 4) for rate in default_learning_rates("adam", "mlp", 32)]
    [0.0039, 0.0055, 0.0078, 0.011, 0.0156, 0.0221, 0.0312, 0.0442, 0.0625, 0.0884, 0.125]
    """
    word = known_word(Optimizer, optimizer, "optimizer")
    measured = OPTIMIZERS[word].optimum
    if measured is None:
        raise InvalidInputError(
            f"no learning rates were measured for optimizer {word.value!r}, and workers do not train with it; give one "
            f"of {', '.join(trained())}, or learning_rates and runner 'external'",
            field="optimizer",
        )
    if architecture not in measured.centres:
        raise InvalidInputError(
            f"no learning rates were measured for architecture {architecture!r}; give learning_rates, or one of "
            f"{', '.join(sorted(measured.centres))}",
            field="proxy.architecture",
        )
    if base_width < 1:
        raise InvalidInputError(f"base width is {base_width}; give an integer of at least 1", field="widths")
    best = measured.centres[architecture]
    centre = math.log2(best) - measured.exponent * math.log2(base_width / OPTIMA_AT)
    steps = round(centre / HALF_OCTAVE)  # on a common lattice, so that grids of different widths share points
    below, above = round(OCTAVES_BELOW / HALF_OCTAVE), round(OCTAVES_ABOVE / HALF_OCTAVE)
    return tuple(2.0 ** (HALF_OCTAVE * k) for k in range(steps - below, steps + above + 1))


def default_horizons(steps: int) -> list[int]:
    """Return the horizons in steps, ascending: the specification's steps, and longer ones.

    >>> default_horizons(200)
    [200, 400, 800]
    """
    return [factor * steps for factor in HORIZON_FACTORS]
