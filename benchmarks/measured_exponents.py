"""Are gradient exponents, alignment and activations what theory says? Measured, with planted errors, on one core.

    python -m benchmarks.measured_exponents [--dry]

Gradients at init of all four parameterizations on both proxies; alignment through training, with the learning-rate
exponents that the linear program gives for it; the coordinate check on right prescriptions and on wrong ones.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks.record import arguments, write_result
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement
from widthwise.estimate.parts.alignments import AlignmentPart, fit_alignment
from widthwise.estimate.parts.coordinates import CoordinateCheck, check_coordinates
from widthwise.estimate.parts.gradients import GradientPart, fit_gradients
from widthwise.vocabulary import Measured
from workers.child import SINGLE_THREADED

if TYPE_CHECKING:
    from workers.engine.prescription import Prescription

PARAMETERIZATIONS = ("standard", "ntk", "mup", "mean_field")
TOLERANCE = 0.05  # of a gradient exponent at init
PROXIES: dict[str, dict[str, Any]] = {
    "mlp": {"architecture": "mlp", "depth": 2, "sequence_length": 8, "batch_size": 256},
    "transformer": {"architecture": "transformer", "depth": 2, "sequence_length": 32, "batch_size": 8},
}
GRADIENT_WIDTHS = (64, 128, 256, 512)
GRADIENT_SEEDS = {"mlp": 12, "transformer": 6}  # a gradient each: more where they are cheap
RUN_WIDTHS = {"mlp": (32, 64, 128, 256), "transformer": (32, 64, 128)}
RUN_SEEDS = (10, 11)  # not 0 and 1: the margins of the coordinate check were set on runs of those
RUN_STEPS = 32
# base learning rates: near the optimum of widthwise/theory/optimizers.py at the smallest width
LEARNING_RATES = {"mlp": 2.0**-6, "transformer": 2.0**-6}

Change = Callable[["Prescription"], "Prescription"]


@dataclass(frozen=True)
class Case:
    """A prescription, perhaps spoilt, and what it is taken for."""

    name: str
    trained: Mapping[str, Any]  #: what of the specification the runs follow
    judged: Mapping[str, Any]  #: what the check is told
    spoil: Change = lambda prescription: prescription


def without(field: str, *names: str) -> Change:
    """Leaves a quantity as at the base width: of the tensors named, or of all that are neither first nor last."""

    def change(prescription: "Prescription") -> "Prescription":
        values = getattr(prescription, field)
        spoilt = names or [name for name in values if name not in ("embedding", "readout")]
        changed: dict[str, Any] = {field: {**values, **dict.fromkeys(spoilt, 1.0)}}
        return replace(prescription, **changed)

    return change


def right(parameterization: str) -> Case:
    named = {"parameterization": parameterization}
    return Case(parameterization, named, named)


SP, NTK, MUP, MFP = ({"parameterization": name} for name in PARAMETERIZATIONS)
PLANTED = (
    Case("muP without the readout's multiplier", MUP, MUP, without("forward_multipliers", "readout")),
    Case("muP without the embedding's multiplier", MUP, MUP, without("forward_multipliers", "embedding")),
    Case("muP, hidden learning rate not scaled", MUP, MUP, without("learning_rates")),
    Case("muP, embedding learning rate not scaled", MUP, MUP, without("learning_rates", "embedding")),
    Case("NTK without the hidden multiplier", NTK, NTK, without("forward_multipliers")),
    Case("SP, readout learning rate not scaled", SP, SP, without("learning_rates", "readout")),
    Case("SP under one global learning rate", {**SP, "learning_rate_rule": "global"}, SP),
    Case("SP, learning rates for no alignment", {**SP, "alignment": "none"}, SP),
    Case("SP labelled muP", SP, MUP),
    Case("muP labelled SP", MUP, SP),
    Case("mean-field labelled NTK", MFP, NTK),
)


def specification(architecture: str, widths: Sequence[int], **changes: Any) -> dict[str, Any]:
    return {
        "parameterization": "standard",
        "optimizer": "adam",
        "alignment": "full",
        "readout_omega": 0.5,
        "form": "table_9",
        "widths": list(widths),
        "steps": RUN_STEPS,
        "epsilon": 1e-12,
        "measure": ["epsilon", "alignment", "coordinates"],
        "proxy": {**PROXIES[architecture], "head_dim": 16, "dataset": "python_docs"},
        **changes,
    }


def main() -> None:
    options = arguments(__doc__).parse_args()
    for name, value in SINGLE_THREADED.items():  # as a worker's child sets them, before JAX is imported
        os.environ.setdefault(name, value)
    begun = process_time()
    gradients = {(arch, name): part for arch in PROXIES for name, part in initial_gradients(arch).items()}
    print(f"gradients: {process_time() - begun:.0f} s", flush=True)
    cases = {"mlp": (*map(right, PARAMETERIZATIONS), *PLANTED), "transformer": (right("standard"), right("mup"))}
    found = {(arch, case.name): result for arch in cases for case, result in trained(arch, cases[arch])}
    seconds = process_time() - begun
    lines = [*gradient_lines(gradients), "", *alignment_lines(found), "", *coordinate_lines(found), ""]
    lines.append(f"All of it took {seconds:.0f} s of one core.")
    write_result(
        "measured_exponents",
        "Gradient exponents, alignment and the coordinate check, measured",
        lines,
        {
            "seconds": seconds,
            "gradients": [
                {"proxy": arch, "parameterization": name, **part.to_dict()} for (arch, name), part in gradients.items()
            ],
            "runs": [
                {"proxy": arch, "case": name, "alignment": align.to_dict(), "coordinates": check.to_dict()}
                for (arch, name), (align, check) in found.items()
            ],
            "stable": [
                {"proxy": arch, "case": name, **vars(exponent)}
                for (arch, name), (align, _) in found.items()
                for exponent in align.exponents
                if name in PARAMETERIZATIONS
            ],
        },
        options,
    )


def _read(records: Sequence[dict[str, Any]]) -> list[Measurement]:
    return [Measurement.from_dict(record) for record in records]


def initial_gradients(architecture: str) -> dict[str, GradientPart]:
    """g of every parameterization from one gradient a seed and width."""
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in PARAMETERIZATIONS}
    specs = {name: specification(architecture, GRADIENT_WIDTHS, parameterization=name) for name in PARAMETERIZATIONS}
    for width in GRADIENT_WIDTHS:
        seeds = range(GRADIENT_SEEDS[architecture])
        seen = observe(specs, width, seeds, [Measured.EPSILON], learning_rate=1.0, at_init=True)
        for name, found in seen.items():
            records[name] += found
    parts = {
        name: fit_gradients(CalibrationSpec.from_dict(specs[name]), _read(records[name])) for name in PARAMETERIZATIONS
    }
    return {name: part for name, part in parts.items() if part is not None}


def trained(architecture: str, cases: Sequence[Case]) -> list[tuple[Case, tuple[AlignmentPart, CoordinateCheck]]]:
    """Alignment and coordinate check of every case."""
    widths, rate = RUN_WIDTHS[architecture], LEARNING_RATES[architecture]
    specs = {case.name: specification(architecture, widths, **case.trained) for case in cases}
    spoils = {case.name: case.spoil for case in cases}
    records: dict[str, list[dict[str, Any]]] = {case.name: [] for case in cases}
    for width in widths:
        begun = process_time()
        kinds = [Measured.ALIGNMENT, Measured.COORDINATES]
        for name, found in observe(specs, width, RUN_SEEDS, kinds, learning_rate=rate, spoils=spoils).items():
            records[name] += found
        print(f"{architecture}, width {width}: {len(cases)} cases in {process_time() - begun:.0f} s", flush=True)
    results = []
    for case in cases:
        told = CalibrationSpec.from_dict({**specs[case.name], "alignment": "full", **case.judged})
        measured = _read(records[case.name])
        align, check = fit_alignment(told, measured), check_coordinates(told, measured)
        assert align is not None
        assert check is not None
        results.append((case, (align, check)))
    return results


def observe(
    specs: Mapping[str, Mapping[str, Any]],
    width: int,
    seeds: Sequence[int],
    kinds: Sequence[Measured],
    *,
    learning_rate: float,
    at_init: bool = False,
    spoils: Mapping[str, Change] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return the measurements of every case at one width, or at init alone; one compiled program serves all cases."""
    from workers.engine.data import load_corpus
    from workers.engine.measurements import KINDS, Observer
    from workers.engine.prescription import prescribe
    from workers.engine.proxies import build_proxy

    sweeps = {name: CalibrationSpec.from_dict(spec) for name, spec in specs.items()}
    first = next(iter(sweeps.values()))
    proxy = build_proxy(first.proxy)
    observer = Observer(first, proxy, width, load_corpus(first.proxy.dataset))
    looks = [replace(KINDS[kind], steps=lambda _: (0,)) if at_init else KINDS[kind] for kind in kinds]
    records: dict[str, list[dict[str, Any]]] = {}
    for name, sweep in sweeps.items():
        prescription = prescribe(sweep, proxy, width)
        if spoils is not None:
            prescription = spoils[name](prescription)
        records[name] = [
            Measurement(width, seed, Measured(kind), data).to_dict()
            for seed in seeds
            for kind, data in observer.run(prescription, learning_rate, seed, looks).items()
        ]
    return records


def gradient_lines(gradients: Mapping[tuple[str, str], GradientPart]) -> list[str]:
    errors = [abs(role.value.value - role.theory) for part in gradients.values() for role in part.roles]
    lines = [
        "## Gradients at init",
        "",
        f"Gradient RMS goes as width^(−g); widths {listed(GRADIENT_WIDTHS)}, one gradient a seed "
        f"({listed([f'{n} seeds on the {arch}' for arch, n in GRADIENT_SEEDS.items()])}). "
        "g with its 95 % interval, and theory's.",
        "",
        "| proxy | parameterization | embedding | hidden | readout |",
        "|---|---|---|---|---|",
    ]
    for (arch, name), part in gradients.items():
        cells = {role.role: f"{with_interval(role.value)} ({role.theory:g})" for role in part.roles}
        lines.append(f"| {arch} | {name} | {cells['embedding']} | {cells['hidden']} | {cells['readout']} |")
    within = sum(error <= TOLERANCE for error in errors)
    lines += [
        "",
        f"{within} of {len(errors)} lie within {TOLERANCE} of theory; the largest distance is {max(errors):.3f}.",
    ]
    return lines


def alignment_lines(found: Mapping[tuple[str, str], tuple[AlignmentPart, CoordinateCheck]]) -> list[str]:
    lines = [
        "## Alignment, and the learning rates that it allows",
        "",
        f"Adam, {RUN_STEPS} steps, {len(RUN_SEEDS)} seeds; widths {listed(RUN_WIDTHS['mlp'])} on the MLP and "
        f"{listed(RUN_WIDTHS['transformer'])} on the transformer. Slope over width at the step where it is largest, "
        "with its 95 % interval; in brackets the published reading, log of the ratio to the base fan-in, at the "
        "largest width.",
        "",
        "| proxy | parameterization | role | α | ω | u |",
        "|---|---|---|---|---|---|",
    ]
    shown = {key: align for key, (align, _) in found.items() if key[1] in ("standard", "mup")}
    for (arch, name), align in shown.items():
        for role in ("hidden", "readout"):
            cells = [
                f"{with_interval(entry.value)} [{entry.published[max(entry.published)]:.2f}]"
                for entry in align.measured
                if entry.role == role
            ]
            lines.append(f"| {arch} | {name} | {role} | {' | '.join(cells)} |")
    lines += [
        "",
        "The linear program's largest stable learning rates, η ∝ width^(−c), with theory's c under full alignment:",
        "",
        "| proxy | parameterization | embedding | hidden | readout |",
        "|---|---|---|---|---|",
    ]
    for (arch, name), align in shown.items():
        cells = [
            f"{with_interval(exponent)} ({exponent.theory:g})"
            for exponent in align.exponents
            if exponent.quantity == "max_stable_learning_rate" and exponent.role != "vector"
        ]
        lines.append(f"| {arch} | {name} | {' | '.join(cells)} |")
    return lines


def coordinate_lines(found: Mapping[tuple[str, str], tuple[AlignmentPart, CoordinateCheck]]) -> list[str]:
    lines = [
        "## Coordinate check",
        "",
        f"Outputs at init and their change by training, at steps 1, 2, 4, … of {RUN_STEPS}, widths as above. The "
        "margins of the check were set on runs of seeds 0 and 1, after muP's transient and the shrinking changes of "
        f"the transformer had failed a first, symmetric rule there; these are seeds {listed(RUN_SEEDS)}, judged once.",
        "",
        "| proxy | prescription | outcome | why |",
        "|---|---|---|---|",
    ]
    for (arch, name), (_, check) in found.items():
        lines.append(f"| {arch} | {name} | {check.outcome} | {check.reasons[0]} |")
    passed = sum(check.outcome == "pass" for (_, name), (_, check) in found.items() if name in PARAMETERIZATIONS)
    rights = sum(name in PARAMETERIZATIONS for _, name in found)
    caught = sum(check.outcome == "fail" for (_, name), (_, check) in found.items() if name not in PARAMETERIZATIONS)
    lines += [
        "",
        f"{passed} of {rights} right prescriptions pass; {caught} of {len(found) - rights} planted errors are caught.",
    ]
    return lines


def with_interval(estimate: Any) -> str:
    interval = estimate.interval
    shown = f"{estimate.value:.3f}"
    return shown if interval is None else f"{shown} ({interval[0]:.2f} to {interval[1]:.2f})"


def listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))


if __name__ == "__main__":
    main()
