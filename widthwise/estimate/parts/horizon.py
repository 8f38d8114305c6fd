"""How the best learning rate falls with the number of training tokens: LR* ∝ tokens^(−h), at a fixed batch size.

The optimum of every horizon is found as in any sweep, at the width of its runs, and corrected by the skew that the
curves of all horizons share; then h is the slope of a line through log2 LR* over log2 tokens, about which single optima
scatter as they do about a law over widths (`scatter`). Its prior is flat, and several widths share the slope, each with
its own level. The error of the skew moves all optima alike and cancels in the slope. The horizons of one seed share
batches and the constant phase: noise that moves all of them equally cancels too, and the interval, which treats it as
independent, is too wide rather than too narrow.

The theory of width does not predict h. Published values disagree (PUBLISHED), so it is measured.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from widthwise.calibration.cost import predictions
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial
from widthwise.caution import Caution
from widthwise.estimate.cautions import divergence_caution
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.misfit import misfits
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.scatter import fit_scattered
from widthwise.estimate.skew import unshared_errors
from widthwise.estimate.surface import surfaces_by_width
from widthwise.estimate.widths import WidthOptimum, fit_sweeps
from widthwise.vocabulary import ExponentQuantity, ExponentRole, Measured

PUBLISHED = (
    ("Bjorck et al. 2409.19913", 0.32, 0.32),
    ("Complete(d)P 2512.22382", 0.5, 0.5),
    # exponents over width of one global learning rate: at 50,000 steps, and at 20 tokens per parameter (tokens ∝ size)
    ("derived from Everett et al. 2407.05872", 0.12, 0.15),
)

Trials = Sequence[Trial]


@dataclass(frozen=True)
class HorizonOptimum:
    """The optimum of one horizon at one width, or why there is none."""

    horizon: int  #: steps
    tokens: int  #: predicted positions that a run of this horizon trains on
    found: WidthOptimum

    @property
    def interior(self) -> Optimum | None:
        """The optimum if the learning rates bracket it."""
        optimum = self.found.optimum
        return None if optimum is None or optimum.standard_error is None else optimum


@dataclass(frozen=True)
class TokenLaw:
    """LR* ∝ tokens^(−value) at each of `widths`, with a separate level for each."""

    value: float
    standard_error: float  #: of the posterior, over all scatters
    interval: tuple[float, float] | None  #: 95 %; None with zero degrees of freedom
    degrees_of_freedom: int  #: optima − widths − 1
    lack_of_fit: float | None  #: χ²/dof without scatter, against the stated errors
    scatter: float  #: ω in octaves, the mean of its posterior
    widths: tuple[int, ...]


@dataclass(frozen=True)
class HorizonResult:
    """The result of a calibration's horizons."""

    optima: tuple[HorizonOptimum, ...]  #: ascending in width, then horizon
    law: TokenLaw | None
    warnings: tuple[Caution, ...]

    @property
    def exponents(self) -> tuple[ExponentEstimate, ...]:
        """The exponent over tokens, the same for all roles; theory has no value for it."""
        law = self.law
        if law is None:
            return ()
        estimate = ExponentEstimate(
            quantity=ExponentQuantity.LEARNING_RATE_OVER_TOKENS,
            role=ExponentRole.ALL,
            value=law.value,
            standard_error=law.standard_error,
            interval=law.interval,
            degrees_of_freedom=law.degrees_of_freedom,
            theory=None,
            widths=law.widths,
        )
        return (estimate,)

    def to_dict(self) -> dict[str, Any]:
        """Return the optimum of every horizon, the exponent, and published values."""
        return {
            "optima": [
                {"width": entry.found.width, "steps": entry.horizon, "tokens": entry.tokens, **optimum}
                for entry in self.optima
                if (optimum := entry.found.to_dict()) is not None
            ],
            "exponent": None
            if self.law is None
            else {
                "value": self.law.value,
                "standard_error": self.law.standard_error,
                "interval": None if self.law.interval is None else list(self.law.interval),
                "degrees_of_freedom": self.law.degrees_of_freedom,
                "widths": list(self.law.widths),
                "cell_scatter": self.law.scatter,
            },
            "published": [{"source": source, "low": low, "high": high} for source, low, high in PUBLISHED],
        }


def fit_horizon(spec: CalibrationSpec, trials: Trials) -> HorizonResult | None:
    """Fit the optimum of each horizon, and how it decreases with tokens.

    Parameters
    ----------
    spec: a calibration's specification; its fields `measure`, `horizons` and `proxy` are used. Returns None if
        `measure` does not contain "horizon".
    trials: of all kinds; only those with a `horizon` (steps) are used.

    An optimum at the edge of its learning rates is a bound: it is reported, but left out of the fit. A width with fewer
    than two interior optima does not determine the slope. If no width does, there is no exponent.

    Raises `InvalidInputError` for malformed trials or an unknown architecture.
    """
    if Measured.HORIZON not in spec.measure:
        return None
    optima = tuple(_horizon_optima(spec, trials))
    law = _fit_law(optima)
    return HorizonResult(optima, law, tuple(_cautions(spec, optima, law)))


def tokens_of(spec: CalibrationSpec, horizon: int) -> int:
    """Return the positions that a run of `horizon` steps predicts in training; each counts as one token.

    >>> tokens_of(CalibrationSpec.from_dict({"parameterization": "mup", "optimizer": "adam", "widths": [32]}), 100)
    25600
    """
    proxy = spec.proxy
    return horizon * proxy.batch_size * predictions(proxy.architecture, proxy.sequence_length)


def _horizon_optima(spec: CalibrationSpec, trials: Trials) -> Iterator[HorizonOptimum]:
    """Fit the optimum of each horizon, with the skew that the curves of all of them share."""
    records: dict[tuple[int, int], list[Trial]] = {}
    for trial in trials:
        if trial.horizon is not None and trial.role is None:
            records.setdefault((trial.width, trial.horizon), []).append(replace(trial, horizon=None))
    swept = sorted(records)
    surfaces = [surfaces_by_width(records[width, horizon])[width] for width, horizon in swept]
    for (_, horizon), found in zip(swept, fit_sweeps(surfaces), strict=True):
        yield HorizonOptimum(horizon, tokens_of(spec, horizon), found)


def _fit_law(optima: Sequence[HorizonOptimum]) -> TokenLaw | None:
    """Fit one slope, a level per width and the scatter of optima about these lines."""
    inside = [(entry, entry.interior) for entry in optima]
    points = [(entry.found.width, entry.tokens, optimum) for entry, optimum in inside if optimum is not None]
    counts = Counter(width for width, _, _ in points)
    points = [point for point in points if counts[point[0]] >= 2]
    if not points:
        return None
    width_P = np.array([width for width, _, _ in points])
    x_P = np.log2([float(tokens) for _, tokens, _ in points])
    y_P = np.array([optimum.log2_learning_rate for _, _, optimum in points])
    found = [optimum for _, _, optimum in points]
    own = moderated_errors([each.own_error for each in found], [each.degrees_of_freedom for each in found])
    errors, _ = unshared_errors(found, own)
    widths = tuple(sorted({width for width, _, _ in points}))
    dof = len(points) - len(widths) - 1
    fit = fit_scattered(x_P, y_P, errors, math.inf, width_P)
    low, high = fit.slope.interval
    return TokenLaw(
        value=0.0 - fit.slope.mean,
        standard_error=math.sqrt(fit.slope.variance),
        interval=(-high, -low) if dof else None,
        degrees_of_freedom=dof,
        lack_of_fit=float(fit.lines.misfit[0]) / dof if dof else None,  # the first ω is 0
        scatter=fit.scatter,
        widths=widths,
    )


def _cautions(spec: CalibrationSpec, optima: Sequence[HorizonOptimum], law: TokenLaw | None) -> Iterator[Caution]:
    """Return every reason to trust the exponent over tokens less."""
    for entry in optima:
        yield from _horizon_cautions(entry)
    missing = sorted(set(spec.horizons) - {entry.horizon for entry in optima})
    if missing:
        yield Caution(
            "horizon_without_trials",
            f"Horizon {', '.join(map(str, missing))} has no trials and is left out of the exponent over tokens.",
        )
    for width in sorted({entry.found.width for entry in optima}):
        surfaces = [entry.found.surface for entry in optima if entry.found.width == width]
        if len({(surface.learning_rates, surface.seeds) for surface in surfaces}) > 1:
            yield Caution(
                "unlike_horizons",
                f"Width {width}: not every horizon has the same learning rates and seeds, so noise that they would "
                "otherwise share affects the exponent over tokens.",
            )
    if law is None:
        inside = sum(entry.interior is not None for entry in optima)
        yield Caution(
            "no_exponent",
            f"{inside} of {len(optima)} horizons have an optimum inside their learning rates, but an exponent over "
            "tokens needs two at one width.",
        )
    elif law.degrees_of_freedom == 0:
        yield Caution(
            "zero_degrees_of_freedom",
            "Two horizons always fit a power law, so nothing tests the exponent over tokens and it has no interval. "
            "Measure a third.",
        )
    elif misfits(law.lack_of_fit, law.degrees_of_freedom):
        yield Caution(
            "lack_of_fit",
            f"The optima scatter {(law.lack_of_fit or 0.0) ** 0.5:.1f} times as far from a power law of the tokens as "
            "their own errors explain; this widens the interval of the exponent.",
        )


def _horizon_cautions(entry: HorizonOptimum) -> Iterator[Caution]:
    """Return what is doubtful about the optimum of one horizon."""
    where, optimum, surface = (
        f"Horizon {entry.horizon} at width {entry.found.width}",
        entry.found.optimum,
        entry.found.surface,
    )
    if surface.gap_count:
        yield Caution(
            "missing_trials",
            f"{where}: {surface.gap_count} of {surface.losses.size} trials have no outcome.",
        )
    yield from divergence_caution(where, surface)
    if optimum is None:
        yield Caution("no_optimum", f"{where} is left out of the exponent over tokens:  {entry.found.reason}.")
        return
    if optimum.kind != "interior":
        yield Caution(
            "optimum_at_grid_edge", f"{where} is left out of the exponent over tokens:  {entry.found.remark}."
        )
    if optimum.next_to_divergence:
        yield Caution(
            "next_to_divergence",
            f"{where}: a learning rate next to the best one, {optimum.learning_rate:.3g}, diverged; the optimum is "
            "known only to the spacing of the learning rates.",
        )
