"""Warnings of a calibration: every reason to trust its exponents less."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from widthwise.calibration.spec import CalibrationSpec
from widthwise.caution import Caution
from widthwise.estimate.candidates import Candidates, Prediction
from widthwise.estimate.misfit import misfits
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.scaling import PowerLaw
from widthwise.estimate.surface import Surface
from widthwise.estimate.widths import WidthOptimum
from widthwise.vocabulary import Parameterization

SMALL_WIDTH = 512  # Everett et al. 2024: widths ≤ 512 left the power law; the shift is of order 1/n (2505.02222)
FEW_SEEDS = 3  # chosen: the spread between two seeds has one degree of freedom
BOUND_ERRORS = 2.0  # chosen: a bound contradicts the fit if it lies this many standard errors on the wrong side
APART = 0.5  # octaves (chosen): if candidates differ by less at four times the data, either choice costs little
#: The residual stream carries the embedding, and these scale a readout's logits for random alignment: n·n^(−½).
LARGE_TIED_LOGITS = (Parameterization.STANDARD, Parameterization.NTK)
PLAUSIBLE = 0.1  # chosen: a candidate with less weight is ruled out


def calibration_cautions(
    spec: CalibrationSpec,
    optima: Sequence[WidthOptimum],
    candidates: Candidates | None,
    widths: tuple[int, ...],
    law: PowerLaw | None = None,
) -> Iterator[Caution]:
    """Return every reason to trust the result less, in a fixed order; `widths` are those with an interior optimum.

    `law` is the plain power law of those optima.
    """
    fitted = candidates if len(widths) > 1 else None
    for entry in optima:
        yield from _width_warnings(entry, fitted)
    missing = sorted(set(spec.widths) - {entry.width for entry in optima})
    if missing:
        yield Caution("width_without_trials", f"Width {_listed(missing)} has no trials and is left out of the fit.")
    if fitted is None:
        yield Caution(
            "no_exponent",
            f"{len(widths)} of {len(optima)} widths have an optimum inside their grid, but an exponent needs two: "
            "extend the learning rates as the other warnings say, and calibrate again.",
        )
    else:
        yield from _law_warnings(fitted, widths, law)
    small = [width for width in widths if width < SMALL_WIDTH]
    if small:
        yield Caution(
            "small_widths",
            f"Width {_listed(small)} is below {SMALL_WIDTH}, where the optimum also shifts by a term of order "
            "1/width, which is not a power law; the candidates allow for this, and wider models would show it.",
        )
    seeds = min((len(entry.surface.seeds) for entry in optima), default=FEW_SEEDS)
    if seeds < FEW_SEEDS:
        yield Caution(
            "few_seeds",
            f"{seeds} seed(s) per learning rate can't show the noise of an optimum well; use {FEW_SEEDS} or more.",
        )
    if spec.proxy.tied and spec.parameterization in LARGE_TIED_LOGITS:
        yield Caution(
            "tied_start",
            "With a readout tied to the embedding, the initial logit of the last byte read grows as width^½ in this "
            "parameterization, so no prescription holds at every width; use mup or mean_field for tied models.",
        )


def _law_warnings(candidates: Candidates, widths: tuple[int, ...], law: PowerLaw | None) -> Iterator[Caution]:
    """Return what is doubtful about the law over widths."""
    chosen, drift = candidates.chosen, candidates.drift
    if len(widths) == 2:
        yield Caution(
            "zero_degrees_of_freedom",
            f"Two widths ({_listed(widths)}) always fit both a power law and a finite-width shift. The data can't tell "
            "these apart, so there is no interval. Calibrate at a third width.",
        )
    if chosen.lack_of_fit is not None and misfits(chosen.lack_of_fit, chosen.degrees_of_freedom):
        yield Caution(
            "lack_of_fit",
            f"The optima scatter {chosen.lack_of_fit**0.5:.1f} times as far from the chosen law as their own errors "
            "explain; this widens the intervals.",
        )
    if len(widths) > 2:
        yield from _choice_warnings(candidates, drift, widths, law)


def _choice_warnings(
    candidates: Candidates, drift: Prediction, widths: tuple[int, ...], law: PowerLaw | None
) -> Iterator[Caution]:
    """Return what was chosen instead of theory, and what else could be true."""
    chosen = candidates.chosen
    if drift.interval is not None and not drift.interval[0] <= chosen.theory_drift <= drift.interval[1]:
        yield Caution(
            "drift",
            f"The best base learning rate is proportional to width^({-chosen.drift:+.2f}) (95 % interval "
            f"{-drift.interval[1]:+.2f} to {-drift.interval[0]:+.2f}), so the theoretical exponents do not transfer "
            "here; the measured ones include the drift.",
        )
    if chosen.name == "shift":
        alone = "" if law is None else f": the optima alone go as width^({law.slope:+.2f} ± {law.standard_error:.2f})"
        yield Caution(
            "finite_width_shift",
            f"The optimum at width n lies {chosen.shift:+.3g}/n octaves below its limit: at {min(widths)} by "
            f"{chosen.shift / min(widths):+.2f}; a transfer adds the shift. The exponents are theory's, not "
            f"refuted{alone}.",
        )
    far = 4 * max(widths)
    likely = [one for one, weight in zip(candidates.all, candidates.weights, strict=True) if weight > PLAUSIBLE]
    values = [one.predict(far)[0] for one in {one.name: one for one in (*likely, chosen)}.values()]
    if max(values) - min(values) > APART:
        yield Caution(
            "law_uncertain",
            f"A drift and a finite-width shift both explain these widths, but at width {far} they differ by "
            f"{max(values) - min(values):.1f} octaves. A wider model or more seeds would tell them apart.",
        )


def _width_warnings(entry: WidthOptimum, candidates: Candidates | None) -> Iterator[Caution]:
    """Return what is doubtful about the optimum of one width."""
    optimum, surface = entry.optimum, entry.surface
    if surface.gap_count:
        yield Caution(
            "missing_trials",
            f"Width {entry.width}: {surface.gap_count} of {surface.losses.size} trials have no outcome; "
            "seeds are compared only where they ran.",
        )
    yield from divergence_caution(f"Width {entry.width}", surface)
    if optimum is None:
        yield Caution("no_optimum", f"Width {entry.width} is left out of the fit: {entry.reason}.")
        return
    if optimum.kind != "interior":
        yield Caution("optimum_at_grid_edge", f"Width {entry.width} is left out of the fit: {entry.remark}.")
        if candidates is not None:
            yield from _bound_warnings(entry.width, optimum, candidates)
    if optimum.next_to_divergence:
        yield Caution(
            "next_to_divergence",
            f"Width {entry.width}: a learning rate next to the best one, {optimum.learning_rate:.3g}, diverged. "
            "The optimum is known only to the grid spacing; train below it, or refine the grid there.",
        )


def divergence_caution(where: str, surface: Surface, swept: str = "learning rate") -> Iterator[Caution]:
    """Return which finite losses of a sweep count as divergences, if any do."""
    at_LxS = np.isfinite(surface.recognised)
    if at_LxS.any():
        lowest = np.array(surface.learning_rates)[at_LxS.any(axis=1)].min()
        yield Caution(
            "finite_divergence",
            f"{where}: {at_LxS.sum()} trials from {swept} {lowest:.3g} up ended with losses of "
            f"{np.nanmin(surface.recognised):.3g} or more, far above what the smaller ones lead to. They count as "
            "diverged; report a diverged run as such.",
        )


def _bound_warnings(width: int, bound: Optimum, candidates: Candidates) -> Iterator[Caution]:
    """Return a warning if the other widths contradict the bound found at this one."""
    if bound.bound is None:
        return
    predicted, error = candidates.predict(width)[:2]
    excess = predicted - math.log2(bound.bound)
    excess = excess if bound.kind == "upper_bound" else -excess
    # Noise can move the lowest mean loss by a grid point, so a bound is only as sharp as the spacing.
    if excess > max(BOUND_ERRORS * error, bound.spacing):
        side = "above" if bound.kind == "upper_bound" else "below"
        yield Caution(
            "bound_inconsistent",
            f"Width {width}: the other widths predict a best learning rate of {2.0**predicted:.3g}, "
            f"{side} the bound {bound.bound:.3g} seen there; the chosen law may not hold.",
        )


def _listed(widths: Sequence[int]) -> str:
    return ", ".join(str(width) for width in widths)
