"""The coordinate check: do activations keep their size as the model grows, at init and during training?

A parameterization keeps every pre-activation and its change by training O(1) in width; a wrong multiplier or a wrong
learning-rate exponent makes one of them a power of the width, long before it costs loss (Yang et al. 2022, 2203.03466,
appendix D.1). All sizes are RMS over a fixed probe batch. Multipliers are relative to the smallest width, which changes
levels but not slopes over width.

The slopes that theory expects (Everett et al. 2024, 2407.05872, section 2):

* outputs at init: 0 for embedding and hidden; ½ − a − b for the logits, which is 0 in SP and NTK, −½ in muP and MFP;
* changes by training: −r of the layer, which is 0 wherever features learn, and minus the exponent left at the logits.

Growth and shrinking are treated differently. Growth at any step breaks stability and fails. A shrinking change is
stable: an alignment below the declared one (say, α = 0.8) makes changes shrink as n^(α−1) although nothing is wrong, so
only the mean over the steps counts there, and only close to −½.

The logits of muP and MFP are a transient: they start as n^(−½), as does the part of their first changes that passes
through the initial readout, while the part that training adds is O(1); their slopes go from −½ to 0 within some steps.
That is harmless: totals after init are shown but not judged. If the mean over the steps of a change is as small as an
error's there, its last step decides: an error's slope stays, a transient's rises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement
from widthwise.caution import Caution
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.readings import Readings, log_of, read
from widthwise.estimate.slopes import Slope
from widthwise.theory.alignment import Alignment
from widthwise.theory.parameterization import init_exponents
from widthwise.theory.stability import solve
from widthwise.vocabulary import Measured, Optimizer, Parameterization, Role

# Exponents of the theory are multiples of ½, so an error moves a slope by ½ or more: the check distinguishes a slope
# from its neighbours ±½, and deviations of less than half that are finite width.
NEIGHBOUR = 0.5
MARGIN = NEIGHBOUR / 2
# Measured: correct transformers show changes down to width^(−0.30) (benchmarks/measured_exponents.py), errors −0.5.
SHRINKING = 0.375

TRANSIENT = (
    "The logits, and the part of their first changes that passes through the initial readout, start as width^(-1/2), "
    "and training adds an O(1) part: their slopes drift from -0.5 to 0 within some steps. This transient is typical of "
    "muP and the mean-field parameterization and is harmless."
)


@dataclass(frozen=True)
class SizeAtStep:
    """One size of one layer at one step, not judged."""

    layer: str
    role: str
    size: str  #: "output" | "output_change"
    step: int
    slope: Slope
    verdict: str  #: "width_independent" | "grows" | "shrinks" | "can't tell"


@dataclass(frozen=True)
class Judgement:
    """One size of one layer compared with theory."""

    layer: str
    role: str
    size: str  #: "output", at init | "output_change", over all steps
    step: int | None  #: of `slope`; None: the mean over the steps
    slope: Slope
    expected: float  #: theory's slope
    outcome: str  #: "pass" | "fail" | "inconclusive"

    def in_words(self) -> str:
        """Return the slope and theory's, as text."""
        what = "the output" if self.size == "output" else "the change of the output"
        when = "over the steps" if self.step is None else f"after {self.step} step(s)" if self.step else "at init"
        return (
            f"{what} of {self.layer} is proportional to width^{self.slope.value:+.2f} {when}, but theory expects "
            f"width^{self.expected:+.2g}"
        )


@dataclass(frozen=True)
class CoordinateCheck:
    """The result of a calibration's coordinate check."""

    outcome: str  #: "pass" | "fail" | "inconclusive"
    reasons: tuple[str, ...]  #: for that outcome, in words
    notes: tuple[str, ...]  #: notes for readers of the slopes
    judgements: tuple[Judgement, ...]
    sizes: tuple[SizeAtStep, ...]
    widths: tuple[int, ...]
    warnings: tuple[Caution, ...]

    @property
    def exponents(self) -> tuple[ExponentEstimate, ...]:
        """Empty: the check has a verdict and no exponents."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values, all finite."""
        return {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "widths": list(self.widths),
            "judgements": [{**vars(found), "slope": found.slope.to_dict()} for found in self.judgements],
            "sizes": [{**vars(found), "slope": found.slope.to_dict()} for found in self.sizes],
        }


def verdict(slope: Slope, expected: float = 0.0) -> str:
    """Judge whether a size follows width^expected: "width_independent", "grows", "shrinks" or "can't tell".

    Width-independent: within MARGIN of `expected`, and the interval excludes the neighbours ±½. Growing and shrinking:
    beyond MARGIN, and the interval excludes `expected`. Without an interval it can't tell.
    """
    if slope.interval is None:
        return "can't tell"
    low, value, high = (bound - expected for bound in (slope.interval[0], slope.value, slope.interval[1]))
    if abs(value) <= MARGIN and low > -NEIGHBOUR and high < NEIGHBOUR:
        return "width_independent"
    if value > MARGIN and low > 0:
        return "grows"
    if value < -MARGIN and high < 0:
        return "shrinks"
    return "can't tell"


def check_coordinates(spec: CalibrationSpec, measurements: Sequence[Measurement]) -> CoordinateCheck | None:
    """Fit slopes over width of every layer's output and its change, judge each step, and say whether theory holds.

    Parameters
    ----------
    spec: a calibration's specification; its fields `measure`, `parameterization`, `optimizer`, `alignment` and
        `readout_omega` are used.
    measurements: records of kind "coordinates", one per width and seed; others are ignored.

    Returns None if the specification does not ask for coordinates. Raises InvalidInputError for malformed records.
    """
    readings = read(spec, measurements, Measured.COORDINATES)
    if readings is None:
        return None
    expected = expected_slopes(spec.parameterization, spec.optimizer, spec.parsed_alignment, tied=spec.proxy.tied)
    return judge(readings, spec.parameterization, expected)


def judge(
    readings: Readings, parameterization: Parameterization, expected: Mapping[tuple[str, str], float]
) -> CoordinateCheck:
    """Fit slopes over width of every layer in some readings, whatever measured them, and say whether theory holds.

    expected: as `expected_slopes` returns it; a layer of any other role is fitted and not judged.
    """
    steps = list(readings.snapshots)
    sizes = tuple(
        SizeAtStep(name, role, size, step, slope, verdict(slope))
        for step in steps
        for name, role in _layers(readings, [step]).items()
        for size in ("output", "output_change")
        # at init nothing has moved; any change is rounding
        if not (size == "output_change" and step == 0)
        and (slope := readings.slope([step], [name], log_of(size))) is not None
    )
    judgements = []
    for name, role in _layers(readings, steps).items():
        start = [entry for entry in sizes if (entry.layer, entry.size, entry.step) == (name, "output", 0)]
        changes = [entry for entry in sizes if (entry.layer, entry.size) == (name, "output_change")]
        mean = readings.slope([entry.step for entry in changes], [name], log_of("output_change")) if changes else None
        if start and (theory := expected.get(("output", role))) is not None:
            judgements.append(_start(start[0], theory))
        if mean is not None and (theory := expected.get(("output_change", role))) is not None:
            judgements.append(_change(changes, mean, theory, starts_small=expected.get(("output", role), 0.0) < 0))
    return _overall(parameterization, readings, tuple(judgements), sizes)


def _layers(readings: Readings, steps: Sequence[int]) -> dict[str, str]:
    """Return the role by name of every layer that all runs recorded at one of these steps."""
    return {
        name: next(iter(readings.snapshots[step].values()))[name]["role"]
        for step in steps
        for name in readings.names(step)
    }


def _start(entry: SizeAtStep, expected: float) -> Judgement:
    """Judge the output at init, for which theory fixes both bounds."""
    found = verdict(entry.slope, expected)
    outcome = {"width_independent": "pass", "can't tell": "inconclusive"}.get(found, "fail")
    return Judgement(entry.layer, entry.role, "output", 0, entry.slope, expected, outcome)


def _change(changes: Sequence[SizeAtStep], mean: Slope, expected: float, *, starts_small: bool) -> Judgement:
    """Judge the change by training: it must not grow at any step, nor shrink overall as with a wrong exponent."""
    layer, role = changes[0].layer, changes[0].role
    growing = [entry for entry in changes if verdict(entry.slope, expected) == "grows"]
    if growing:
        worst = max(growing, key=lambda entry: entry.slope.value)
        return Judgement(layer, role, "output_change", worst.step, worst.slope, expected, "fail")
    outcome = _shrinking(mean, expected)
    if outcome == "fail" and starts_small:
        last = changes[-1]
        at_the_end = _shrinking(last.slope, expected)
        if at_the_end != "fail" and last.slope.interval is not None:
            is_over = last.slope.interval[0] - expected > -NEIGHBOUR
            found = at_the_end if is_over else "inconclusive"
            return Judgement(layer, role, "output_change", last.step, last.slope, expected, found)
    return Judgement(layer, role, "output_change", None, mean, expected, outcome)


def _shrinking(slope: Slope, expected: float) -> str:
    """Judge a slope that does not grow: "fail" if it shrinks as with a wrong exponent, "pass" if that is excluded."""
    if slope.interval is None:
        return "inconclusive"
    low, value, high = (bound - expected for bound in (slope.interval[0], slope.value, slope.interval[1]))
    if value < -SHRINKING and high < 0:
        return "fail"
    return "pass" if -SHRINKING <= value <= MARGIN and low > -2 * SHRINKING and high < NEIGHBOUR else "inconclusive"


def expected_slopes(
    parameterization: Parameterization, optimizer: Optimizer, alignment: Alignment, *, tied: bool = False
) -> dict[tuple[str, str], float]:
    """Return theory's slopes by (size, role): of outputs at init, and of their change by training.

    tied: the readout uses the embedding table. One learning rate then serves two uses, and the table may move too
    little for one of them, so that nothing is expected of it.
    """
    init = init_exponents(parameterization)
    program = solve(parameterization, optimizer, alignment)
    readout = init[Role.READOUT]
    expected = {
        ("output", Role.EMBEDDING.value): 0.0,
        ("output", Role.HIDDEN.value): 0.0,
        ("output", Role.READOUT.value): float(0.5 - readout.a - readout.b),
        ("output_change", Role.EMBEDDING.value): _zero(-program.r[0]),
        ("output_change", Role.HIDDEN.value): _zero(-program.r[-1]),
        ("output_change", Role.READOUT.value): _zero(-program.logits),
    }
    if tied:
        del expected["output_change", Role.EMBEDDING.value]
    return expected


def _zero(value: float) -> float:
    """Remove the rounding errors of the linear program."""
    return round(value, 9) + 0.0


def _overall(
    parameterization: Parameterization,
    readings: Readings,
    judgements: tuple[Judgement, ...],
    sizes: tuple[SizeAtStep, ...],
) -> CoordinateCheck:
    """Return the outcome: fail if any judged size fails, pass if all pass."""
    failed = [found for found in judgements if found.outcome == "fail"]
    unsure = [found for found in judgements if found.outcome == "inconclusive"]
    warnings = readings.cautions()
    if failed:
        outcome, reasons = "fail", [found.in_words() for found in failed]
        warnings.append(
            Caution(
                "coordinate_check_failed",
                f"Activations do not scale as theory predicts for {parameterization}: {'; '.join(reasons)}.",
            )
        )
    elif unsure or not judgements:
        outcome = "inconclusive"
        reasons = [
            f"{len(unsure)} of {len(judgements)} slopes are too uncertain to tell from a neighbouring exponent"
            if judgements
            else "nothing could be fitted",
            "an interval needs three widths; more widths and seeds make it narrower",
        ]
    else:
        outcome = "pass"
        reasons = [f"all {len(judgements)} slopes agree with theory, and none with an exponent that is 1/2 away"]
    if readings.diverged:
        reasons.append("some runs diverged, and their later steps are missing")
        outcome = "inconclusive" if outcome == "pass" else outcome
    starts_small = any(found.size == "output" and found.expected < 0 for found in judgements)
    return CoordinateCheck(
        outcome,
        tuple(reasons),
        (TRANSIENT,) if starts_small else (),
        judgements,
        sizes,
        readings.widths,
        tuple(warnings),
    )
