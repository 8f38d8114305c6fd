"""Measured alignment: α, ω and u by role, and the largest stable learning-rate exponents that they allow.

Two readings of one ratio, such as ‖ΔW z₀‖ / (‖ΔW‖‖z₀‖) for α (Everett et al. 2024, 2407.05872, section 3):

* **published**: log of the ratio to the base fan-in, at one width. A constant factor k in the ratio adds log k / log n
  to it, 0.1 to 0.3 at the widths of a proxy, and vanishes only as 1/log n;
* **exponent**: the slope of the log ratio over log width, which has no constants and determines how a learning rate
  must scale. It is stored and goes into the linear program.

Training changes alignment, and a learning rate must be stable throughout: each exponent enters the program at the step
at which it is largest, clipped to the meaningful range [½, 1]. The interval of the answer comes from solving the
program for draws of the exponents within their errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement
from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.intervals import CONFIDENCE, quantile
from widthwise.estimate.readings import Readings, read
from widthwise.estimate.slopes import Slope
from widthwise.theory.alignment import Alignment, RoleAlignment
from widthwise.theory.stability import largest_stable, solve, theoretical_exponents
from widthwise.vocabulary import ExponentQuantity, ExponentRole, Form, Measured, Optimizer, Parameterization, Role

ROLES = (Role.HIDDEN, Role.READOUT)  # an embedding's input is an index, so there is no sum
QUANTITIES = (ExponentQuantity.ALPHA, ExponentQuantity.OMEGA, ExponentQuantity.U)
DRAWS = 400  # chosen: the ends of a 95 % interval are then accurate to a tenth of its length
DISTINCT = 0.1  # chosen: smaller differences do not matter at any width that people transfer to


@dataclass(frozen=True)
class AlignmentExponent:
    """One of α, ω, u of one role: the ratio grows as width^value."""

    quantity: ExponentQuantity
    role: ExponentRole
    step: int  #: the step at which it is largest
    value: Slope  #: at that step, as measured
    used: float  #: clipped to [½, 1]
    by_step: Mapping[int, Slope]
    published: Mapping[int, float]  #: by width: log of the ratio to the base fan-in, at `step`, mean of the tensors


@dataclass(frozen=True)
class AlignmentPart:
    """The measured alignment of a calibration."""

    exponents: tuple[ExponentEstimate, ...]  #: "alpha", "omega", "u" and "max_stable_learning_rate", by role
    warnings: tuple[Caution, ...]
    measured: tuple[AlignmentExponent, ...]
    log_alignment: Mapping[str, Mapping[int, Mapping[int, float]]]  #: A by role, step and width
    logits: float | None  #: exponent by which the trained logits move with these learning rates; 0 is non-trivial
    feature_change: tuple[float, ...]  #: r of embedding and hidden with these learning rates; 0 is feature learning

    @property
    def used(self) -> dict[str, dict[str, float]] | None:
        """Return α, ω and u by role as a transfer or a sweep takes them; None if one could not be fitted."""
        found: dict[str, dict[str, float]] = {}
        for exponent in self.measured:
            found.setdefault(exponent.role.value, {})[exponent.quantity.value] = exponent.used
        return found if len(self.measured) == len(ROLES) * len(QUANTITIES) else None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, all finite."""
        return {
            "rule": "the largest slope over width at any step, clipped to [1/2, 1], goes into the linear program",
            "measured": [
                {
                    "quantity": found.quantity.value,
                    "role": found.role.value,
                    "step": found.step,
                    "exponent": found.value.to_dict(),
                    "used": found.used,
                    "steps": [{"step": step, "exponent": slope.to_dict()} for step, slope in found.by_step.items()],
                    "published": {str(width): value for width, value in found.published.items()},
                }
                for found in self.measured
            ],
            "log_alignment": {
                role: [
                    {"step": step, "by_width": {str(n): a for n, a in widths.items()}} for step, widths in steps.items()
                ]
                for role, steps in self.log_alignment.items()
            },
            "logits": self.logits,
            "feature_change": list(self.feature_change),
        }


def fit_alignment(spec: CalibrationSpec, measurements: Sequence[Measurement]) -> AlignmentPart | None:
    """Fit α, ω and u of hidden tensors and readout, and the learning-rate exponents c that the linear program allows.

    Parameters
    ----------
    spec: a calibration's specification; its fields `measure`, `parameterization`, `optimizer`, `form` and, only for
        theory's values, `alignment` and `readout_omega` are used.
    measurements: records of kind "alignment", one per width and seed; others are ignored.

    Returns None if the specification does not ask for alignment. Raises InvalidInputError for malformed records.

    """
    readings = read(spec, measurements, Measured.ALIGNMENT)
    if readings is None:
        return None
    return fit_readings(readings, spec.parameterization, spec.optimizer, spec.form, spec.parsed_alignment)


def fit_readings(
    readings: Readings, parameterization: Parameterization, optimizer: Optimizer, form: Form, declared: Alignment
) -> AlignmentPart:
    """Fit the same for some readings, whatever measured them. declared: for theory's values alone."""
    measured = tuple(
        found
        for role in ROLES
        for quantity in QUANTITIES
        if (found := _largest(readings, ExponentRole(role), quantity)) is not None
    )
    stored = [
        found.value.estimate(
            found.quantity,
            found.role,
            float(getattr(declared.hidden if found.role == ExponentRole.HIDDEN else declared.readout, found.quantity)),
        )
        for found in measured
    ]
    rates: tuple[ExponentEstimate, ...] = ()
    logits: float | None = None
    feature_change: tuple[float, ...] = ()
    known = [estimate.standard_error for estimate in stored if estimate is not None]
    if len(known) == len(ROLES) * len(QUANTITIES):
        rates = _stable_rates(parameterization, optimizer, form, measured, errors=known, declared=declared)
        program = solve(parameterization, optimizer, _alignment([found.used for found in measured]))
        logits, feature_change = _rounded(program.logits), tuple(_rounded(r) for r in program.r)
    return AlignmentPart(
        exponents=(*(estimate for estimate in stored if estimate is not None), *rates),
        warnings=(*readings.cautions(), *_clipped(measured), *_differing(rates)),
        measured=measured,
        log_alignment={role.value: _by_width(readings, role.value, "log_alignment") for role in ROLES},
        logits=logits,
        feature_change=feature_change,
    )


def log_ratio(tensor: Mapping[str, Any], quantity: str) -> float | None:
    """Return the natural log of a ratio from its published reading; None if nothing has moved."""
    try:
        value = tensor[quantity]
        return None if value is None else value * log(tensor["fan_in"])
    except KeyError as missing:
        raise InvalidInputError(f"a measurement of alignment has no {missing}", field="measurements") from missing


def _largest(readings: Readings, role: ExponentRole, quantity: ExponentQuantity) -> AlignmentExponent | None:
    """Return the exponent at the step at which it is largest."""
    by_step = {}
    for step in readings.snapshots:
        slope = readings.slope([step], readings.names(step, role), lambda tensor: log_ratio(tensor, quantity.value))
        if slope is not None:
            by_step[step] = slope
    if not by_step:
        return None
    step = max(by_step, key=lambda step: by_step[step].value)
    value = by_step[step]
    used = min(1.0, max(0.5, value.value))
    return AlignmentExponent(quantity, role, step, value, used, by_step, _by_width(readings, role, quantity)[step])


def _by_width(readings: Readings, role: str, quantity: str) -> dict[int, dict[int, float]]:
    """Return the published reading by step and width, averaged over tensors and seeds."""
    found: dict[int, dict[int, float]] = {}
    for step, runs in readings.snapshots.items():
        for width in readings.widths:
            values = [
                tensors[name][quantity]
                for (own, _), tensors in runs.items()
                for name in readings.names(step, role)
                if own == width and tensors[name].get(quantity) is not None
            ]
            if values:
                found.setdefault(step, {})[width] = float(np.mean(values))
    return found


def _alignment(values: Sequence[float]) -> Alignment:
    """Make an alignment from α, ω, u of hidden tensors and readout, in the order of ROLES and QUANTITIES."""
    hidden, readout = values[:3], values[3:]
    return Alignment(
        "measured",
        RoleAlignment.of(hidden[0], hidden[1], hidden[2], role="hidden"),
        RoleAlignment.of(readout[0], readout[1], readout[2], role="readout"),
    )


def _stable_rates(
    kind: Parameterization,
    optimizer: Optimizer,
    form: Form,
    measured: Sequence[AlignmentExponent],
    *,
    errors: Sequence[float],
    declared: Alignment,
) -> tuple[ExponentEstimate, ...]:
    """Return c by role from the linear program, in a form, with the alignment's errors."""
    theory = theoretical_exponents(kind, optimizer, declared, form=form)
    plain = largest_stable(kind, optimizer, declared)
    best = largest_stable(kind, optimizer, _alignment([found.used for found in measured]))
    slopes = [found.value for found in measured]
    centre = np.array([slope.value for slope in slopes])
    dof = min(slope.degrees_of_freedom for slope in slopes)
    generator = np.random.default_rng(0)  # the same draws each time, since a fit is a function of its data
    noise = generator.standard_t(dof, (DRAWS, len(slopes))) if dof else generator.standard_normal((DRAWS, len(slopes)))
    drawn = [
        largest_stable(kind, optimizer, _alignment(list(values)))
        for values in np.clip(centre + np.array(errors) * noise, 0.5, 1.0)
    ]
    outside = (1 - CONFIDENCE) / 2
    widths = set.intersection(*(set(slope.widths) for slope in slopes))
    rates = []
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.READOUT, Role.VECTOR):
        c_D = np.array([float(c[role]) for c in drawn])
        shift = float(theory[role].c - plain[role])  # of the form; the program answers in the form of Table 9
        # always includes the answer: draws about a clipped exponent fall on one side of it
        low = min(float(best[role]), float(np.quantile(c_D, outside)))
        high = max(float(best[role]), float(np.quantile(c_D, 1 - outside)))
        rates.append(
            ExponentEstimate(
                quantity=ExponentQuantity.MAX_STABLE_LEARNING_RATE,
                role=ExponentRole(role),
                value=float(best[role]) + shift,
                standard_error=(high - low) / (2 * quantile(dof or np.inf)),
                interval=(low + shift, high + shift) if dof else None,
                degrees_of_freedom=dof,
                theory=float(theory[role].c),
                widths=tuple(sorted(widths)),
            )
        )
    return tuple(rates)


def _clipped(measured: Sequence[AlignmentExponent]) -> list[Caution]:
    """Warn about exponents that are impossible for an alignment by more than their noise."""
    found = []
    for exponent in measured:
        excess = abs(exponent.value.value - exponent.used)
        interval = exponent.value.interval
        noise = DISTINCT if interval is None else max(DISTINCT, (interval[1] - interval[0]) / 2)
        if excess > noise:
            found.append(
                Caution(
                    "alignment_clipped",
                    f"{exponent.quantity} of the {exponent.role} tensors is {exponent.value.value:.2f} over these "
                    f"widths (step {exponent.step}) and was clipped to {exponent.used:g}: an alignment lies between "
                    "0.5 and 1, so the ratio is not yet a power of the width. Measure at larger widths.",
                )
            )
    return found


def _differing(rates: Sequence[ExponentEstimate]) -> list[Caution]:
    """Warn about roles whose measured alignment needs a different learning-rate exponent from the declared one."""
    differing = [
        rate
        for rate in rates
        if rate.role != ExponentRole.VECTOR
        and rate.theory is not None
        and abs(rate.value - rate.theory) > DISTINCT
        and (rate.interval is None or not rate.interval[0] <= rate.theory <= rate.interval[1])
    ]
    if not differing:
        return []
    listed = ", ".join(f"{rate.role} {rate.value:.2f} instead of {rate.theory:.2f}" for rate in differing)
    return [
        Caution(
            "alignment_differs",
            f"With the measured alignment the largest stable learning-rate exponents are: {listed}. A smaller "
            "exponent lets the learning rate fall more slowly with width; a larger one means that the declared "
            "alignment is unsafe.",
        )
    ]


def _rounded(value: float) -> float:
    """Remove the rounding errors of the linear program."""
    return round(value, 9) + 0.0
