"""How long a plan takes, against the number of tensors: the library alone, without HTTP or JSON.

    python -m benchmarks.plans

Large models repeat few shapes many times ("repeated": a transformer's layers); "distinct" gives every tensor a
different shape, so that nothing can be worked out once for several.
"""

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import widthwise
from widthwise import Base, Target, Tensor, transfer

SIZES = (10, 100, 1_000, 10_000)
SECONDS = 0.5  # chosen: each median comes from at least this long, so that the whole takes about ten seconds
RUNS = 5  # and from at least this many runs

#: One layer at base width 256 and target width 1024, the feed-forward growing by its own ratio.
LAYER = (
    ("norm.weight", (256,), (1024,)),
    ("attention.qkv.weight", (768, 256), (3072, 1024)),
    ("attention.out.weight", (256, 256), (1024, 1024)),
    ("feed_forward.up.weight", (1024, 256), (3584, 1024)),
    ("feed_forward.down.weight", (256, 1024), (1024, 3584)),
)


def repeated(count: int) -> list[Tensor]:
    """Tensors of a transformer with as many layers as it takes."""
    shapes = (LAYER[k % len(LAYER)] for k in range(count))
    return [Tensor(f"{k // len(LAYER)}.{name}", base, target) for k, (name, base, target) in enumerate(shapes)]


def distinct(count: int) -> list[Tensor]:
    """Matrices of which no two share a shape."""
    return [Tensor(f"{k}.weight", (256 + k, 512 + k), (1024 + 4 * k, 3072 + 5 * k)) for k in range(count)]


def plan(tensors: list[Tensor]) -> None:
    transfer(
        parameterization="mup",
        optimizer="adamw",
        base=Base(width=256, learning_rate=0.003, epsilon=1e-8, weight_decay=0.1, init_std=0.02),
        target=Target(width=1024),
        tensors=tensors,
        layout="out_in",
    )


def milliseconds(make: Callable[[int], list[Tensor]], count: int) -> tuple[float, float, int]:
    """Median and shortest time of a plan, and the number of runs behind them."""
    tensors = make(count)
    plan(tensors)
    times: list[float] = []
    while len(times) < RUNS or sum(times) < SECONDS:
        start = time.perf_counter()
        plan(tensors)
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times), 1e3 * min(times), len(times)


def machine() -> str:
    """Processor, Python and version, which must accompany the numbers."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    cores = f"{len(names)} × " if names else ""
    return f"{cores}{processor}; Python {platform.python_version()}; widthwise {widthwise.__version__}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")  # Linux; elsewhere platform says what it knows
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def main() -> None:
    print("milliseconds per plan (aim: 10,000 tensors of repeated shapes in under 50)")
    print(machine())
    print(f"{'tensors':>8}  {'shapes':<9} {'median':>9} {'best':>9} {'runs':>6}")
    for count in SIZES:
        for make in (repeated, distinct):
            median, best, runs = milliseconds(make, count)
            print(f"{count:>8,}  {make.__name__:<9} {median:>9.3f} {best:>9.3f} {runs:>6,}")


if __name__ == "__main__":
    main()
