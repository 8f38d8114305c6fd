"""The second rule: a measured finite-width shift of every learning rate (Essential AI 2025, 2505.02222)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.contract import NO_CHANGES, Case, Changes, Factors, Subject
from widthwise.theory.optimizers import decay_mode_in_force
from widthwise.vocabulary import QuantityName, WeightDecayMode

MAX_SHIFT = 8  # octaves between base and target (chosen): ×256, where an expansion in 1/width has long lost its meaning


class FiniteWidthShift:
    """At width n every best learning rate lies k/n octaves below its limit, if a calibration found this."""

    name = "shift"
    covers: frozenset[str] = frozenset()

    def apply(self, case: Case) -> "ShiftInForce | None":
        """In force if the exponents carry a shift.

        Raises InvalidInputError if the request states no width, and for more than `MAX_SHIFT` octaves.
        """
        exponents = case.exponents
        if exponents is None or not exponents.shift:
            return None
        source = exponents.source
        if case.widths is None:
            raise InvalidInputError(
                f"base.width is missing: the exponents carry a finite-width shift of {exponents.shift:.4g}/n octaves, "
                "and no tensor says what the width n is; give base.width and target.width",
                field="base.width",
            )
        multiplier = shift_multiplier(exponents.shift, case.widths)
        base, target = case.widths
        reason = (
            f"×{multiplier:.4g} for a finite-width shift of {exponents.shift:.4g}/n octaves from {base} to "
            f"{target} ({source})"
        )
        multipliers: dict[QuantityName, float] = {}
        if multiplier != 1:
            multipliers["learning_rate"] = multiplier
            words = case.scheme
            if decay_mode_in_force(words.optimizer, words.weight_decay_mode) is WeightDecayMode.DECOUPLED:
                multipliers["weight_decay"] = 1 / multiplier  # η·λ stays
        return ShiftInForce(multipliers, reason, source)


@dataclass(frozen=True, slots=True)
class ShiftInForce:
    """One multiplier for all learning rates."""

    multipliers: dict[QuantityName, float]
    reason: str
    source: str
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, _subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """The same for every tensor and role."""
        return Factors(self.multipliers, self.reason)


def shift_multiplier(shift: float, widths: tuple[int, int]) -> float:
    """What the finite-width shift k adds to every learning rate between the base and the target width: 2^(k/b − k/n).

    Exactly 1 where the widths are equal. Raises InvalidInputError for more than `MAX_SHIFT` octaves.

    >>> shift_multiplier(64.0, (64, 128))
    1.4142135623730951
    """
    if not shift:
        return 1.0
    base, target = widths
    octaves = shift * (1 / base - 1 / target)
    if not abs(octaves) <= MAX_SHIFT:  # also refuses NaN
        raise InvalidInputError(
            f"a finite-width shift of {shift} octaves × width moves the learning rate by {octaves:.3g} octaves from "
            f"width {base} to {target}, beyond ±{MAX_SHIFT}; give the measured shift, or a wider base",
            field="exponents.shift",
        )
    multiplier: float = 2.0**octaves
    return multiplier
