"""The learning rate of each role: sweeps of its constant γ at every width, and the resulting exponents.

A tensor of a role trains at η = β · γ_role · (n/b)^(−c_role) (Everett et al. 2024, 2407.05872, section 4.2): one β for
all, one γ for each role, tuned at the base width b. Here γ is swept role by role at every width, with β at that width's
best learning rate and the other roles at γ = 1, for which the plain sweep already has a trial. If theory's c is right,
the best γ of a role is the same at every width. If β · γ drifts as n^(−d), the role's c is the prescribed one plus d.
Both γ and β · γ have the candidate laws of a best learning rate over width (`candidates`): theory, a finite-width
shift, a drift, and optima that scatter about each.

One-dimensional sweeps find each role's optimum with the others held fixed. If the best γ of a role depends on the
others, the result depends on how well β was chosen, so the error of β* is included in each exponent. β · γ uses the β
that was trained, so the rounding of β* to a learning rate that was tried cancels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.caution import Caution
from widthwise.estimate.candidates import Candidates, fit_candidates
from widthwise.estimate.cautions import divergence_caution
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.misfit import misfits
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.skew import unshared_errors
from widthwise.estimate.surface import Surface, surfaces_by_width
from widthwise.estimate.widths import WidthOptimum, fit_optima, fit_sweeps
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import ExponentQuantity, ExponentRole, LearningRateRule, Measured, Role

#: γ to train first, in octaves (chosen): if γ = 1 is near the best, the fit has both sides of it. γ = 1 itself is a
#: trial of the plain sweep.
GAMMAS = (0.25, 0.5, 2.0, 4.0)
SWEPT = (Role.EMBEDDING, Role.HIDDEN, Role.READOUT)
FARTHEST = 64.0  # Everett et al. 2024 tuned γ within [1e-2, 1e2]; these are the powers of 2 in it

Trials = Sequence[Trial]


def gamma_roles(spec: CalibrationSpec) -> tuple[Role, ...]:
    """Return the roles with separate tensors in the calibration's proxy: a tied readout is the embedding's table."""
    return SWEPT[:2] if spec.proxy.tied else SWEPT


def gamma_learning_rate(optima: Sequence[WidthOptimum], width: int) -> float | None:
    """Return the base learning rate for the γ sweeps of a width: the nearest to its best that most seeds completed.

    None if the width has no optimum.
    """
    for entry in optima:
        if entry.width == width and entry.optimum is not None:
            rates, best = entry.surface.learning_rates, entry.optimum.log2_learning_rate
            completed_L = np.isfinite(entry.surface.losses).sum(
                axis=1
            )  # seeds; the best learning rate has at least one
            most = [rate for rate, seeds in zip(rates, completed_L, strict=True) if seeds == completed_L.max()]
            return min(most, key=lambda rate: abs(math.log2(rate) - best))
    return None


def next_gammas(trials: Trials, width: int, role: Role | str, learning_rate: float) -> tuple[float, ...]:
    """Return the γ still to train for a role, width and base learning rate, ascending; empty if the best is bracketed.

    First GAMMAS. If the best γ lies at an edge, two octaves beyond that edge, up to FARTHEST.

    >>> next_gammas([], 64, "hidden", 0.01)
    (0.25, 0.5, 2.0, 4.0)
    """
    records = _gamma_records(trials, width, Role(role), learning_rate)
    tried = {record.learning_rate for record in records}
    missing = tuple(gamma for gamma in GAMMAS if gamma not in tried)
    if missing:
        return missing
    (found,) = fit_optima(records)
    optimum = found.optimum
    if optimum is None or optimum.kind == "interior":
        return ()
    lowest, highest = min(tried), max(tried)
    beyond = (lowest / 4, lowest / 2) if optimum.kind == "upper_bound" else (highest * 2, highest * 4)
    return tuple(gamma for gamma in beyond if 1 / FARTHEST <= gamma <= FARTHEST)


@dataclass(frozen=True)
class RoleGamma:
    """The best γ of one role at one width, or why there is none."""

    role: Role
    learning_rate: float  #: base learning rate of the sweep
    found: WidthOptimum  #: over γ instead of learning rates

    @property
    def width(self) -> int:
        """The width of the model."""
        return self.found.width

    @property
    def optimum(self) -> Optimum | None:
        """The optimum over γ: its `learning_rate` is the best γ."""
        return self.found.optimum


@dataclass(frozen=True)
class RoleDrift:
    """How the best γ and the best learning rate β·γ of one role move with width, by the candidate laws."""

    role: Role
    gamma: Candidates
    learning_rate: Candidates
    widths: tuple[int, ...]

    @property
    def degrees_of_freedom(self) -> int:
        """Those of a power law: widths − 2."""
        return len(self.widths) - 2


@dataclass(frozen=True)
class GammaResult:
    """The result of a calibration's γ sweeps."""

    gammas: tuple[RoleGamma, ...]
    drifts: tuple[RoleDrift, ...]  #: of the roles with at least two interior optima
    exponents: tuple[ExponentEstimate, ...]
    warnings: tuple[Caution, ...]

    def to_dict(self) -> dict[str, Any]:
        """Best γ by role and width; those at the smallest width are the constants for tuning a base model."""
        return {
            "optima": [
                {
                    "width": found.width,
                    "role": found.role.value,
                    "learning_rate": found.learning_rate,
                    "gamma": found.optimum.learning_rate,
                    "interval": None if found.optimum.interval is None else list(found.optimum.interval),
                    "standard_error_log2": found.optimum.standard_error,
                    "kind": found.optimum.kind,
                    "bound": found.optimum.bound,
                    "next_to_divergence": found.optimum.next_to_divergence,
                    "loss": found.optimum.loss,
                }
                for found in self.gammas
                if found.optimum is not None
            ],
            "base": _base(self.gammas),
            "drift": [
                {
                    "role": drift.role.value,
                    "value": drift.gamma.drift.log2_learning_rate,
                    "standard_error": drift.gamma.drift.standard_error,
                    "interval": None if drift.gamma.drift.interval is None else list(drift.gamma.drift.interval),
                    "degrees_of_freedom": drift.degrees_of_freedom,
                    "law": drift.learning_rate.chosen.name,
                    "cell_scatter": drift.learning_rate.chosen.fit.scatter,
                }
                for drift in self.drifts
            ],
        }


def fit_gamma(spec: CalibrationSpec, trials: Trials, optima: Sequence[WidthOptimum]) -> GammaResult | None:
    """Fit the best γ of each role at each width, and the learning-rate exponent of each role.

    Parameters
    ----------
    spec: a calibration's specification. Returns None if its `measure` does not contain "gamma".
    trials: of all kinds; those with a role are the γ sweeps, plain ones at the same learning rate their γ = 1.
    optima: of the base learning rate, at every width.

    Exponents have the quantity "learning_rate_by_role": the best learning rate of a role ∝ width^(−value). A best γ at
    the edge of its grid, or at a width with only a bound on its base learning rate, is left out of the fit.

    Raises `InvalidInputError` for malformed trials.
    """
    if Measured.GAMMA not in spec.measure:
        return None
    by_width = {entry.width: entry.optimum for entry in optima}
    gammas = tuple(_role_gammas(trials, by_width))
    drifts, exponents, warnings = [], [], []
    for role in gamma_roles(spec):
        of_role = [found for found in gammas if found.role is role]
        warnings += [caution for found in of_role for caution in _width_cautions(found, by_width.get(found.width))]
        drift = _drift(spec, role, of_role, by_width)
        if drift is None:
            warnings.append(
                Caution(
                    "no_exponent",
                    f"The best γ of {role.value} is known at fewer than two widths, so there is no exponent.",
                )
            )
            continue
        drifts.append(drift)
        exponents.append(_exponent(spec, drift))
        warnings += _drift_cautions(drift)
    return GammaResult(gammas, tuple(drifts), tuple(exponents), tuple(warnings))


def _gamma_records(trials: Trials, width: int, role: Role, learning_rate: float) -> list[Trial]:
    """Return one role's γ sweep as plain trials with γ as learning rate; γ = 1 comes from the plain sweep if needed."""
    swept: dict[tuple[float, int], Trial] = {}
    for trial in trials:
        if trial.width != width or trial.learning_rate != learning_rate or trial.horizon is not None:
            continue
        if trial.role in (role, None):
            key = trial.gamma, trial.seed
            if trial.role is role or key not in swept:
                swept[key] = replace(trial, learning_rate=trial.gamma, role=None, gamma=1.0)
    return list(swept.values())


def _role_gammas(trials: Trials, optima: Mapping[int, Optimum | None]) -> Iterator[RoleGamma]:
    """Return the best γ wherever γ was swept, with the skew that the curves of a role share over widths.

    Of several base learning rates, the one nearest to the best is used.
    """
    rates: dict[tuple[int, Role], set[float]] = {}
    for trial in trials:
        if trial.role is not None:
            rates.setdefault((trial.width, trial.role), set()).add(trial.learning_rate)
    swept: dict[Role, list[tuple[float, Surface]]] = {}
    for (width, role), tried in sorted(rates.items()):
        best = optima.get(width)
        target = math.log2(min(tried)) if best is None else best.log2_learning_rate
        rate = min(sorted(tried), key=lambda tried: abs(math.log2(tried) - target))
        surface = surfaces_by_width(_gamma_records(trials, width, role, rate))[width]
        swept.setdefault(role, []).append((rate, surface))
    found = [
        RoleGamma(role, rate, entry)
        for role, sweeps in swept.items()
        for (rate, _), entry in zip(sweeps, fit_sweeps(surface for _, surface in sweeps), strict=True)
    ]
    yield from sorted(found, key=lambda each: (each.width, each.role))


def _drift(
    spec: CalibrationSpec, role: Role, gammas: Sequence[RoleGamma], optima: Mapping[int, Optimum | None]
) -> RoleDrift | None:
    """Fit the candidate laws of one role over the widths with both best γ and best learning rate bracketed."""
    widths, log_rates, best, base_errors = [], [], [], []
    for found in gammas:
        gamma, base = found.optimum, optima.get(found.width)
        if gamma is None or gamma.standard_error is None or base is None or base.standard_error is None:
            continue
        widths.append(found.width)
        log_rates.append(math.log2(found.learning_rate) + gamma.log2_learning_rate)
        best.append(gamma)
        base_errors.append(base.standard_error)
    if len(widths) < 2:
        return None
    own = moderated_errors([gamma.own_error for gamma in best], [gamma.degrees_of_freedom for gamma in best])
    gamma_errors, _ = unshared_errors(best, own)
    base_width = min([*spec.widths, *widths])
    c = _theory(spec)
    of_role, of_base = (c[role], max(c.values())) if _is_global(spec) else (0.0, 0.0)  # as n^−…, beyond the rule
    return RoleDrift(
        role=role,
        gamma=fit_candidates(
            widths,
            [gamma.log2_learning_rate for gamma in best],
            gamma_errors,
            base_width=base_width,
            theory_drift=of_role - of_base,
        ),
        learning_rate=fit_candidates(
            widths, log_rates, np.hypot(gamma_errors, base_errors), base_width=base_width, theory_drift=of_role
        ),
        widths=tuple(widths),
    )


def _theory(spec: CalibrationSpec) -> dict[Role, float]:
    """Return theory's c by role."""
    theory = theoretical_exponents(spec.parameterization, spec.optimizer, spec.parsed_alignment, form=spec.form)
    return {role: float(theory[role].c) for role in (*SWEPT, Role.VECTOR)}


def _is_global(spec: CalibrationSpec) -> bool:
    return spec.learning_rate_rule is LearningRateRule.GLOBAL


def _exponent(spec: CalibrationSpec, drift: RoleDrift) -> ExponentEstimate:
    """Return the exponent prescribed for the role, plus its drift."""
    theory = _theory(spec)[drift.role]
    prescribed = 0.0 if _is_global(spec) else theory
    found = drift.learning_rate.drift
    return ExponentEstimate(
        quantity=ExponentQuantity.LEARNING_RATE_BY_ROLE,
        role=ExponentRole(drift.role),
        value=prescribed + found.log2_learning_rate,
        standard_error=found.standard_error,
        interval=None if found.interval is None else (prescribed + found.interval[0], prescribed + found.interval[1]),
        degrees_of_freedom=drift.degrees_of_freedom,
        theory=theory,
        widths=drift.widths,
    )


def _width_cautions(found: RoleGamma, base: Optimum | None) -> Iterator[Caution]:
    """Return what is doubtful about the best γ of one width."""
    where = f"Width {found.width}, γ of {found.role.value}"
    yield from divergence_caution(where, found.found.surface, "γ")
    if found.optimum is None:
        yield Caution("no_optimum", f"{where}: no best γ; {found.found.reason}.")
        return
    if found.optimum.bound is not None:
        edge, side = ("smallest", "below") if found.optimum.kind == "upper_bound" else ("largest", "above")
        yield Caution(
            "optimum_at_grid_edge",
            f"{where}: the best is the {edge} tried, {found.optimum.learning_rate:g}, so it lies {side} the next one, "
            f"{found.optimum.bound:g}; it is left out of the fit.",
        )
    if found.optimum.next_to_divergence:
        yield Caution(
            "next_to_divergence",
            f"{where}: a γ next to the best one, {found.optimum.learning_rate:.3g}, diverged; "
            "the best is known only to the spacing of γ.",
        )
    if base is None or base.kind != "interior":
        yield Caution(
            "optimum_at_grid_edge",
            f"{where}: the best base learning rate of this width is not bracketed; it is left out of the fit.",
        )


def _drift_cautions(drift: RoleDrift) -> Iterator[Caution]:
    """Return what is doubtful about the fit of one role over widths."""
    chosen = drift.learning_rate.chosen
    if drift.degrees_of_freedom == 0:
        yield Caution(
            "zero_degrees_of_freedom",
            f"The best γ of {drift.role.value} is known at two widths, which always fit a power law, so its exponent "
            "has no interval.",
        )
    elif misfits(chosen.lack_of_fit, chosen.degrees_of_freedom):
        yield Caution(
            "lack_of_fit",
            f"The best learning rates of {drift.role.value} scatter {(chosen.lack_of_fit or 0.0) ** 0.5:.1f} times as "
            "far from the chosen law as their own errors explain; this widens the interval of its exponent.",
        )


def _base(gammas: Sequence[RoleGamma]) -> dict[str, Any] | None:
    """Return the best γ by role at the smallest width."""
    found = [entry for entry in gammas if entry.optimum is not None]
    if not found:
        return None
    width = min(entry.width for entry in found)
    return {
        "width": width,
        "gamma": {
            entry.role.value: entry.optimum.learning_rate
            for entry in found
            if entry.width == width and entry.optimum is not None
        },
    }
