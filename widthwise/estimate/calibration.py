"""From the trials of a calibration to its exponents: optima by width, their drift, exponents by role, and the parts.

Every tensor trains at the base learning rate times its theoretical multiplier, and the sweep varies that one base
learning rate. If the theory holds, its optimum is the same at every width. If the optimum drifts instead, as
n^(−d), the multipliers' exponents were all too small by d: the measured learning-rate exponent of a role is the
prescribed one plus the drift. One number was measured, so all roles share its error. If a finite-width shift
explains the optima better, the drift is theory's: not refuted, which is not measured. The shift and the slope of the
optima alone are reported separately (`candidates`, `raw_slope`).

With one global learning rate nothing is prescribed by width, so theory expects the drift that the most demanding role
needs, the largest c; the published fits of Everett et al. 2024 differ from it by 0.05 to 0.34.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.caution import Caution
from widthwise.errors import EstimateError
from widthwise.estimate.candidates import Candidates, Prediction, fit_candidates
from widthwise.estimate.cautions import calibration_cautions
from widthwise.estimate.exponent import ExponentEstimate, Part
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.parts.registry import Evidence, fit_parts
from widthwise.estimate.scaling import PowerLaw, fit_power_law
from widthwise.estimate.skew import unshared_errors
from widthwise.estimate.widths import WidthOptimum, fit_optima
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import ExponentQuantity, ExponentRole, LearningRateRule, Measured, Role

ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT, Role.VECTOR)  # a scalar has no width to scale with
PREDICTED = (2, 4, 16)  # times the largest width (chosen): near, as in a held-out test, and as far as a plan may go


@dataclass(frozen=True)
class Drift:
    """How the best base learning rate moves at large widths: LR*(n) ∝ n^(−value); 0 = theory's multipliers transfer.

    The interval includes the uncertainty of the choice between the candidates; None with fewer than three widths.
    """

    value: float
    standard_error: float
    interval: tuple[float, float] | None
    degrees_of_freedom: int  #: widths − 2, whichever candidate was chosen, since the interval allows for a slope


@dataclass(frozen=True)
class CalibrationResult:
    """What a calibration found."""

    optima: tuple[WidthOptimum, ...]  #: of every width with an optimum, bounds included
    power_law: (
        PowerLaw | None
    )  #: the plain power law of the best base learning rate over the widths with an interior optimum
    drift: Drift | None  #: None, like the law, if fewer than two widths have an interior optimum
    exponents: tuple[ExponentEstimate, ...]  #: including those of the parts
    warnings: tuple[Caution, ...]
    candidates: Candidates | None = None  #: None if no width has an interior optimum
    parts: Mapping[str, Part] = field(default_factory=dict)  #: requested parts, by name

    def predict(self, width: float) -> Prediction:
        """Return the log2 of the best base learning rate at a width, by the chosen candidate.

        If the widest optimum lies next to a divergence, an upward law describes the edge of divergence. Following it
        past the data may cost the whole run, while staying at theory's rate costs little, so the prediction is held to
        what theory makes of that optimum: its `ceiling`. The interval of a held prediction reaches from where theory
        puts the lower end of that optimum's interval to where the law's own interval ends, since either may be true.

        Raises `EstimateError` if no width has an interior optimum, `InvalidInputError` for a width that is not
        positive and finite.
        """
        if self.candidates is None:
            raise EstimateError("no width has an optimum inside its grid, so nothing can be predicted")
        widest = max((entry for entry in self.optima if _is_interior(entry)), key=lambda entry: entry.width)
        edge = widest.optimum
        if edge is None or edge.interval is None or not width > widest.width or not edge.next_to_divergence:
            return self.candidates.predict(width)
        fall = self.candidates.chosen.theory_drift * math.log2(width / widest.width)
        found = self.candidates.predict(width, edge.log2_learning_rate - fall)
        if found.ceiling is None or found.interval is None:
            return found
        return found._replace(interval=(min(found.interval[0], math.log2(edge.interval[0]) - fall), found.interval[1]))

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values, all finite."""
        return {
            "optima": [found.to_dict() for found in self.optima],
            "drift": None if self.drift is None else _estimate_dict(self.drift),
            "raw_slope": None if self.power_law is None else _slope_dict(self.power_law),
            "candidates": [] if self.candidates is None else self.candidates.to_list(),
            "predictions": list(self.predictions()),
            "exponents": [
                {
                    "quantity": exponent.quantity.value,
                    "role": exponent.role.value,
                    **_estimate_dict(exponent),
                    "theory": exponent.theory,
                    "widths": list(exponent.widths),
                }
                for exponent in self.exponents
            ],
            "warnings": [{"code": code, "message": message} for code, message in self.warnings],
            **{name: part.to_dict() for name, part in self.parts.items()},
        }

    def predictions(self, multiples: Sequence[int] = PREDICTED) -> Iterator[dict[str, Any]]:
        """Return predictions at multiples of the largest width; none without an optimum inside its grid."""
        if self.candidates is None:
            return
        largest = max(entry.width for entry in self.optima)
        for multiple in multiples:
            found = self.predict(largest * multiple)
            yield {
                "width": largest * multiple,
                "learning_rate": 2.0**found.log2_learning_rate,
                "log2_learning_rate": found.log2_learning_rate,
                "standard_error_log2": found.standard_error,
                "interval": None if found.interval is None else [2.0**end for end in found.interval],
                "law_interval": None if found.law_interval is None else [2.0**end for end in found.law_interval],
                "ceiling": None if found.ceiling is None else 2.0**found.ceiling,
            }


def _is_interior(entry: WidthOptimum) -> bool:
    return entry.optimum is not None and entry.optimum.standard_error is not None


def fit_calibration(
    spec: CalibrationSpec,
    trials: Sequence[Trial],
    measurements: Sequence[Measurement] = (),
) -> CalibrationResult:
    """Fit the optimum of every width, its law over widths, the exponents by role, and every requested part.

    Trials and measurements may be in any order; losses are in nats, and learning rates are base learning rates.

    Widths with their optimum at the edge of the grid are left out of the fit and reported, with a warning. With fewer
    than two interior optima there is no drift and no exponent, only bounds. If `measure` omits the learning rate, or
    asks for more, its optima may be missing.

    Raises `EstimateError` if only the learning rate is measured and no width has an optimum at all,
    `InvalidInputError` for two different outcomes of one trial and for measurements without their data.
    """
    optima = fit_optima(trials)
    found = tuple(entry for entry in optima if entry.optimum is not None)
    parts = fit_parts(Evidence(spec, trials, measurements, optima))
    if not found and not parts:
        raise EstimateError(
            "no width has an optimum" + "".join(f"; width {entry.width}: {entry.remark}" for entry in optima)
        )
    interior = {
        entry.width: entry.optimum
        for entry in found
        if entry.optimum is not None and entry.optimum.standard_error is not None
    }
    widths = tuple(interior)
    law = candidates = drift = None
    if interior:
        log_optima = [optimum.log2_learning_rate for optimum in interior.values()]
        errors, shared_error = errors_of(list(interior.values()))
        candidates = fit_candidates(
            widths,
            log_optima,
            errors,
            base_width=min([*spec.widths, *widths]),
            theory_drift=_theory_drift(spec),
            shared_error=shared_error,
        )
        if len(interior) > 1:
            law = fit_power_law(widths, log_optima, errors)
            drift = Drift(*candidates.drift[:3], degrees_of_freedom=len(interior) - 2)
    asked = bool(optima) or Measured.LEARNING_RATE in spec.measure
    return CalibrationResult(
        optima=found,
        power_law=law,
        drift=drift,
        exponents=(
            *(() if drift is None else _exponents(spec, drift, widths)),
            *(exponent for part in parts.values() for exponent in part.exponents),
        ),
        warnings=(
            *(calibration_cautions(spec, optima, candidates, widths, law) if asked else ()),
            *(caution for part in parts.values() for caution in part.warnings),
        ),
        candidates=candidates,
        parts=parts,
    )


def errors_of(optima: Sequence[Optimum]) -> tuple[NDArray[np.float64], float]:
    """Return each width's own standard error, (W,), moderated, and the one that all widths share.

    For one width the larger of two estimates is used, from the scatter and from the seeds' own optima, which errs
    upwards; all widths together show by how much the seeds exceed the scatter.
    """
    own_W = np.array([optimum.own_error for optimum in optima])
    fitted_W = np.array([optimum.residual_error is not None for optimum in optima])
    if fitted_W.any():
        residual = np.array([optimum.residual_error or 0.0 for optimum in optima])[fitted_W]
        seeds = np.array([optimum.seed_error for optimum in optima])[fitted_W]
        own_W[fitted_W] = residual * max(1.0, float(np.sqrt((seeds**2).sum() / (residual**2).sum())))
    return unshared_errors(optima, moderated_errors(own_W, [optimum.degrees_of_freedom for optimum in optima]))


def _prescribed(spec: CalibrationSpec) -> dict[Role, float]:
    """Return theory's c by role."""
    theory = theoretical_exponents(spec.parameterization, spec.optimizer, spec.parsed_alignment, form=spec.form)
    return {role: float(theory[role].c) for role in ROLES}


def _theory_drift(spec: CalibrationSpec) -> float:
    """Return the drift that theory expects of the base learning rate: 0, or the largest c with one global rate."""
    c = _prescribed(spec)
    return max(c.values()) if _is_global(spec) else 0.0


def _is_global(spec: CalibrationSpec) -> bool:
    return spec.learning_rate_rule is LearningRateRule.GLOBAL


def _exponents(spec: CalibrationSpec, drift: Drift, widths: tuple[int, ...]) -> Iterator[ExponentEstimate]:
    """Return the prescribed exponent plus the drift, role by role."""
    one_rate, theory_drift = _is_global(spec), _theory_drift(spec)
    for role, c in _prescribed(spec).items():
        prescribed = 0.0 if one_rate else c
        low_high = drift.interval
        yield ExponentEstimate(
            quantity=ExponentQuantity.LEARNING_RATE,
            role=ExponentRole(role),
            value=prescribed + drift.value,
            standard_error=drift.standard_error,
            interval=None if low_high is None else (prescribed + low_high[0], prescribed + low_high[1]),
            degrees_of_freedom=drift.degrees_of_freedom,
            theory=prescribed + theory_drift,
            widths=widths,
        )


def _slope_dict(law: PowerLaw) -> dict[str, Any]:
    """Return the slope of the optima alone, whatever theory has: LR* ∝ width^value."""
    return {
        "value": law.slope,
        "standard_error": law.standard_error,
        "interval": None if law.interval is None else list(law.interval),
        "degrees_of_freedom": law.degrees_of_freedom,
    }


def _estimate_dict(estimate: Drift | ExponentEstimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "standard_error": estimate.standard_error,
        "interval": None if estimate.interval is None else list(estimate.interval),
        "degrees_of_freedom": estimate.degrees_of_freedom,
    }
