"""What an information search is asked for: a precision or a budget at a target width, checked before anything runs."""

import math
from itertools import product

from widthwise.calibration.cost import run_flops
from widthwise.calibration.spec import CalibrationSpec
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import Measured, Runner, Search

OPENING_SPACING, OPENING_SEEDS = 1.0, 2  # octaves, and seeds of the first round (chosen): a parabola and its error
INTERVAL_WIDTHS = 3  # that have an optimum before a prediction has an interval
ASKED = ("target_width", "precision", "budget")


def opening(spec: CalibrationSpec) -> frozenset[tuple[float, int]]:
    """Return the cells of the first round: the grid's learning rates, an octave apart if finer, with two seeds."""
    rates = [spec.learning_rates[0]]
    for rate in spec.learning_rates[1:]:
        if math.log2(rate / rates[-1]) > OPENING_SPACING - spec.mesh / 2:
            rates.append(rate)
    return frozenset(product(rates, range(min(OPENING_SEEDS, spec.seeds))))


def check_asked(spec: CalibrationSpec) -> None:
    """Raise InvalidInputError, which names the field, for what an information search can't do, or others don't read."""
    if not spec.is_information:
        for name in ASKED:
            if getattr(spec, name) is not None:
                raise _fault(
                    name,
                    f"is given, and the {spec.search.value} search has none; leave it out, or search by "
                    f"{Search.INFORMATION.value}",
                )
        return
    base = spec.base_width
    if spec.runner is Runner.EXTERNAL:
        raise _fault("search", "is information, and an external runner chooses its runs; leave the search out")
    if Measured.LEARNING_RATE not in spec.measure:
        raise _fault("measure", "lacks learning_rate, which the information search is for; add it")
    if spec.precision is None and spec.budget is None:
        raise _fault("precision", "and budget are left out; give one of them, so that the information search ends")
    if spec.precision is not None and len(spec.widths) < INTERVAL_WIDTHS:
        raise _fault(
            "precision",
            f"is that of an interval, which needs {INTERVAL_WIDTHS} widths, and there are "
            f"{len(spec.widths)}; add widths, or give a budget alone",
        )
    if spec.target_width is not None and spec.target_width < base:
        raise _fault("target_width", f"{spec.target_width} is below the smallest width, {base}; give a larger one")
    first = len(opening(spec)) * run_flops(spec, base)
    if spec.budget is not None and spec.budget < first:
        raise _fault(
            "budget",
            f"of {spec.budget:.3g} operations is below the {first:.3g} of the first round, which runs "
            f"{len(opening(spec))} trials at width {base}; give more, or fewer learning rates",
        )


def _fault(name: str, message: str) -> InvalidInputError:
    return InvalidInputError(f"{name} {message}", field=f"spec.{name}")
