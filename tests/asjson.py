"""The library's search, fits and pictures on JSON as it is stored, for tests that write specifications and trials so.

A specification may be as short as a test needs: what is missing has its default; the widths are those of the trials.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from widthwise import estimate
from widthwise.calibration import cost
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.estimate.parts import alignments, coordinates, gamma, gradients, horizon
from widthwise.figures import sweep, widths
from widthwise.figures.figure import Figure
from widthwise.search import rounds

Json = Mapping[str, Any]


def spec_of(spec: Json, outcomes: Iterable[Json] = ()) -> CalibrationSpec:
    """The specification, with the widths of its outcomes unless it names some."""
    found = sorted({outcome["width"] for outcome in outcomes}) or [64]
    return CalibrationSpec.from_dict({"parameterization": "standard", "optimizer": "adam", "widths": found, **spec})


def trials_of(trials: Iterable[Json]) -> list[Trial]:
    """The trials."""
    return [Trial.from_dict(trial, f"trials.{index}") for index, trial in enumerate(trials)]


def measurements_of(measurements: Iterable[Json]) -> list[Measurement]:
    """The measurements; one that is only counted may lack its data."""
    return [Measurement.from_dict({"data": {}, **one}, f"measurements.{k}") for k, one in enumerate(measurements)]


def next_round(spec: Json, trials: Sequence[Json], measurements: Sequence[Json] = ()) -> list[dict[str, Any]]:
    """`rounds.next_round`."""
    planned = rounds.next_round(spec_of(spec), trials_of(trials), measurements_of(measurements))
    return [shard.to_dict() for shard in planned]


def outline(spec: Json) -> list[dict[str, Any]]:
    """`rounds.outline`."""
    return [shard.to_dict() for shard in rounds.outline(spec_of(spec))]


def fit_calibration(
    spec: Json, trials: Sequence[Json], measurements: Sequence[Json] = ()
) -> estimate.CalibrationResult:
    """`estimate.fit_calibration`."""
    return estimate.fit_calibration(spec_of(spec, trials), trials_of(trials), measurements_of(measurements))


def fit_optima(trials: Sequence[Json]) -> tuple[estimate.WidthOptimum, ...]:
    """`estimate.fit_optima`."""
    return estimate.fit_optima(trials_of(trials))


def surfaces_by_width(trials: Sequence[Json]) -> Any:
    """`estimate.surfaces_by_width`."""
    return estimate.surfaces_by_width(trials_of(trials))


def fit_gamma(spec: Json, trials: Sequence[Json], optima: Sequence[estimate.WidthOptimum]) -> gamma.GammaResult | None:
    """`gamma.fit_gamma`."""
    return gamma.fit_gamma(spec_of(spec, trials), trials_of(trials), optima)


def gamma_roles(spec: Json) -> Any:
    """`gamma.gamma_roles`."""
    return gamma.gamma_roles(spec_of(spec))


def next_gammas(trials: Sequence[Json], width: int, role: str, learning_rate: float) -> tuple[float, ...]:
    """`gamma.next_gammas`."""
    return gamma.next_gammas(trials_of(trials), width, role, learning_rate)


def fit_horizon(spec: Json, trials: Sequence[Json]) -> horizon.HorizonResult | None:
    """`horizon.fit_horizon`."""
    return horizon.fit_horizon(spec_of(spec, trials), trials_of(trials))


def fit_gradients(spec: Json, measurements: Sequence[Json]) -> gradients.GradientPart | None:
    """`gradients.fit_gradients`."""
    return gradients.fit_gradients(spec_of(spec, measurements), measurements_of(measurements))


def fit_alignment(spec: Json, measurements: Sequence[Json]) -> alignments.AlignmentPart | None:
    """`alignments.fit_alignment`."""
    return alignments.fit_alignment(spec_of(spec, measurements), measurements_of(measurements))


def check_coordinates(spec: Json, measurements: Sequence[Json]) -> coordinates.CoordinateCheck | None:
    """`coordinates.check_coordinates`."""
    return coordinates.check_coordinates(spec_of(spec, measurements), measurements_of(measurements))


def run_flops(spec: Json, width: int, **options: Any) -> float:
    """`cost.run_flops`."""
    return cost.run_flops(spec_of(spec), width, **options)


def learning_rate_plot(spec: Json, trials: Sequence[Json], result: Json | None = None) -> Figure:
    """`sweep.learning_rate_plot`."""
    return sweep.learning_rate_plot(spec_of(spec, trials), trials_of(trials), result)


def width_plot(spec: Json, trials: Sequence[Json]) -> Figure:
    """`widths.width_plot`."""
    return widths.width_plot(spec_of(spec, trials), trials_of(trials))
