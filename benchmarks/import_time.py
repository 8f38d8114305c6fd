"""What `import widthwise` takes, compared with `import numpy` in the same minute on the same machine.

    python -m benchmarks.import_time [--rounds 12] [--dry]

Each import is made by a new process, and the processes take turns, so that whatever else the machine does slows all of
them. A time is the shortest of the rounds, a ratio the median of those of the rounds. The processor's time says what an
import takes while others compute too.
"""

import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence

from benchmarks import record

ALLOWED_MS = 100  # for `import widthwise`
NUMPY = "import numpy"
CASES = ("import widthwise", "from widthwise import Base, Target, transfer", "from widthwise import Client", NUMPY)
_PROGRAM = (
    "import time; wall, own = time.perf_counter(), time.process_time(); {}; "
    "print(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - own))"
)

Times = tuple[float, float]  # milliseconds of the clock and of the processor


def milliseconds(statement: str) -> Times:
    """How long a statement takes in a new process, without the start of the interpreter."""
    program = _PROGRAM.format(statement)
    ran = subprocess.run([sys.executable, "-c", program], cwd=record.ROOT, capture_output=True, text=True, check=True)
    wall, own = map(float, ran.stdout.split())
    return wall, own


def measure(rounds: int) -> dict[str, list[Times]]:
    """Milliseconds of each case, round by round; a first round, which reads the files from disk, does not count."""
    found: dict[str, list[Times]] = {case: [] for case in CASES}
    for number in range(rounds + 1):
        for case in CASES:
            time = milliseconds(case)
            if number:
                found[case].append(time)
    return found


def page(found: Mapping[str, Sequence[Times]]) -> list[str]:
    """The page's lines."""
    rows = []
    for case, times in found.items():
        ratio = statistics.median(one[1] / other[1] for one, other in zip(times, found[NUMPY], strict=True))
        wall, own = (min(one[kind] for one in times) for kind in (0, 1))
        rows.append(f"| `{case}` | {wall:.0f} | {own:.0f} | {ratio:.2f} |")
    best = min(wall for wall, _ in found["import widthwise"])
    kept = "within" if best <= ALLOWED_MS else "over"
    return [
        f"`import widthwise` takes {best:.0f} ms, {kept} the {ALLOWED_MS} ms that it may take.",
        "A name is imported when it is first used: `transfer` brings theory and rules with it, `Client` httpx.",
        "",
        "| | ms | ms of the processor | of it, compared with numpy |",
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
