"""The steps of a run at which measurements look, ascending; step s is the state after s updates."""

from collections.abc import Iterable

from widthwise.calibration.cost import COOLDOWN_SHARE

#: shares of the run (chosen): the end of the warm-up, early, late, the start of the cooldown
SHARES = (0.05, 0.25, 0.5, 1.0 - COOLDOWN_SHARE)


def along_the_run(steps: int) -> tuple[int, ...]:
    """Return steps until the cooldown starts, without init, when no weight has moved.

    >>> along_the_run(200)
    (10, 50, 100, 160)
    """
    return _ascending(max(1, round(share * steps)) for share in SHARES)


def init_and_along_the_run(steps: int) -> tuple[int, ...]:
    """Return init, and steps until the cooldown starts.

    >>> init_and_along_the_run(200)
    (0, 10, 50, 100, 160)
    """
    return _ascending([0, *along_the_run(steps)])


def powers_of_two(steps: int) -> tuple[int, ...]:
    """Return init and 1, 2, 4, 8, … updates, as in Yang et al. 2022 (2203.03466, D.1).

    >>> powers_of_two(20)
    (0, 1, 2, 4, 8, 16)
    """
    return _ascending([0, *(2**k for k in range(steps.bit_length()))])


def _ascending(steps: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(steps)))
