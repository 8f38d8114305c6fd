"""The parts of a calibration's result: one row for each kind of measurement, in the order in results.

To add one, write a module with its fit and add a row here. A module is imported when it is first needed, since some
load scipy's linear programming.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.estimate.exponent import Part
from widthwise.estimate.widths import WidthOptimum
from widthwise.vocabulary import Measured


class Evidence(NamedTuple):
    """The data that a part may use for its fit."""

    spec: CalibrationSpec
    trials: Sequence[Trial]
    measurements: Sequence[Measurement]
    optima: Sequence[WidthOptimum]  #: of the base learning rate, at every width


class PartKind(NamedTuple):
    """One kind of measurement; its value is the part's name in a result."""

    kind: Measured
    fit: Callable[[Evidence], Part | None]


def _gamma(of: Evidence) -> Part | None:
    from widthwise.estimate.parts.gamma import fit_gamma

    return fit_gamma(of.spec, of.trials, of.optima)


def _horizon(of: Evidence) -> Part | None:
    from widthwise.estimate.parts.horizon import fit_horizon

    return fit_horizon(of.spec, of.trials)


def _gradients(of: Evidence) -> Part | None:
    from widthwise.estimate.parts.gradients import fit_gradients

    return fit_gradients(of.spec, of.measurements)


def _alignment(of: Evidence) -> Part | None:
    from widthwise.estimate.parts.alignments import fit_alignment

    return fit_alignment(of.spec, of.measurements)


def _coordinates(of: Evidence) -> Part | None:
    from widthwise.estimate.parts.coordinates import check_coordinates

    return check_coordinates(of.spec, of.measurements)


PARTS: tuple[PartKind, ...] = (
    PartKind(Measured.GAMMA, _gamma),
    PartKind(Measured.HORIZON, _horizon),
    PartKind(Measured.EPSILON, _gradients),
    PartKind(Measured.ALIGNMENT, _alignment),
    PartKind(Measured.COORDINATES, _coordinates),
)


def fit_parts(evidence: Evidence, parts: Sequence[PartKind] = PARTS) -> dict[str, Part]:
    """Fit every part that the specification asks for; return them by name."""
    asked = {part.kind.value: part.fit(evidence) for part in parts if part.kind in evidence.spec.measure}
    return {name: found for name, found in asked.items() if found is not None}
