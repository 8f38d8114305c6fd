"""From the trials of a calibration to its exponents: optima by width, their drift, exponents by role.

Every tensor trains at the base learning rate times its theoretical multiplier, and the sweep varies that one base
learning rate. If the theory holds, its optimum is the same at every width. If the optimum drifts instead, as
n^(−d), the multipliers' exponents were all too small by d: the measured learning-rate exponent of a role is the
theoretical one plus the drift. One number was measured, so all roles share its error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widthwise.errors import EstimateError, InvalidInputError
from widthwise.estimate.cautions import calibration_cautions
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.scaling import PowerLaw, fit_power_law
from widthwise.estimate.surface import Surface
from widthwise.estimate.widths import WidthOptimum, fit_optima
from widthwise.plan import Caution
from widthwise.stability import theoretical_exponents
from widthwise.vocabulary import Role

ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT, Role.VECTOR)  # a scalar has no width to scale with


@dataclass(frozen=True)
class Drift:
    """How the best base learning rate moves under the theory's multipliers: LR*(n) ∝ n^(−value); 0 = transfers."""

    value: float
    standard_error: float
    interval: tuple[float, float] | None
    degrees_of_freedom: int


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration found."""

    optima: tuple[WidthOptimum, ...]  #: every width with an optimum, bounds included
    power_law: PowerLaw | None  #: of the best base learning rate over the widths with an interior optimum
    drift: Drift | None  #: None, like the law, where fewer than two widths have an interior optimum
    exponents: tuple[ExponentEstimate, ...]  #: empty without a drift
    warnings: tuple[Caution, ...]

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values, all finite."""
        return {
            "optima": [_optimum_dict(found.surface, found.optimum) for found in self.optima if found.optimum],
            "drift": None if self.drift is None else _estimate_dict(self.drift),
            "exponents": [
                {
                    "quantity": exponent.quantity,
                    "role": exponent.role,
                    **_estimate_dict(exponent),
                    "theory": exponent.theory,
                    "widths": list(exponent.widths),
                }
                for exponent in self.exponents
            ],
            "warnings": [{"code": code, "message": message} for code, message in self.warnings],
        }


def fit_calibration(spec: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> CalibrationResult:
    """Fit the optimum of every width, its drift over widths, and the learning-rate exponents by role.

    Parameters
    ----------
    spec: a calibration's specification; read are `parameterization`, `optimizer`, `alignment`, `readout_omega`,
        `form` and `widths`.
    trials: records with `width`, `learning_rate` (the base one), `seed`, `status` and `loss` (nats), in any order.

    Widths whose optimum lies at the edge of their grid stay out of the fit; they are reported, with a warning. With
    fewer than two interior optima there is no drift and no exponent: what was found are the bounds.

    Raises `EstimateError` if no width has an optimum at all, `InvalidInputError` for malformed trials or specification.
    """
    optima = fit_optima(trials)
    found = tuple(entry for entry in optima if entry.optimum is not None)
    interior = [
        (entry.width, entry.optimum, entry.optimum.standard_error)
        for entry in found
        if entry.optimum is not None and entry.optimum.standard_error is not None
    ]
    if not found:
        raise EstimateError(
            "no width has an optimum" + "".join(f"; width {entry.width}: {entry.remark}" for entry in optima)
        )
    widths = tuple(width for width, _, _ in interior)
    if len(interior) < 2:
        return CalibrationResult(found, None, None, (), tuple(calibration_cautions(spec, optima, None, widths)))
    errors = moderated_errors(
        [error for _, _, error in interior], [optimum.degrees_of_freedom for _, optimum, _ in interior]
    )
    law = fit_power_law(widths, [optimum.log2_learning_rate for _, optimum, _ in interior], errors)
    drift = Drift(
        value=0.0 - law.slope,
        standard_error=law.standard_error,
        interval=None if law.interval is None else (-law.interval[1], -law.interval[0]),
        degrees_of_freedom=law.degrees_of_freedom,
    )
    return CalibrationResult(
        optima=found,
        power_law=law,
        drift=drift,
        exponents=_exponents(spec, drift, widths),
        warnings=tuple(calibration_cautions(spec, optima, law, widths)),
    )


def _exponents(spec: Mapping[str, Any], drift: Drift, widths: tuple[int, ...]) -> tuple[ExponentEstimate, ...]:
    """Theory plus drift, role by role."""
    for field in ("parameterization", "optimizer"):
        if field not in spec:
            raise InvalidInputError(f"the specification names no {field}; give one", field=field)
    theory = theoretical_exponents(
        spec["parameterization"],
        spec["optimizer"],
        spec.get("alignment", "full"),
        readout_omega=spec.get("readout_omega"),
        form=spec.get("form", "table_9"),
    )
    estimates = []
    for role in ROLES:
        c = float(theory[role].c)
        low_high = drift.interval
        estimates.append(
            ExponentEstimate(
                quantity="learning_rate",
                role=role.value,
                value=c + drift.value,
                standard_error=drift.standard_error,
                interval=None if low_high is None else (c + low_high[0], c + low_high[1]),
                degrees_of_freedom=drift.degrees_of_freedom,
                theory=c,
                widths=widths,
            )
        )
    return tuple(estimates)


def _estimate_dict(estimate: Drift | ExponentEstimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "interval": None if estimate.interval is None else list(estimate.interval),
        "degrees_of_freedom": estimate.degrees_of_freedom,
    }


def _optimum_dict(surface: Surface, optimum: Optimum) -> dict[str, Any]:
    return {
        "width": surface.width,
        "learning_rate": optimum.learning_rate,
        "interval": None if optimum.interval is None else list(optimum.interval),
        "standard_error_log2": optimum.standard_error,
        "kind": optimum.kind,
        "next_to_divergence": optimum.next_to_divergence,
        "loss": optimum.loss,
        "completed": surface.completed_count,
        "diverged": surface.diverged_count,
        "stopped": surface.stopped_count,
    }
