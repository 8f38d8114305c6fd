"""What is believed of the optimum of every place before the next run is chosen: from a fit, or from nothing."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from widthwise.estimate.information import JointPrior
from widthwise.estimate.shape import CurveShape
from widthwise.sweeps.cell import Floats, SweepCell
from widthwise.sweeps.fit import SweepFit
from widthwise.sweeps.law import Law, law_over
from widthwise.sweeps.learning import learn_shape
from widthwise.sweeps.planned import Axes, same_place
from widthwise.sweeps.residual import correlation

SPREAD_OF_INTERVAL = 2 * 1.96  # standard deviations in a 95 % interval
LEAST_WEIGHT = 0.02  # of a component that takes part in planning (chosen): the others move no choice
NO_RUNS = ((0.15, 0.15),)  # octaves, (α, ω) without a fit: those of public sweeps
UNSEEN_CURVATURE = 1.0  # ν without a fit: how little of log κ is known, the prior of k₀
PART_OF_RANGE = 0.25  # of the rates' range: the spread of an optimum of which nothing is known (chosen)


@dataclass(frozen=True)
class Belief:
    """The present distribution of the optimum at every place, and how the places go together."""

    centre: Floats  #: (P,), log2 of the learning rate
    spread: Floats  #: (P,), octaves
    loss: Floats  #: (P,), near the lowest of each cell
    shape: CurveShape
    priors: tuple[JointPrior, ...]


def belief_from(fit: SweepFit, places: Sequence[Axes], prescribed: Collection[str]) -> Belief:
    """Return what a fit says of some places."""
    optima = [_optimum(fit, place) for place in places]
    lowest = {index: float(cell.losses.min()) for index, cell in enumerate(fit.cells) if cell.x.size}
    middle = float(np.median(list(lowest.values())))
    loss = [lowest.get(_found(fit, place), middle) for place in places]
    pairs = [(one.weight, one.alpha, one.omega) for one in fit.components if one.weight > LEAST_WEIGHT]
    known = {estimate.name: estimate.value for estimate in fit.law}
    empty = [_empty(place) for place in places if _found(fit, place) < 0]
    law = law_over([*fit.cells, *empty], prescribed)
    return Belief(
        np.array([centre for centre, _ in optima]),
        np.array([spread for _, spread in optima]),
        np.array(loss),
        fit.shape,
        _priors(law, places, np.array([known.get(term.name, term.mean) for term in law.terms]), pairs),
    )


def belief_before(
    places: Sequence[Axes], rates: tuple[float, float], prescribed: Collection[str], walls: Collection[float]
) -> Belief:
    """Return what is believed before any run has a loss.

    rates: log2 of the lowest and the highest rate. walls: log2 of rates that diverged. A divergence at one place lowers
    what is expected at all others.
    """
    low, high = rates[0], min([rates[1], *walls])
    middle, spread = (low + high) / 2, max(PART_OF_RANGE * (high - low), 0.5)
    first = SweepCell(places[0], np.array([middle]), np.ones(1), np.ones(1), None, None)
    law = law_over([first, *(_empty(place) for place in places[1:])], prescribed)
    count = len(places)
    pairs = [(1 / len(NO_RUNS), alpha, omega) for alpha, omega in NO_RUNS]
    return Belief(
        np.full(count, middle),
        np.full(count, spread),
        np.ones(count),
        replace(learn_shape([]), curvature_spread=UNSEEN_CURVATURE),
        _priors(law, places, law.prior_mean, pairs),
    )


def _priors(
    law: Law, places: Sequence[Axes], theta: Floats, pairs: Sequence[tuple[float, float, float]]
) -> tuple[JointPrior, ...]:
    """Return K for each (weight, α, ω)."""
    design_PxT = law.at(places)(theta)[1]
    by_law = (design_PxT * law.prior_sd**2) @ design_PxT.T
    residual, scatter = correlation(places, places), np.eye(len(places))
    total = sum(weight for weight, _, _ in pairs)
    return tuple(
        JointPrior(weight / total, by_law + alpha**2 * residual + omega**2 * scatter) for weight, alpha, omega in pairs
    )


def _found(fit: SweepFit, place: Axes) -> int:
    """Return which cell of a fit a place is, -1 if none."""
    return next((index for index, cell in enumerate(fit.cells) if same_place(cell.axes, place)), -1)


def _optimum(fit: SweepFit, place: Axes) -> tuple[float, float]:
    """Return centre and spread of the optimum at a place, from its own runs if it has any."""
    index = _found(fit, place)
    found = fit.optima[index] if index >= 0 else fit.predict(**place)
    low, high = found.interval
    return math.log2(found.learning_rate), math.log2(high / low) / SPREAD_OF_INTERVAL


def _empty(place: Axes) -> SweepCell:
    nothing = np.zeros(0)
    return SweepCell(place, nothing, nothing, nothing, None, None)
