"""Gradient exponents from measured gradients, and the epsilon that every role needs.

Gradients have RMS ∝ n^(−g) (Everett et al. 2024, 2407.05872). If Adam adds ε to √v, its update is m/ε for √v ≲ ε, so ε
must stay well below √v of a typical entry: ε ∝ n^(−g) by role keeps that margin at every width, one constant loses it
at some width. Float32 limits the other end: v = g² is lost for |g| ≲ 1e-19, but m is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement
from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.readings import Readings, log_of, read
from widthwise.estimate.slopes import Slope
from widthwise.theory.optimizers import epsilon_power
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import EpsilonRule, ExponentQuantity, ExponentRole, Measured, Optimizer, Role

EPSILON_SHARE = 0.01  # chosen: ε at this share of √v reduces a typical update by 1 %
UNDERFLOW_SHARE = 1e-3  # chosen: entries that lose their v; a few are noise from dead units, more affect a layer
DISTINCT = 0.05  # chosen: exponents closer than this are equal for any purpose


@dataclass(frozen=True)
class GradientExponent:
    """g of one role: gradient RMS ∝ width^(−g)."""

    role: str
    theory: float
    step: int  #: of `value`: 0, unless gradients were 0 at init, as behind a readout that starts at 0
    value: Slope  #: the stored exponent
    by_step: Mapping[int, Slope]
    by_tensor: Mapping[str, float]  #: at `step`


@dataclass(frozen=True)
class EpsilonNeed:
    """The needs of one role at one width; sizes are the smallest over its tensors, steps and seeds."""

    role: str
    width: int
    gradient_rms: float
    compared: (
        float  #: the value that ε is added to: √v of a typical entry (Adam), the gradient's mean square (Adafactor)
    )
    largest_epsilon: float  #: EPSILON_SHARE of that value
    epsilon: float | None  #: in force; None if the optimizer has none
    underflow_share: float  #: of a tensor's entries; the largest over tensors

    @property
    def share(self) -> float:
        """Epsilon in force divided by the value it is added to."""
        return (self.epsilon or 0.0) / self.compared


@dataclass(frozen=True)
class GradientPart:
    """The measured gradients of a calibration."""

    exponents: tuple[ExponentEstimate, ...]  #: quantity "epsilon", by role
    warnings: tuple[Caution, ...]
    roles: tuple[GradientExponent, ...]
    needs: tuple[EpsilonNeed, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, all finite."""
        return {
            "rule": f"epsilon of a role at most {EPSILON_SHARE:g} of the value it is added to, so proportional to "
            "width^(-g); width^(-2g) for Adafactor",
            "roles": [
                {
                    "role": found.role,
                    "theory": found.theory,
                    "step": found.step,
                    "g": found.value.to_dict(),
                    "steps": [{"step": step, "g": slope.to_dict()} for step, slope in found.by_step.items()],
                    "tensors": dict(found.by_tensor),
                }
                for found in self.roles
            ],
            "needs": [vars(need) for need in self.needs],
        }


def fit_gradients(spec: CalibrationSpec, measurements: Sequence[Measurement]) -> GradientPart | None:
    """Fit g by role at init and during training, and the epsilon that each role needs at each width.

    Parameters
    ----------
    spec: a calibration's specification; its fields `measure`, `parameterization`, `optimizer`, `form` and
        `epsilon_rule` are used.
    measurements: records of kind "epsilon", one per width and seed; others are ignored.

    The value of a role is the slope of the mean log RMS of its tensors, with equal weights. Returns None if the
    specification does not ask for epsilon. Raises InvalidInputError for malformed records.

    """
    readings = read(spec, measurements, Measured.EPSILON)
    if readings is None:
        return None
    theory = theoretical_exponents(spec.parameterization, spec.optimizer, form=spec.form)
    roles = tuple(
        found
        for role in readings.roles()
        if (found := _exponent(readings, role, float(theory[Role(role)].g))) is not None
    )
    needs = _needs(readings, spec.optimizer)
    stored = [found.value.estimate(ExponentQuantity.EPSILON, ExponentRole(found.role), found.theory) for found in roles]
    return GradientPart(
        exponents=tuple(exponent for exponent in stored if exponent is not None),
        warnings=(*readings.cautions(), *_exponent_warnings(roles), *_epsilon_warnings(spec, needs)),
        roles=roles,
        needs=needs,
    )


def _exponent(readings: Readings, role: str, theory: float) -> GradientExponent | None:
    log_size = log_of("gradient_rms")
    by_step = {}
    for step in readings.snapshots:
        slope = readings.slope([step], readings.names(step, role), log_size)
        if slope is not None:
            by_step[step] = slope.negated()
    if not by_step:
        return None
    first = min(by_step)
    by_tensor = {}
    for name in readings.names(first, role):
        slope = readings.slope([first], [name], log_size)
        if slope is not None:
            by_tensor[name] = -slope.value + 0.0
    return GradientExponent(role, theory, first, by_step[first], by_step, by_tensor)


def _needs(readings: Readings, optimizer: Optimizer) -> tuple[EpsilonNeed, ...]:
    """Return the smallest sizes by role and width, without tensors that have a gradient of exactly 0."""
    seen: dict[tuple[str, int], list[tuple[float, float, float | None, float]]] = {}
    for runs in readings.snapshots.values():
        for (width, _), tensors in runs.items():
            for name, tensor in tensors.items():
                try:
                    power = epsilon_power(optimizer, tensor["role"])
                    gradient, root = tensor["gradient_rms"], tensor.get("second_moment_root_typical")
                    row = (gradient, (root or gradient) ** max(power, 1), tensor["epsilon"], tensor["underflow_share"])
                except KeyError as missing:
                    raise InvalidInputError(
                        f"the measurement of {name} has no {missing}", field="measurements"
                    ) from missing
                if gradient > 0:
                    seen.setdefault((tensor["role"], width), []).append(row)
    needs = []
    for (role, width), rows in sorted(seen.items()):
        compared = min(row[1] for row in rows)
        needs.append(
            EpsilonNeed(
                role=role,
                width=width,
                gradient_rms=min(row[0] for row in rows),
                compared=compared,
                largest_epsilon=EPSILON_SHARE * compared,
                epsilon=max(row[2] or 0.0 for row in rows) if epsilon_power(optimizer, role) else None,
                underflow_share=max(row[3] for row in rows),
            )
        )
    return tuple(needs)


def _exponent_warnings(roles: Sequence[GradientExponent]) -> list[Caution]:
    """Warn about roles with an interval that excludes theory's g."""
    found = []
    for role in roles:
        g, interval = role.value.value, role.value.interval
        if interval is None or interval[0] <= role.theory <= interval[1] or abs(g - role.theory) <= DISTINCT:
            continue
        found.append(
            Caution(
                "gradient_exponent_differs",
                f"Gradients of the {role.role} tensors scale as width^({-g:+.2f}) at step {role.step} (g within "
                f"{interval[0]:.2f} to {interval[1]:.2f}), but theory has g = {role.theory:g}: epsilon by role "
                "should follow the measured g.",
            )
        )
    return found


def _epsilon_warnings(spec: CalibrationSpec, needs: Sequence[EpsilonNeed]) -> list[Caution]:
    """Warn, at the worst width, of a role's epsilon near the value it is added to, or squares that float32 loses."""
    found = []
    rule = "one constant" if spec.epsilon_rule is EpsilonRule.CONSTANT else "the rule by role"
    for role in dict.fromkeys(need.role for need in needs):
        own = [need for need in needs if need.role == role]
        worst = max(own, key=lambda need: need.share)
        share = worst.share
        if share > EPSILON_SHARE:
            found.append(
                Caution(
                    "epsilon_near_gradient",
                    f"Epsilon {worst.epsilon:.2g} of the {role} tensors ({rule}) is {share:.2g} times what it is added "
                    f"to at width {worst.width}, so updates shrink. At most {worst.largest_epsilon:.2g} keeps it under "
                    f"{EPSILON_SHARE:.0%}.",
                )
            )
        lost = max(own, key=lambda need: need.underflow_share)
        if lost.underflow_share > UNDERFLOW_SHARE:
            found.append(
                Caution(
                    "gradient_underflow",
                    f"{lost.underflow_share:.1%} of the gradient entries of a {role} tensor at width {lost.width} are "
                    "so small that float32 loses their square: Adam's v is 0 there, but m is not. Scale the loss up.",
                )
            )
    return found
