"""What `import widthwise` takes, compared with `import numpy` in the same minute on the same machine.

    python -m benchmarks.import_time [--rounds 12] [--dry]

Each import is made by a new process, and the processes take turns, so that whatever else the machine does slows all of them.
A time is the shortest of the rounds, a ratio the median of those of the rounds.
"""

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

from benchmarks import record

ALLOWED_MS = 100  # for `import widthwise`
NUMPY = "import numpy"
CASES = ("import widthwise", "from widthwise import Client", NUMPY)
_PROGRAM = "import time; started = time.perf_counter(); {}; print(1e3 * (time.perf_counter() - started))"


def milliseconds(statement: str) -> float:
    """How long a statement takes in a new process, without the start of the interpreter."""
    program = _PROGRAM.format(statement)
    ran = subprocess.run([sys.executable, "-c", program], cwd=record.ROOT, capture_output=True, text=True, check=True)
    return float(ran.stdout)


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each case, round by round; a first round, which reads the files from disk, does not count."""
    found: dict[str, list[float]] = {case: [] for case in CASES}
    for number in range(rounds + 1):
        for case in CASES:
            time = milliseconds(case)
            if number:
                found[case].append(time)
    return found


def page(found: Mapping[str, Sequence[float]]) -> list[str]:
    """The page's lines."""
    rows = []
    for case, times in found.items():
        ratio = statistics.median(own / numpy for own, numpy in zip(times, found[NUMPY], strict=True))
        rows.append(f"| `{case}` | {min(times):.0f} | {statistics.median(times):.0f} | {ratio:.2f} |")
    best = min(found["import widthwise"])
    kept = "within" if best <= ALLOWED_MS else "over"
    return [
        f"`import widthwise` takes {best:.0f} ms at best, {kept} the {ALLOWED_MS} ms that it may take on an idle machine.",
        "The client brings httpx with it, which `import widthwise` does not load.",
        "",
        "| | ms, shortest | ms, median | compared with numpy |",
        "|---|--:|--:|--:|",
        *rows,
    ]


def main() -> None:
    """Measure, and write the page."""
    parser = record.arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    found = measure(options.rounds)
    lines = page(found)
    record.write_result(
        "import_time",
        "Time of an import",
        lines,
        {"milliseconds": found},
        options,
        packages=("widthwise", "numpy", "httpx"),
    )


if __name__ == "__main__":
    main()
