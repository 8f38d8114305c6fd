"""The coordinate check: do activations keep their size as the model grows, at init and as training moves them?

A parameterization keeps every pre-activation and its change by training O(1) in width; a wrong multiplier or a wrong
learning-rate exponent makes one of them a power of the width, long before it costs loss (Yang et al. 2022, 2203.03466,
appendix D.1). All sizes are RMS over a fixed probe batch. Multipliers are relative to the smallest width, which sets
levels and leaves slopes over width as they are.

What theory expects of the slopes (Everett et al. 2024, 2407.05872, section 2):

* outputs at init: 0 for embedding and hidden; ½ − a − b for the logits, that is 0 in SP and NTK, −½ in muP and MFP;
* changes by training: −r of the layer, 0 wherever features learn, and minus the exponent left over at the logits.

The logits of muP and MFP are therefore a transient: they start as n^(−½), while what training adds is O(1), so their
total goes from −½ to 0 within some steps. That is harmless and is not judged; the change is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from widthwise.alignment import parse
from widthwise.estimate.exponent import ExponentEstimate
from widthwise.estimate.readings import Readings, log_of, read
from widthwise.estimate.slopes import Slope
from widthwise.parameterization import init_exponents
from widthwise.plan import Caution
from widthwise.stability import solve
from widthwise.vocabulary import Role

# Exponents of the theory are multiples of ½, so a planted error moves a slope by ½ or more: the check tells a slope
# from its neighbours ±½, and what lies nearer than halfway is finite width.
NEIGHBOUR = 0.5
MARGIN = NEIGHBOUR / 2

TRANSIENT = (
    "The logits start as width^(-1/2) and training adds an O(1) part, so their total drifts from a slope of -0.5 to 0 "
    "within some steps. This transient belongs to muP and the mean-field parameterization and is harmless."
)


@dataclass(frozen=True)
class LayerCheck:
    """One size of one layer at one step."""

    layer: str
    role: str
    size: str  #: "output" | "output_change"
    step: int
    slope: Slope
    verdict: str  #: "width_independent" | "grows" | "shrinks" | "can't tell"
    expected: float | None  #: theory's slope; None where the size is shown and not judged
    outcome: str | None  #: "pass" | "fail" | "inconclusive"; None where it is not judged


@dataclass(frozen=True)
class CoordinateCheck:
    """What the coordinate check of a calibration found."""

    outcome: str  #: "pass" | "fail" | "inconclusive"
    reasons: tuple[str, ...]  #: in words, of that outcome
    notes: tuple[str, ...]  #: what else a reader of the slopes should know
    checks: tuple[LayerCheck, ...]
    widths: tuple[int, ...]
    warnings: tuple[Caution, ...]

    @property
    def exponents(self) -> tuple[ExponentEstimate, ...]:
        """None to store: the check is a verdict."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, all finite."""
        return {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "widths": list(self.widths),
            "layers": [
                {
                    "layer": check.layer,
                    "role": check.role,
                    "size": check.size,
                    "step": check.step,
                    "slope": check.slope.to_dict(),
                    "verdict": check.verdict,
                    "expected": check.expected,
                    "outcome": check.outcome,
                }
                for check in self.checks
            ],
        }


def verdict(slope: Slope, expected: float = 0.0) -> str:
    """Whether a size keeps to width^expected: "width_independent", "grows", "shrinks" or "can't tell".

    Width-independent: within MARGIN of `expected`, and the interval excludes the neighbours ±½. Growing and shrinking:
    beyond MARGIN, and the interval excludes `expected`. Without an interval nothing can be told.
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


OUTCOMES = {"width_independent": "pass", "grows": "fail", "shrinks": "fail", "can't tell": "inconclusive"}


def check_coordinates(spec: Mapping[str, Any], measurements: Sequence[Mapping[str, Any]]) -> CoordinateCheck | None:
    """Slopes over width of every layer's output and of its change, each step's verdict, and whether theory holds.

    Parameters
    ----------
    spec: a calibration's specification; read are `measure`, `parameterization`, `optimizer`, `alignment` and
        `readout_omega`.
    measurements: records of kind "coordinates", one for each width and seed; others are passed over.

    None where the specification does not ask for coordinates. Raises InvalidInputError for malformed records.
    """
    readings = read(spec, measurements, "coordinates")
    if readings is None:
        return None
    expected = _expected(spec)
    checks = []
    for step in readings.snapshots:
        for name in readings.names(step):
            role = next(iter(readings.snapshots[step].values()))[name]["role"]
            for size in ("output", "output_change"):
                slope = readings.slope(step, [name], log_of(size))
                if slope is None or (size == "output_change" and step == 0):  # rounding: nothing has moved
                    continue
                judged = size == "output_change" or step == 0
                theory = expected.get((size, role)) if judged else None
                outcome = None if theory is None else OUTCOMES[verdict(slope, theory)]
                checks.append(LayerCheck(name, role, size, step, slope, verdict(slope), theory, outcome))
    return _overall(spec, readings, tuple(checks))


def _expected(spec: Mapping[str, Any]) -> Mapping[tuple[str, str], float]:
    """Theory's slope of (size, role): of outputs at init, and of their change by training."""
    init = init_exponents(spec["parameterization"])
    alignment = parse(spec.get("alignment", "full"), spec.get("readout_omega"))
    program = solve(spec["parameterization"], spec["optimizer"], alignment)
    readout = init[Role.READOUT]
    expected = {
        ("output", Role.EMBEDDING.value): 0.0,
        ("output", Role.HIDDEN.value): 0.0,
        ("output", Role.READOUT.value): float(0.5 - readout.a - readout.b),
        ("output_change", Role.EMBEDDING.value): _zero(-program.r[0]),
        ("output_change", Role.HIDDEN.value): _zero(-program.r[-1]),
        ("output_change", Role.READOUT.value): _zero(-program.logits),
    }
    if spec.get("proxy", {}).get(
        "tied"
    ):  # one learning rate serves two uses, and the table may move too little for one
        del expected["output_change", Role.EMBEDDING.value]
    return expected


def _zero(value: float) -> float:
    """Free of the rounding that the linear program leaves."""
    return round(value, 9) + 0.0


def _overall(spec: Mapping[str, Any], readings: Readings, checks: tuple[LayerCheck, ...]) -> CoordinateCheck:
    """Fails if any judged size does; passes if all do."""
    judged = [check for check in checks if check.outcome is not None]
    failed = [check for check in judged if check.outcome == "fail"]
    unsure = [check for check in judged if check.outcome == "inconclusive"]
    reasons = []
    if failed:
        outcome = "fail"
        reasons = [_failure(name, size, failed) for name, size in dict.fromkeys((c.layer, c.size) for c in failed)]
    elif unsure or not judged:
        outcome = "inconclusive"
        reasons.append(
            f"{len(unsure)} of {len(judged)} slopes are too uncertain to tell from a neighbouring exponent"
            if judged
            else "nothing could be fitted"
        )
        reasons.append("an interval needs three widths; more widths and seeds make it narrower")
    else:
        outcome = "pass"
        reasons.append(
            f"all {len(judged)} slopes lie within {MARGIN} of what theory expects, and exclude 1/2 beyond it"
        )
    if readings.diverged:
        reasons.append("some runs diverged, and what came after is missing")
        outcome = "inconclusive" if outcome == "pass" else outcome
    starts_small = any(check.size == "output" and (check.expected or 0.0) < 0 for check in judged)
    warnings = [*readings.cautions()]
    if outcome == "fail":
        warnings.append(
            Caution(
                "coordinate_check_failed",
                f"Activations do not scale as theory has it for {spec['parameterization']}: {'; '.join(reasons)}.",
            )
        )
    return CoordinateCheck(
        outcome, tuple(reasons), (TRANSIENT,) if starts_small else (), checks, readings.widths, tuple(warnings)
    )


def _failure(name: str, size: str, failed: Sequence[LayerCheck]) -> str:
    """A failed size in words, at its worst step."""
    own = [check for check in failed if (check.layer, check.size) == (name, size)]
    worst = max(own, key=lambda check: abs(check.slope.value - (check.expected or 0.0)))
    what = "the output" if size == "output" else "the change of the output"
    when = "at init" if worst.step == 0 else f"after {worst.step} step(s)"
    return (
        f"{what} of {name} goes as width^{worst.slope.value:+.2f} {when} and theory expects "
        f"width^{worst.expected or 0.0:+.2g}"
    )
