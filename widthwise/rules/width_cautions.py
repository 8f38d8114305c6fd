"""Cautions of the width rule: epsilons near the gradient, and exponents used beyond their measured widths."""

import math
from collections.abc import Iterator, Mapping, Sequence

from widthwise.caution import Caution
from widthwise.model import Base, Target, by_role
from widthwise.tensors.placement import Placement
from widthwise.vocabulary import Role

NEAR = 10  # chosen: at ε = RMS(grad)/10 Adam's step is already 9 % short
NOMINAL_BATCH_TOKENS = 2**17  # Everett et al. 2024: 256 sequences of 512 tokens
#: By the power that epsilon adds to.  |g|: float32 flushes v = g² to zero below about 1e-19; g²: its smallest normal.
SMALLEST_EPSILON = {1: 1e-19, 2: 1.2e-38}


def narrowest_hidden(placements: Sequence[Placement]) -> tuple[int, int] | None:
    """The narrowest fan-in that changes among the hidden tensors: an order of magnitude, and not the model's width."""
    hidden = [p.fans for p in placements if p.role is Role.HIDDEN and p.fans.base_in != p.fans.target_in]
    if not hidden:
        return None
    narrowest = min(hidden, key=lambda fans: fans.base_in)
    return narrowest.base_in, narrowest.target_in


def measured_cautions(
    widths_of_model: tuple[int, int] | None,
    widths_measured: Sequence[int],
    intervals: Mapping[Role, tuple[float, float] | None],
    theory: Mapping[Role, float],
    *,
    shifted: bool = False,
    stated: bool = True,
) -> Iterator[Caution]:
    """Warn if measured learning-rate exponents are used beyond their widths, or say no more than theory.

    With a finite-width shift (`shifted`) they agree with theory's and the plan still differs from it. Widths that the
    request does not state (`stated`) are an order of magnitude, which no message names.
    """
    if widths_of_model is not None and widths_measured:
        low, high = min(widths_measured), max(widths_measured)
        base, target = widths_of_model
        if base != target and not (low <= base <= high and low <= target <= high):
            yield Caution(
                "measured_extrapolation",
                f"the exponents were measured at widths {low} to {high} and are used "
                f"{f'from {base} to {target}' if stated else 'beyond; state base.width and target.width'}: what "
                "drifts at small widths is often a shift of order 1/width, which does not extrapolate as a power law",
            )
    if any(interval is None for interval in intervals.values()):
        yield Caution(
            "measured_without_interval",
            "the exponents come from two widths and have no interval, so their uncertainty is unknown; calibrate at a "
            "third width",
        )
    elif (
        intervals
        and not shifted
        and all(
            interval is not None and interval[0] <= theory[role] <= interval[1] for role, interval in intervals.items()
        )
    ):
        yield Caution(
            "measured_agrees_with_theory",
            "the intervals of the measured exponents contain theory's, so the measurement can't tell them apart; "
            "any difference between them may be noise",
        )


def epsilon_cautions(
    base: Base, target: Target, g: Mapping[Role, float], widths: tuple[int, int] | None, power: int
) -> Iterator[Caution]:
    """Compare epsilon with the gradient RMS expected at the target: measured × m^(−g), or n^(−g)/√batch.

    The second is only an order of magnitude.  It puts the mean-field hidden layers of Everett et al. 2024 at 1e-8 for
    width 4096, at which ε = 1e-9 was found to start costing loss.  `g` has the roles with an epsilon.
    `power` is 2 where epsilon adds to g² (Adafactor).
    """
    if widths is None or base.epsilon is None:
        return
    base_width, target_width = widths
    growth = target_width / base_width
    noise = (target.batch_tokens or base.batch_tokens or NOMINAL_BATCH_TOKENS) ** -0.5
    worst: tuple[float, Role, float, float] | None = None
    smallest = math.inf
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.READOUT):
        epsilon = by_role(base.epsilon, role)
        if not epsilon or role not in g:
            continue
        scale = growth ** -g[role]
        smallest = min(smallest, epsilon, epsilon * scale**power)
        measured = by_role(base.gradient_rms, role)
        expected = target_width ** -g[role] * noise if measured is None else measured * scale
        # the smallest gradients underflow to zero here: any epsilon is above them
        excess = epsilon ** (1 / power) / expected if expected else math.inf
        if excess * NEAR > 1 and (worst is None or excess > worst[0]):
            worst = (excess, role, epsilon, expected)
    if worst is not None:
        _, role, epsilon, expected = worst
        source = "measured at the base" if by_role(base.gradient_rms, role) is not None else "estimated, not measured"
        squared = ", and is added to its square" if power == 2 else ""
        yield Caution(
            "epsilon_near_gradient",
            f"epsilon {epsilon:.3g} is near or above the gradient RMS of about {expected:.2g} expected in the "
            f"{role.value} layers at the target ({source}){squared}: a constant epsilon stalls them; use the plan's "
            "epsilons, a smaller base epsilon, or adam_atan2, which has none",
        )
    if smallest < SMALLEST_EPSILON[power]:
        yield Caution(
            "epsilon_underflow",
            f"epsilon {smallest:.3g}, at the base or at the target, is under {SMALLEST_EPSILON[power]:g}: float32 "
            "flushes such squared gradients to zero, and then nothing bounds the step (Everett et al. 2024 saw 1e-25 "
            "harm every parameterization under Adam)",
        )
