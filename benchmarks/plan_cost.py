"""What a plan costs now beside what it cost at an earlier commit, both in one run on one machine.

    python -m benchmarks.plan_cost [--before 8d53972] [--rounds 15] [--dry]

The earlier commit is checked out into a temporary folder; the two trees take turns in processes of their own, so that
whatever else the machine does slows both. A time is the shortest of a round, a ratio that of one round's two times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import record
from widthwise import Base, Target, Tensor, transfer

BEFORE = "8d53972"  # the last commit before rules became parts
ALLOWED_US = 15  # more for a width-only plan
AIM_MS = 50  # for 10,000 tensors of repeated shapes
SECONDS = 0.15  # chosen: of each case in each turn, so that fifteen rounds take under a minute


def cases() -> dict[str, Callable[[], object]]:
    """What is timed. Both trees run this, so it uses what both have."""
    base = Base(width=256, learning_rate=0.003, epsilon=1e-8, weight_decay=0.1, init_std=0.02)
    target = Target(width=1024)

    def plan(tensors: list[Tensor]) -> Any:
        return transfer(
            parameterization="mup", optimizer="adamw", base=base, target=target, tensors=tensors, layout="out_in"
        )

    shapes = (
        *(((256,), (1024,)), ((768, 256), (3072, 1024)), ((256, 256), (1024, 1024))),
        *(((1024, 256), (3584, 1024)), ((256, 1024), (1024, 3584))),
    )
    repeated = [Tensor(f"{k}.weight", *shapes[k % len(shapes)]) for k in range(10_000)]
    distinct = [Tensor(f"{k}.weight", (256 + k, 512 + k), (1024 + 4 * k, 3072 + 5 * k)) for k in range(1_000)]
    return {
        "widths alone": lambda: plan([]),
        "widths alone, as JSON": lambda: plan([]).to_dict(),
        "10,000 tensors of repeated shapes": lambda: plan(repeated),
        "10,000 tensors of repeated shapes, as JSON": lambda: plan(repeated).to_dict(),
        "1,000 tensors of distinct shapes": lambda: plan(distinct),
    }


def microseconds() -> dict[str, float]:
    """The shortest time of each case in this process."""
    found = {}
    for name, case in cases().items():
        timer = timeit.Timer(case)
        once = timer.timeit(1)
        number = max(1, int(SECONDS / 5 / max(once, 1e-6)))
        found[name] = 1e6 * min(timer.repeat(repeat=5, number=number)) / number
    return found


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder that holds the tree of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=record.ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


def turn(tree: Path) -> dict[str, float]:
    """The times of one tree's library, in a process of its own."""
    source = (
        "import json, sys, importlib.util as u\n"
        "spec = u.spec_from_file_location('plan_cost', sys.argv[1])\n"
        "module = u.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
        "import widthwise\nassert widthwise.__file__.startswith(sys.argv[2]), widthwise.__file__\n"
        "print(json.dumps(module.microseconds()))\n"
    )
    # `benchmarks` comes from this tree in both cases: only the library differs
    code = (
        f"import sys\nsys.path[:0] = [{str(tree)!r}]\nimport widthwise\nsys.path[:0] = [{str(record.ROOT)!r}]\n{source}"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, __file__, str(tree)],
        env={**os.environ, "PYTHONPATH": ""},
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    )
    times: dict[str, float] = json.loads(answer.stdout)
    return times


def measure(before: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Times of both trees, case by case and round by round."""
    found: dict[str, list[tuple[float, float]]] = {}
    with checked_out(before) as folder:
        for _ in range(rounds):
            earlier, now = turn(folder), turn(record.ROOT)
            for name, time in now.items():
                found.setdefault(name, []).append((earlier[name], time))
    return found


def page(found: dict[str, list[tuple[float, float]]], options: argparse.Namespace) -> list[str]:
    """The page's lines."""
    best = {name: (min(a for a, _ in times), min(b for _, b in times)) for name, times in found.items()}
    more = best["widths alone"][1] - best["widths alone"][0]
    many = best["10,000 tensors of repeated shapes"][1] / 1e3
    rows = [
        f"| {name} | {earlier:,.0f} | {now:,.0f} | {statistics.median(b / a for a, b in found[name]):.2f} |"
        for name, (earlier, now) in best.items()
    ]
    return [
        f"A plan of widths alone takes {more:.0f} µs more than at {options.before} ({ALLOWED_US} µs were allowed). "
        f"10,000 tensors of repeated shapes take {many:.0f} ms (aim: under {AIM_MS}).",
        "",
        f"Microseconds: the shortest of {options.rounds} rounds in which the two trees take turns, and the median over "
        "the rounds of the ratio.",
        "",
        f"| plan | at {options.before} | now | now / before |",
        "|---|---|---|---|",
        *rows,
    ]


def main() -> None:
    parser = record.arguments(__doc__)
    parser.add_argument("--before", default=BEFORE, help="commit to compare with")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    found = measure(options.before, options.rounds)
    record.write_result(
        "plan_cost",
        "What a plan costs beside an earlier commit",
        page(found, options),
        {"before": options.before, "microseconds": found},
        options,
        packages=("widthwise",),
    )


if __name__ == "__main__":
    main()
