"""The parameters of the law as the data left them, next to their priors."""

from collections.abc import Sequence
from dataclasses import dataclass

from widthwise.estimate.mixture import Mixture, mixture
from widthwise.sweeps.law import LawTerm
from widthwise.sweeps.posterior import Component, SweepData


@dataclass(frozen=True)
class LawEstimate:
    """One parameter of the law."""

    name: str  #: an axis with its exponent, "group=level" with its offset in octaves, "batch_exponent" …
    value: float
    interval: tuple[float, float]  #: 95 %
    prior: LawTerm
    learnt: float  #: share of the prior's variance that the data removed: 0 is all prior, 1 all data


def law_estimates(data: SweepData, components: Sequence[Component]) -> tuple[LawEstimate, ...]:
    """Return every parameter of the law, in the order of θ."""
    return tuple(_estimate(index, term, components) for index, term in enumerate(data.law.terms))


def _estimate(index: int, term: LawTerm, components: Sequence[Component]) -> LawEstimate:
    found = parameter(index, components)
    learnt = max(1 - found.variance / term.standard_deviation**2, 0.0)
    return LawEstimate(term.name, found.mean, found.interval, term, learnt)


def parameter(index: int, components: Sequence[Component]) -> Mixture:
    """Return the distribution of one parameter of θ."""
    return mixture(
        [one.weight for one in components],
        [float(one.theta[index]) for one in components],
        [float(one.covariance[index, index]) for one in components],
    )
