"""What is known of the optimum at every width and at the target, and what more runs would leave of the doubt.

The laws over widths are those of the fit (`estimate.candidate`), the scatter ω of optima about them included. Each law
and ω is a normal distribution of all optima together; their mixture has the covariance

    C = Σ p·(C_p + d_p·d_pᵀ),    d_p = the law's optima minus the mean of all laws

A run is judged by how much it lowers the target's variance under one normal distribution with this covariance (linear
Bayes: no estimate does worse than that on average). So a run counts for what it says under each law, and for what it
says about which law is true.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from widthwise.estimate.calibration import CalibrationResult, errors_of
from widthwise.estimate.candidate import PRIOR_SCALES, regressor
from widthwise.estimate.information import (
    QUANTILES,
    CurveInformation,
    JointPrior,
    TargetVariance,
    covariance_after,
    curve_information,
)
from widthwise.estimate.optimum import Optimum
from widthwise.estimate.scatter import OMEGA_G, PRIOR_G
from widthwise.estimate.shape import CurveShape, Floats
from widthwise.search.telescope import WINDOW

LEVEL = 4.0  # octaves, standard deviation of the optimum's prior at the base width (chosen): wider than any grid
FREE = 3.0  # standard deviation of log κ (chosen): a width's parabola has a curvature to itself
NO_SKEW = 1e-3  # of the skew about 0: a parabola has none
CURVATURE, NOISE = 0.03, 0.007  # nats an octave² and nats, before an optimum says: the MLP at 200 steps (telescope)
ROUNDED = 0.02  # octaves beyond the window, for rates of two digits


@dataclass(frozen=True)
class Outlook:
    """The optima of several places together, after the runs so far: the widths, ascending, and the target."""

    widths: tuple[int, ...]
    centre: Floats  #: (P,), log2 of the best base learning rate
    covariance: Floats  #: (P, P), octaves²
    target: int  #: which place is the target
    shape: CurveShape  #: of the curves of all widths
    noise: float  #: variance of one run's loss, nats²

    @cached_property
    def variance(self) -> TargetVariance:
        """The target's variance, and what information about any place would leave of it."""
        covariance = self.covariance
        return TargetVariance(
            np.ones(1),
            covariance[self.target, self.target][None],
            covariance[self.target][None],
            np.diag(covariance)[None],
        )

    def curves(self, place: int, x_L: Floats) -> CurveInformation:
        """Return what runs at these log2 rates of a width say about its optimum."""
        optimum_G = self.centre[place] + math.sqrt(self.covariance[place, place]) * QUANTILES
        return _curves(x_L, optimum_G, self.shape, self.noise)

    def after(self, place: int, information: float) -> "Outlook":
        """Return the outlook with so much more information about one place."""
        shared_P = self.covariance[place]
        lower = information * np.outer(shared_P, shared_P) / (1 + information * shared_P[place])
        return Outlook(self.widths, self.centre, self.covariance - lower, self.target, self.shape, self.noise)


def outlook(
    result: CalibrationResult, widths: Sequence[int], target: float, counts: Mapping[int, Mapping[float, int]]
) -> Outlook:
    """Return what a fit says of the optima at `widths` and at the target width; it needs one optimum.

    counts: how many runs have a loss at each learning rate of a width.
    """
    known = {
        entry.width: entry.optimum
        for entry in result.optima
        if entry.optimum is not None and entry.optimum.standard_error is not None
    }
    places = [*widths, *(() if target in widths else (target,))]
    base = min(places)
    ratio_P = np.array(places) / base
    error_W, _ = errors_of(list(known.values()))
    y_P, information_P = np.zeros(len(places)), np.zeros(len(places))
    theory = 0.0 if result.candidates is None else result.candidates.chosen.theory_drift
    for (width, optimum), error in zip(known.items(), error_W, strict=True):
        at = places.index(width)
        y_P[at] = optimum.log2_learning_rate + theory * math.log2(width / base)
        information_P[at] = error**-2
    level = float(information_P @ y_P / information_P.sum())
    centre_M, covariance_M, weight_M = [], [], []
    for prior in _priors(result, ratio_P):
        covariance = covariance_after(prior, information_P)
        weight_M.append(prior.weight)
        covariance_M.append(covariance)
        centre_M.append(level + covariance @ (information_P * (y_P - level)))
    centre_P = np.average(centre_M, axis=0, weights=weight_M)
    apart_MxP = np.array(centre_M) - centre_P
    within_and_between = np.array(covariance_M) + apart_MxP[:, :, None] * apart_MxP[:, None, :]
    covariance_PxP = np.average(within_and_between, axis=0, weights=weight_M)
    shape, noise = _learnt(list(zip(known.values(), error_W, (counts[width] for width in known), strict=True)))
    fall_P = theory * np.log2(ratio_P)
    return Outlook(tuple(widths), centre_P - fall_P, np.asarray(covariance_PxP), places.index(target), shape, noise)


def _priors(result: CalibrationResult, ratio_P: Floats) -> Iterator[JointPrior]:
    """Yield K of each law and scatter with its weight; both laws with a slope until widths weigh them."""
    candidates = result.candidates
    fitted = (
        () if candidates is None or len(candidates.all) == 1 else zip(candidates.all, candidates.weights, strict=True)
    )
    laws = [(one.name, weight, one.fit.probabilities) for one, weight in fitted if weight > 0]
    for name, weight, probability_G in laws or [("shift", 0.5, PRIOR_G), ("power", 0.5, PRIOR_G)]:
        h_P = PRIOR_SCALES[name] * regressor(name, ratio_P)
        law = LEVEL**2 + np.outer(h_P, h_P)
        for probability, omega in zip(probability_G, OMEGA_G, strict=True):
            yield JointPrior(weight * float(probability), law + omega**2 * np.eye(ratio_P.size))


def _learnt(found: Sequence[tuple[Optimum, float, Mapping[float, int]]]) -> tuple[CurveShape, float]:
    """Return the curvature that the optima have in common, and the noise that explains their errors."""
    curved = [
        (one, error, counts) for one, error, counts in found if one.curvature is not None and one.degrees_of_freedom
    ]
    if not curved:
        return CurveShape(NOISE, 0.0, 0.0, CURVATURE, FREE, NO_SKEW), NOISE**2
    kappa = math.exp(float(np.mean([math.log(one.curvature or CURVATURE) for one, _, _ in curved])))
    unit = CurveShape(1.0, 0.0, 0.0, kappa, FREE, NO_SKEW)
    noises = []
    for one, error, counts in curved:
        near = {math.log2(rate): n for rate, n in counts.items() if is_near(math.log2(rate), one.log2_learning_rate)}
        if len(near) > 2:
            x_L, n_1xL = np.array(list(near)), np.array([list(near.values())], dtype=np.float64)
            about = _curves(x_L, np.array([one.log2_learning_rate]), unit, 1.0).about_optimum(n_1xL)
            noises.append(float(error**2 * about[0, 0]))
    noise = float(np.mean(noises)) if noises else NOISE**2
    return CurveShape(math.sqrt(noise), 0.0, 0.0, kappa, FREE, NO_SKEW), noise


def is_near(x: float, centre: float) -> bool:
    """Return whether a log2 learning rate is in the window of a parabola around an optimum."""
    return abs(x - centre) <= WINDOW + ROUNDED


def _curves(x_L: Floats, optimum_G: Floats, shape: CurveShape, noise: float) -> CurveInformation:
    return curve_information(x_L, optimum_G, shape, noise=noise, lost=math.inf)
