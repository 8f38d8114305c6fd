"""How much of the machine's matrix-product speed does training reach, by width?

    python -m benchmarks.utilisation

On a CPU: one single-threaded process for each core at once, as a worker's children are. In each, rounds alternate
between the best float32 matrix product and some steps of training at every width, so that both see the same machine.
Both are timed by the processor time of their process, which is the wall-clock of an idle machine; other work then
disturbs less. Achieved operations are those of widthwise.estimate.cost: products with weights and of attention, without
norms, activations and optimizer.

On an accelerator: learning rates as lanes of one program against one trial at a time, and the same share.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.bank import MLP, specification
from benchmarks.record import arguments, write_result
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import TrialIdentity
from workers.child import SINGLE_THREADED

PROXIES = {"mlp": MLP, "transformer": {**MLP, "architecture": "transformer", "sequence_length": 64, "batch_size": 32}}
SIDES = (256, 512, 1024, 2048)  # of square products, and the best counts: small ones live in cache, large ones amortise
ROUND_SECONDS = 0.25  # of each measurement in a round (chosen): hundreds of products, some steps of training
TARGET, TARGET_WIDTH = 0.5, 128


def main() -> None:
    options = _options()
    if options.child:
        print(json.dumps(_measured_in_this_process(options)))
        return
    for name, value in SINGLE_THREADED.items():
        os.environ.setdefault(name, value)
    processes = options.processes or len(os.sched_getaffinity(0))
    begun = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.utilisation", "--child"]
    command += ["--rounds", str(options.rounds), "--widths", *map(str, options.widths)]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    ready = [child.stdout.readline() for child in children if child.stdout is not None]
    print(f"compiled in {time.perf_counter() - begun:.0f} s by {len(ready)} processes", flush=True)
    found = _answers(children)
    peak = sum(child["peak"] for child in found)
    rows, cases = [], []
    for case in found[0]["cases"]:
        same = [
            next(c for c in child["cases"] if (c["proxy"], c["width"]) == (case["proxy"], case["width"]))
            for child in found
        ]
        achieved = sum(c["achieved"] for c in same)
        milliseconds = 1e3 * float(np.mean([c["step_seconds"] for c in same]))
        cases.append({**case, "achieved": achieved, "share": achieved / peak, "step_seconds": milliseconds / 1e3})
        rows.append(
            f"| {case['proxy']} | {case['width']} | {milliseconds:.2f} | {achieved / 1e9:.1f} | {achieved / peak:.0%} |"
        )
    wide = [case for case in cases if case["width"] >= TARGET_WIDTH]
    reached = [case for case in wide if case["share"] >= TARGET]
    lines = [
        f"{processes} single-threaded processes at once. Peak, the best float32 product of sides "
        f"{', '.join(map(str, SIDES))} in the same rounds: {peak / 1e9:.0f} GFLOP/s in all.",
        "",
        "| proxy | width | a step, ms | GFLOP/s | share of peak |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"Half of the peak at width {TARGET_WIDTH} and above is reached in {len(reached)} of {len(wide)} cases. The "
        f"best of {options.rounds} rounds counts, for products and training alike. Depth 2; MLP with 8 bytes of "
        "context and batch 256, transformer with 64 and batch 32; Adam.",
        "",
        "No accelerator was available here: the program of many trials was only checked on the CPU, where it gives the "
        "same losses (tests/engine/test_batch.py), and its speed was not measured."
        if found[0]["lanes"] is None
        else "",
    ]
    lines += [] if found[0]["lanes"] is None else _lane_lines(found[0]["lanes"])
    print(f"{time.perf_counter() - begun:.0f} s")
    data = {"processes": processes, "peak": peak, "rounds": options.rounds, "cases": cases, "children": found}
    write_result("utilisation", "Utilisation", lines, data, options)


def _answers(children: list["subprocess.Popen[str]"]) -> list[dict[str, Any]]:
    """Starts all at once, and gives what each measured."""
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    return [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]


def _lane_lines(lanes: list[dict[str, Any]]) -> list[str]:
    """The table of an accelerator: many trials as one program against one at a time."""
    return [
        "| proxy | width | trials in one program | trials a second | one at a time | share of peak |",
        "|---|---|---|---|---|---|",
        *(
            f"| {c['proxy']} | {c['width']} | {c['lanes']} | {c['trials_per_second']:.2f} "
            f"| {c['one_at_a_time']:.2f} | {c['share']:.0%} |"
            for c in lanes
        ),
    ]


def _measured_in_this_process(options: argparse.Namespace) -> dict[str, Any]:
    import jax

    on_cpu = jax.devices()[0].platform == "cpu"
    products = {side: _product(side) for side in SIDES}
    cases = [_case(proxy, width) for proxy in PROXIES for width in options.widths]
    print("ready", flush=True)
    sys.stdin.readline()  # all processes have compiled by then
    clock = time.process_time if on_cpu else time.perf_counter
    peak = 0.0
    best = dict.fromkeys(range(len(cases)), float("inf"))
    for _ in range(options.rounds):
        peak = max(peak, *(_rate(product, 2.0 * side**3, clock) for side, product in products.items()))
        for index, case in enumerate(cases):
            best[index] = min(best[index], case["step"](clock))
    measured = [
        {
            "proxy": case["proxy"],
            "width": case["width"],
            "step_seconds": best[index],
            "achieved": case["flops"] / best[index],
        }
        for index, case in enumerate(cases)
    ]
    return {"peak": peak, "cases": measured, "lanes": None if on_cpu else _lanes(options.widths, peak)}


def _product(side: int) -> Callable[[], Any]:
    import jax

    generator = np.random.default_rng(side)
    a, b = (jax.device_put(generator.standard_normal((side, side), dtype=np.float32)) for _ in range(2))
    with jax.default_matmul_precision("float32"):
        multiply = jax.jit(lambda a, b: a @ b).lower(a, b).compile()
    return lambda: multiply(a, b).block_until_ready()


def _rate(action: Callable[[], Any], flops: float, clock: Callable[[], float]) -> float:
    """Operations a second over as many runs as a round has time for; short ones are too short for the clock."""
    begun, count = clock(), 0
    while clock() - begun < ROUND_SECONDS / len(SIDES):
        action()
        count += 1
    return count * flops / (clock() - begun)


def _case(name: str, width: int) -> dict[str, Any]:
    """The training of one proxy at one width: seconds a step, as often as it is called."""
    import jax

    from widthwise.calibration.cost import trial_flops

    shared = _shared(name, width)
    proxy = shared.spec.proxy
    flops = trial_flops(
        name, width, depth=proxy.depth, sequence_length=proxy.sequence_length, windows=proxy.batch_size, evaluated=False
    )
    chunk = max(1, int(ROUND_SECONDS * 4e10 / flops))  # at 40 GFLOP/s
    hyper, draws = shared.hyperparameters(TrialIdentity(width, 1e-3, 0)), shared.draw(0)
    starts, span = jax.device_put(draws.starts), (np.int32(0), np.int32(min(chunk, shared.spec.steps)))
    with jax.default_matmul_precision("float32"):
        state = jax.jit(shared.functions.start)(hyper, draws.normals)
        advance = jax.jit(shared.functions.advance).lower(hyper, state, shared.train_text, starts, span).compile()

    def step(clock: Callable[[], float]) -> float:
        begun = clock()
        float(advance(hyper, state, shared.train_text, starts, span)[1])
        return (clock() - begun) / int(span[1])

    return {"proxy": name, "width": width, "flops": flops, "step": step}


def _shared(name: str, width: int) -> Any:
    from workers.engine.data import load_corpus
    from workers.engine.width_program import WidthProgram

    spec = specification(
        parameterization="standard", optimizer="adam", widths=[min(32, width), width], proxy=PROXIES[name]
    )
    return WidthProgram.of(CalibrationSpec.from_dict(spec), width, load_corpus("python_docs"))


def _lanes(widths: list[int], peak: float) -> list[dict[str, Any]]:
    """On an accelerator: a whole grid with three seeds as one program, against one trial at a time."""
    from widthwise.calibration.grids import default_learning_rates
    from workers.engine.batch import run_batches
    from workers.engine.sweep import SweepProgram

    found = []
    for name in PROXIES:
        for width in widths:
            shared = _shared(name, width)
            rates = default_learning_rates("adam", name, 32)
            asked = [TrialIdentity(width, rate, seed) for seed in range(3) for rate in rates]
            trials = list(run_batches(shared, asked, asked, lambda *_: None))
            one, _ = SweepProgram(shared).run(asked[len(asked) // 2])
            seconds = sum(trial.seconds or 0.0 for trial in trials)
            found.append(
                {
                    "proxy": name,
                    "width": width,
                    "lanes": len(trials),
                    "trials_per_second": len(trials) / seconds,
                    "one_at_a_time": 1 / (one.seconds or math.nan),
                    "share": sum(trial.flops or 0.0 for trial in trials) / seconds / peak,
                }
            )
    return found


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--processes", type=int, help="one for each core unless given; give 1 on an accelerator")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
