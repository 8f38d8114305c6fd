"""What the engine does on an accelerator: one script of a few minutes, for whenever a device can be had.

    python -m benchmarks.accelerator             # under 8 minutes on one GPU; writes docs/results/accelerator.*
    python -m benchmarks.accelerator --toy       # the same parts at toy size, on any device; writes nothing

It needs jax, numpy, scipy, optax and this repository, which need not be installed. Five questions: does the batched
sweep give the serial one's losses; how many trials a second as one program and one at a time; which share of the
device's matrix-product speed; is a batch beyond the memory cut, with the same losses; how does the best learning rate
move from width 256 to 2048, with one global rate and with theory's rates by layer. A part that would begin after the
time is up is left out, and the page says which.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.record import arguments, write_result
from widthwise.calibration.grids import default_learning_rates
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Trial, TrialIdentity
from widthwise.errors import EstimateError
from widthwise.estimate.intervals import moderated_errors
from widthwise.estimate.optimum import Optimum, fit_optimum
from widthwise.estimate.scaling import fit_power_law
from widthwise.estimate.surface import surfaces_by_width
from widthwise.vocabulary import Parameterization

PUBLISHED_GLOBAL = {"standard": -0.95, "ntk": -0.66, "mup": -1.09, "mean_field": -0.16}  # Everett et al. 2024
PACKAGES = ("jax", "jaxlib", "optax", "numpy", "scipy")
MESH = 0.5  # octaves between the learning rates of an exponent's sweep
WINDOW = 2.0  # octaves on each side of the expected optimum (chosen)
PRODUCTS = 20  # products that one measurement of the peak repeats (chosen)
ROUNDING = 0.02  # nats (chosen): batched and serial losses round differently, and each step adds to it


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    seconds: float  #: after which no further part begins
    widths: tuple[int, ...]  #: of speed and utilisation
    lanes: int  #: trials of one program there
    speed_steps: int
    equal_width: int
    exponent_widths: tuple[int, ...]
    steps: int
    seeds: int
    shifts: int  #: of a window of learning rates whose best one is at its edge
    sides: tuple[int, ...]  #: of the square products whose best speed is the peak
    proxy: dict[str, Any]


PROXY = {"architecture": "mlp", "depth": 2, "sequence_length": 8, "batch_size": 256, "dataset": "python_docs"}
FULL = Size(
    seconds=400.0,  # so that the last part ends within 8 minutes
    widths=(256, 512, 1024, 2048, 4096),
    lanes=24,
    speed_steps=30,
    equal_width=128,
    exponent_widths=(256, 512, 1024, 2048),
    steps=200,
    seeds=2,
    shifts=3,
    sides=(2048, 4096, 8192),
    proxy=PROXY,
)
TOY = Size(
    seconds=600.0,
    widths=(8, 16),
    lanes=4,
    speed_steps=10,
    equal_width=8,
    exponent_widths=(8, 16, 32),
    steps=10,
    seeds=1,
    shifts=0,
    sides=(64,),
    proxy={**PROXY, "depth": 1, "sequence_length": 4, "batch_size": 16},
)


def specification(size: Size, steps: int, **members: Any) -> CalibrationSpec:
    """The specification of a part."""
    return CalibrationSpec.from_dict(
        {
            "parameterization": "mup",
            "optimizer": "adam_atan2",
            "alignment": "full",
            "form": "table_9",
            "early_stopping": False,
            "steps": steps,
            "proxy": size.proxy,
            **members,
        }
    )


def measure(size: Size, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Return what every part found, JSON-ready; a part that the time did not allow is None."""
    from workers.engine.device import describe_device

    begun = time.perf_counter()
    found: dict[str, Any] = {"device": describe_device()}
    for name, part in PARTS.items():
        spent = time.perf_counter() - begun
        found[name] = part(size, begun) if spent < size.seconds else None
        say(f"{name}: {'left out' if found[name] is None else f'{time.perf_counter() - begun - spent:.0f} s'}")
    found["seconds"] = time.perf_counter() - begun
    return found


def equality(size: Size, _: float) -> dict[str, Any]:
    """The batched sweep against the serial one: the largest difference of a loss, and whether the states agree."""
    from workers.engine.batch import run_batches
    from workers.engine.sweep import SweepProgram

    shared = _shared(specification(size, size.steps, widths=[size.equal_width]), size.equal_width)
    rates = [*default_learning_rates("adam_atan2", "mlp", size.equal_width)[::3], 1e38]  # the last one diverges
    trials = [TrialIdentity(size.equal_width, rate, seed) for seed in range(size.seeds) for rate in rates]
    batched = {trial.identity: trial for trial in run_batches(shared, trials, trials, lambda *_: None)}
    program = SweepProgram(shared)
    serial = {trial: program.run(trial)[0] for trial in trials}
    return {
        "trials": len(trials),
        "width": size.equal_width,
        "states_agree": all(batched[trial].status is serial[trial].status for trial in trials),
        "largest_difference": _largest_difference(batched, serial),
    }


def speed(size: Size, begun: float) -> list[dict[str, Any]]:
    """At each width: trials a second as one program and one at a time, and the share of the best product's speed."""
    from workers.engine.batch import run_batches
    from workers.engine.sweep import SweepProgram

    peak, rows = peak_flops(size.sides), []
    for width in size.widths:
        if time.perf_counter() - begun > size.seconds:
            break
        shared = _shared(specification(size, size.speed_steps, widths=[width]), width)
        rates = np.geomspace(1e-4, 1e-2, size.lanes).tolist()
        trials = [TrialIdentity(width, rate, 0) for rate in rates]
        batched = list(run_batches(shared, trials, trials, lambda *_: None))
        program = SweepProgram(shared)
        program.run(trials[0])  # the first run warms up
        one = program.run(trials[-1])[0]
        seconds = sum(trial.seconds or 0.0 for trial in batched)
        rows.append(
            {
                "width": width,
                "lanes": len(trials),
                "batched": len(trials) / seconds,
                "one_at_a_time": 1 / (one.seconds or math.nan),
                "share": sum(trial.flops or 0.0 for trial in batched) / seconds / peak,
                "share_one": (one.flops or 0.0) / (one.seconds or math.nan) / peak,
                "peak": peak,
            }
        )
    return rows


def memory(size: Size, _: float) -> dict[str, Any]:
    """At the largest width, under a limit that two trials fill: into which batches it is cut, with which losses."""
    from workers.engine.batch import MEMORY_SHARE, BatchProgram, run_batches
    from workers.engine.spread import Spread

    width, few = size.widths[-1], 4 * Spread.here().count
    shared = _shared(specification(size, size.speed_steps, widths=[width]), width)
    trials = [TrialIdentity(width, rate, 0) for rate in np.geomspace(1e-4, 1e-2, few).tolist()]
    built: list[BatchProgram] = []

    def build(shared: Any, lanes: int) -> BatchProgram:
        built.append(BatchProgram(shared, lanes))
        return built[-1]

    limit = int(1.1 * BatchProgram(shared, few // 2).bytes_needed / MEMORY_SHARE)
    whole = {trial.identity: trial for trial in run_batches(shared, trials, trials, lambda *_: None, build=build)}
    lanes_whole = built[-1].lanes
    parts = {
        trial.identity: trial
        for trial in run_batches(shared, trials, trials, lambda *_: None, memory_bytes=limit, build=build)
    }
    return {
        "width": width,
        "trials": few,
        "limit_bytes": limit,
        "lanes_without_limit": lanes_whole,
        "lanes": built[-1].lanes,
        "bytes_needed": built[-1].bytes_needed,
        "largest_difference": _largest_difference(whole, parts),
    }


def exponents(size: Size, begun: float) -> list[dict[str, Any]]:
    """The slope of the best learning rate over width, for one global rate and for theory's rates by layer."""
    rows = []
    for rule in ("global", "per_layer"):
        for kind in Parameterization:
            if time.perf_counter() - begun < size.seconds:
                rows.append(_exponent(size, kind.value, rule))
    return rows


PARTS: dict[str, Callable[[Size, float], Any]] = {
    "equality": equality,
    "speed": speed,
    "memory": memory,
    "exponents": exponents,
}


def _exponent(size: Size, kind: str, rule: str) -> dict[str, Any]:
    widths = size.exponent_widths
    spec = specification(
        size, size.steps, parameterization=kind, widths=list(widths), learning_rate_rule=rule, seeds=size.seeds
    )
    rates = default_learning_rates("adam_atan2", "mlp", widths[0])
    centre, optima = math.log2(rates[len(rates) // 2]), {}
    for width in widths:
        found = _optimum(spec, width, centre, size)
        if found is not None and found.standard_error is not None:
            optima[width] = found
            centre = found.log2_learning_rate
    row: dict[str, Any] = {
        "parameterization": kind,
        "rule": rule,
        "widths": list(optima),
        "optima_log2": [found.log2_learning_rate for found in optima.values()],
        "expected": PUBLISHED_GLOBAL[kind] if rule == "global" else 0.0,
        "slope": None,
        "interval": None,
    }
    if len(optima) > 1:
        errors = [float(found.standard_error or 0.0) for found in optima.values()]
        freedom = [found.degrees_of_freedom for found in optima.values()]
        law = fit_power_law(list(optima), row["optima_log2"], moderated_errors(errors, freedom))
        row |= {"slope": law.slope, "interval": law.interval}
    return row


def _optimum(spec: CalibrationSpec, width: int, centre: float, size: Size) -> Optimum | None:
    """The optimum at a width, with a window that moves while the best learning rate is at its edge."""
    from workers.engine.batch import run_batches

    shared, trials = _shared(spec, width), []
    middle = round(centre / MESH)
    half, tried = round(WINDOW / MESH), set[int]()
    points = range(middle - half, middle + half + 1)
    for _ in range(1 + size.shifts):
        new = [k for k in points if k not in tried]
        asked = [TrialIdentity(width, 2.0 ** (MESH * k), seed) for seed in range(size.seeds) for k in new]
        trials += list(run_batches(shared, asked, asked, lambda *_: None))
        tried |= set(new)
        surface = surfaces_by_width(trials)[width]
        try:
            found = fit_optimum(surface.learning_rates, surface.losses, surface.diverged, surface.stopped)
        except EstimateError:  # nothing trained
            points = range(min(tried) - half, min(tried))
            continue
        if found.kind == "interior":
            return found
        points = range(min(tried) - half, min(tried)) if found.kind == "upper_bound" else _above(tried, half)
    return None


def _above(tried: set[int], count: int) -> range:
    return range(max(tried) + 1, max(tried) + 1 + count)


def peak_flops(sides: Sequence[int]) -> float:
    """Operations a second of the best float32 product of these sides."""
    import jax
    import jax.numpy as jnp

    best = 0.0
    for side in sides:
        a = jnp.ones((side, side), jnp.float32) / side
        with jax.default_matmul_precision("float32"):
            multiply = jax.jit(lambda x, y: x @ y).lower(a, a).compile()
        multiply(a, a).block_until_ready()
        begun, product = time.perf_counter(), a
        for _ in range(PRODUCTS):
            product = multiply(product, a)
        product.block_until_ready()
        best = max(best, PRODUCTS * 2.0 * side**3 / (time.perf_counter() - begun))
    return best


def _shared(spec: CalibrationSpec, width: int) -> Any:
    from workers.engine.data import load_corpus
    from workers.engine.width_program import WidthProgram

    return WidthProgram.of(spec, width, load_corpus(spec.proxy.dataset))


def _largest_difference(some: dict[TrialIdentity, Trial], others: dict[TrialIdentity, Trial]) -> float:
    pairs = [(trial.loss, others[identity].loss) for identity, trial in some.items()]
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=0.0)


def lines(found: dict[str, Any], *, toy: bool) -> list[str]:
    """The page."""
    device = found["device"]
    page = [f"On {device['device_kind']} ({device['device']}), in {found['seconds']:.0f} s."]
    if toy or device["device"] == "cpu":
        page += [
            "",
            "**This was not run at full size on an accelerator.** It shows that every part of the script works, and "
            "its numbers say nothing about an accelerator.",
        ]
    left_out = [name for name in PARTS if found[name] is None]
    if left_out:
        page += ["", f"Left out, because the time was up: {', '.join(left_out)}."]
    if found["equality"] is not None:
        part = found["equality"]
        page += [
            "",
            f"Batched against serial: {part['trials']} trials of width {part['width']}; states "
            f"{'agree' if part['states_agree'] else 'DIFFER'}, losses differ by at most "
            f"{part['largest_difference']:.2g} nats (allowed: {ROUNDING}).",
        ]
    if found["speed"]:
        page += [
            "",
            "| width | trials at once | trials a second | one at a time | ratio | share of peak | one at a time |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {row['width']} | {row['lanes']} | {row['batched']:.2f} | {row['one_at_a_time']:.2f} | "
                f"{row['batched'] / row['one_at_a_time']:.1f} | {row['share']:.0%} | {row['share_one']:.0%} |"
                for row in found["speed"]
            ),
            "",
            f"Peak: the best float32 product, {found['speed'][0]['peak'] / 1e12:.3g} TFLOP/s.",
        ]
    if found["memory"] is not None:
        part = found["memory"]
        page += [
            "",
            f"Memory: {part['trials']} trials of width {part['width']} ran {part['lanes_without_limit']} at a time; "
            f"under a limit of {part['limit_bytes'] / 1e6:.0f} MB, {part['lanes']} at a time, which take "
            f"{part['bytes_needed'] / 1e6:.0f} MB. Losses differ by at most {part['largest_difference']:.2g} nats.",
        ]
    if found["exponents"]:
        page += [
            "",
            "| parameterization | learning rates | widths | slope | 95 % interval | published, or theory's |",
            "|---|---|---|---|---|---|",
            *(_exponent_line(row) for row in found["exponents"]),
        ]
    return page


def _exponent_line(row: dict[str, Any]) -> str:
    widths = f"{row['widths'][0]}–{row['widths'][-1]}" if row["widths"] else "none"
    slope = "unknown" if row["slope"] is None else f"{row['slope']:+.3f}"
    interval = "unknown" if row["interval"] is None else "{:+.3f} to {:+.3f}".format(*row["interval"])
    return f"| {row['parameterization']} | {row['rule']} | {widths} | {slope} | {interval} | {row['expected']:+.2f} |"


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="widthwise-") as cache:
        # four parameterizations and two rules share one program of each width: only its arguments differ
        from workers.engine.device import use_compile_cache

        use_compile_cache(cache)
        found = measure(TOY if options.toy else FULL)
    options.dry |= options.toy
    page = lines(found, toy=options.toy)
    accelerator = f"{found['device']['device_kind']} ({found['device']['device']})"
    write_result("accelerator", "On an accelerator", page, found, options, packages=PACKAGES, accelerator=accelerator)


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--toy", action="store_true", help="toy sizes, for any device; implies --dry")
    return parser.parse_args()


if __name__ == "__main__":
    main()
