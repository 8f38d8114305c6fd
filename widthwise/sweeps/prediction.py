"""The best learning rate of a cell that need not have been run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from widthwise.caution import Caution
from widthwise.estimate.mixture import Mixture, mixture
from widthwise.estimate.shape import CurveShape
from widthwise.laws import PublishedRate
from widthwise.sweeps.law import OFFSET
from widthwise.sweeps.posterior import Component, SweepData

Place = Mapping[str, float | str]
HALF_OCTAVE = math.sqrt(2)


@dataclass(frozen=True)
class SweepPrediction:
    """The best learning rate at a place on the axes."""

    axes: Place
    learning_rate: float
    interval: tuple[float, float]  #: 95 %, of the cell's optimum: law, residual and scatter
    law_interval: tuple[float, float]  #: 95 %, of law and residual, about which single cells scatter
    expected_regret: float  #: nats that training at `learning_rate` loses to the cell's optimum, on average
    warnings: tuple[Caution, ...]
    published: tuple[PublishedRate, ...] = ()  #: what published laws say here, whether they hold or not

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            **asdict(self),
            "warnings": [caution._asdict() for caution in self.warnings],
            "published": [one.to_dict() for one in self.published],
        }


def predicted(
    place: Place, shape: CurveShape, data: SweepData, components: Sequence[Component], warnings: tuple[Caution, ...]
) -> SweepPrediction:
    """Return the prediction at a place."""
    law = _law_at(place, data, components)
    cell = Mixture(law.weights, law.centres, law.variances + [component.omega**2 for component in components])
    x = cell.mean
    regret = sum(
        weight * shape.excess(x - centre, variance)
        for weight, centre, variance in zip(cell.weights, cell.centres, cell.variances, strict=True)
    )
    (low, high), (law_low, law_high) = cell.interval, law.interval
    return SweepPrediction(place, 2.0**x, (2.0**low, 2.0**high), (2.0**law_low, 2.0**law_high), float(regret), warnings)


def _law_at(place: Place, data: SweepData, components: Sequence[Component]) -> Mixture:
    """Return f at a place: mean and variance in each component."""
    at = data.law.at([place])
    feature_1xR, left_1 = data.features.at([place])
    unknown = data.law.unknown_levels(place) * OFFSET[1] ** 2
    centres, variances = [], []
    for one in components:
        mean_1, jacobian_1xT = at(one.theta)
        row = one.row(jacobian_1xT[0], feature_1xR[0])
        centres.append(float(mean_1[0] + one.alpha * feature_1xR[0] @ one.nu))
        variances.append(float(row @ one.covariance @ row + one.alpha**2 * left_1[0] + unknown))
    return mixture([one.weight for one in components], centres, variances)


def exponent_at(name: str, place: Place, data: SweepData, components: Sequence[Component]) -> Mixture:
    """Return the law's exponent over one axis at a place: its rise over the octave around it."""
    value = float(place[name])
    ends = data.law.at([{**place, name: value / HALF_OCTAVE}, {**place, name: value * HALF_OCTAVE}])
    centres, variances = [], []
    for one in components:
        (low, high), jacobian_2xT = ends(one.theta)
        row_T = jacobian_2xT[1] - jacobian_2xT[0]
        covariance_TxT = one.covariance[: row_T.size, : row_T.size]
        centres.append(float(high - low))
        variances.append(float(row_T @ covariance_TxT @ row_T))
    return mixture([one.weight for one in components], centres, variances)
