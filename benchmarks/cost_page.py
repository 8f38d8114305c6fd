"""The page on what a best learning rate costs: what was asked, what each way took, and what each part gives."""

from collections.abc import Mapping
from typing import Any


def lines(report: Mapping[str, Any]) -> list[str]:
    """The page's part on one length."""
    question, reference = report["question"], report["reference"]
    widths, best, error = question["widths"], reference["log2_optima"][-1], reference["standard_errors"][-1]
    proxy, drawn = question["proxy"], max(row["typical"]["draws"] for row in report["rows"])
    seeds = len({seed for _, _, seed, *_ in reference["trials"]})
    page = [
        f"The best base learning rate of the MLP language model at width {max(widths)}, and the slope of its log2 over "
        f"log2 width from {min(widths)} on: muP with Adam, {question['steps']} steps of {proxy['batch_size']} windows, "
        f"{len(question['learning_rates'])} learning rates, {question['seeds']} seeds. mup + PyTorch trains the grid "
        "one run at a time, with the number of threads that is fastest at each width, and takes the lowest mean loss "
        "and a line through them, as its users do. This engine takes what its calibration predicts at that width, and "
        "its `raw_slope`, the line through its own optima.",
        "",
        f"| | seconds | core-seconds | runs (at {max(widths)}) | FLOPs | log2 LR | off, octaves | typically | "
        "more loss, % | slope | off | typically |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    page += [
        f"| {row['way']} | {row['seconds']:.0f} | {row['cpu_seconds']:.0f} | {row['trials']} "
        f"({row['trials_at_largest']}) | {row['flops']:.2g} | {row['log2_optima'][-1]:.2f} | "
        f"{row['error_octaves']:.2f} | {_number(row['typical']['octaves'])} | {_number(row['regret_percent'])} | "
        f"{row['slope']:+.3f} | {row['slope_error']:.3f} | {_number(row['typical']['slope'])} |"
        for row in report["rows"]
    ]
    page += [
        "",
        f"Off: against an independent sweep of {seeds} other seeds with a learning rate each quarter of "
        f"an octave, whose best is 2^{best:.2f} ± {error:.2f} octaves and whose slope is {reference['slope']:+.3f}. "
        f"Typically: root mean square over {drawn} whole searches, each over other {question['seeds']} of that sweep's "
        "seeds and at one of two offsets from its learning rates, each held to the rest of the seeds, since one run's "
        "error is one draw of chance. A process's start and its compilation count in this engine's seconds, the "
        "import of PyTorch does not in the other's.",
        "",
        "Where the processes' seconds go. Start: from a shard's job to its beginning, which is a process, its imports "
        "and the text, or next to nothing for a child that lives on. Compilation: until its first run begins. Waiting: "
        "a process's end, and the ends of rounds, where another process has nothing to do. The database's seconds are "
        "what a worker would add for the same calibration, with SQLite.",
        "",
        "| | processes | start | compilation | training | waiting | database, s |",
        "|---|---|---|---|---|---|---|",
        *(_parts_line(row) for row in report["rows"] if "parts" in row),
        "",
        "One child's start, measured alone: "
        + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in report["start"].items())
        + ".",
        "",
        "What each part gives, in seconds:",
        "",
        *(f"* {name}: {factor:.2f}×" for name, factor in report["factors"].items()),
    ]
    return page


def _parts_line(row: Mapping[str, Any]) -> str:
    parts, whole = row["parts"], row["seconds"] * row["processes"]
    shares = [parts[name] / whole for name in ("start", "compilation", "training")]
    shown = " | ".join(f"{share:.0%}" for share in (*shares, max(0.0, 1 - sum(shares))))
    return f"| {row['way']} | {row['children']} | {shown} | {parts['database']:.2f} |"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
