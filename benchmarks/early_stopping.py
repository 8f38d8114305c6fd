"""What does early stopping save, and how often is it wrong? Whole curves of many sweeps, with the rule applied to them.

    python -m benchmarks.early_stopping

Every trial of the default grid is trained to its end. The margins follow from the first group of sweeps and are
compared with those in force; the rule in force is then applied to the curves of sweeps that had no part in them. A stop
is wrong where the trial, trained to its end, came within an octave of the best learning rate of its sweep.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from benchmarks.bank import specification
from benchmarks.record import arguments, write_result
from widthwise.calibration.grids import default_learning_rates
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import TrialIdentity
from widthwise.errors import EstimateError
from widthwise.estimate.optimum import fit_optimum
from widthwise.vocabulary import Optimizer, Role
from workers.child import SINGLE_THREADED

WINDOW_OCTAVES = 1.0  # where the fit of an optimum looks first, see widthwise/estimate/optimum.py
SAFETY = 1.5  # margin over largest excess (chosen)
SMALLEST_MARGIN = 0.10  # nats (chosen): ten times the difference that an octave's half makes at the optimum of Adam
CONFIDENCE = 0.95
TRANSFORMER = {"architecture": "transformer", "sequence_length": 64, "batch_size": 32}
FAMILIES = (
    ("Adam, AdamW, Adam-atan2", ("adam", "adamw", "adam_atan2")),
    ("Adafactor, Adam with parameter scaling", ("adafactor", "adam_parameter_scaling")),
    ("SGD", ("sgd",)),
)


@dataclass(frozen=True)
class Sweep:
    """One sweep over the default grid of its base width."""

    optimizer: str
    width: int
    seed: int
    base: int = 32
    steps: int = 200
    architecture: str = "mlp"
    dataset: str = "python_docs"
    parameterization: str = "standard"
    learning_rate_rule: str = "per_layer"
    role: Role | None = None  #: of a sweep of γ: the role whose learning rate is multiplied

    @property
    def name(self) -> str:
        """What it is, in a line of a table."""
        different = [self.optimizer, self.architecture, f"width {self.width}", f"{self.steps} steps", self.dataset]
        swept = [] if self.role is None else [f"γ of {self.role}"]
        return ", ".join([*different, self.parameterization, self.learning_rate_rule, *swept, f"seed {self.seed}"])

    @property
    def trials(self) -> list[TrialIdentity]:
        """Its trials: the default grid, or as many γ around 1 at the grid's centre."""
        rates = default_learning_rates(self.optimizer, self.architecture, self.base)
        if self.role is None:
            return [TrialIdentity(self.width, rate, self.seed) for rate in rates]
        centre = rates[len(rates) // 2]
        return [TrialIdentity(self.width, centre, self.seed, self.role, rate / centre) for rate in rates]

    @property
    def spec(self) -> dict[str, Any]:
        """Its specification, without early stopping."""
        whole = specification(
            parameterization=self.parameterization,
            optimizer=self.optimizer,
            widths=[self.base, self.width],
            steps=self.steps,
            learning_rate_rule=self.learning_rate_rule,
        )
        shape = TRANSFORMER if self.architecture == "transformer" else {}
        return {**whole, "proxy": {**whole["proxy"], **shape, "dataset": self.dataset}}


CHOSEN_ON = [
    *(Sweep(optimizer, 32, seed) for _, optimizers in FAMILIES for optimizer in optimizers for seed in (0, 1)),
    *(Sweep(optimizer, 64, 0) for _, optimizers in FAMILIES for optimizer in optimizers),
]
HELD_OUT = [
    *(Sweep(o, 32, 5, dataset="python_source") for o in ("adam", "adafactor", "sgd")),
    *(Sweep(o, 32, 2, steps=400) for o in ("adam", "sgd", "adam_parameter_scaling")),
    *(Sweep(o, 64, 3, base=64, steps=100) for o in ("adam", "adafactor", "sgd")),
    *(Sweep(o, 128, 0, learning_rate_rule="global") for o in ("adam", "sgd")),
    *(Sweep(o, 128, 4, parameterization="mup") for o in ("adamw", "adafactor")),
    *(
        Sweep(o, 64, 6, role=r)
        for o, r in (("adam", Role.HIDDEN), ("adam", Role.READOUT), ("adafactor", Role.EMBEDDING))
    ),
    *(
        Sweep(o, 64, 6, role=r)
        for o, r in (("sgd", Role.HIDDEN), ("sgd", Role.READOUT), ("adam_atan2", Role.EMBEDDING))
    ),
    *(Sweep(o, 32, 0, architecture="transformer") for o in ("adam", "sgd", "adafactor", "adam_parameter_scaling")),
]


@dataclass(frozen=True)
class Run:
    """A trial trained to its end."""

    learning_rate: float  #: times γ
    curve: tuple[float, ...]  #: nats; shorter than ten numbers where it diverged
    loss: float | None  #: held-out; None where it diverged
    steps: int


@dataclass(frozen=True)
class Verdict:
    """What the rule does to one sweep."""

    trials: int
    stopped: int
    wrong: int  #: stopped, though within the window around the best
    near: int  #: trials within the window
    steps: int  #: of the whole sweep
    saved: int  #: steps
    moved: float | None  #: octaves from the optimum of the whole sweep to that of the stopped one; None without either


def main() -> None:
    options = _options()
    for name, value in SINGLE_THREADED.items():  # as a worker's child sets them, before JAX is imported
        os.environ.setdefault(name, value)
    begun = time.perf_counter()
    curves = {sweep: list(_trained(sweep, Path(options.bank))) for sweep in [*CHOSEN_ON, *HELD_OUT]}
    from workers.engine.optimizers import OPTIMIZERS

    rows: list[str] = []
    computed: dict[str, dict[str, Any]] = {}
    for family, optimizers in FAMILIES:
        below, above = margins([curves[sweep] for sweep in CHOSEN_ON if sweep.optimizer in optimizers])
        in_force = OPTIMIZERS[Optimizer(optimizers[0])].margins
        in_force_above = None if math.isinf(in_force.above) else in_force.above
        computed[family] = {
            "below": below,
            "above": above,
            "in_force_below": in_force.below,
            "in_force_above": in_force_above,
        }
        above_text = "never stopped" if in_force_above is None else f"{in_force_above:.2f}"
        rows.append(
            f"| {family} | {' '.join(f'{m:.2f}' for m in below)} | {' '.join(f'{m:.2f}' for m in in_force.below)} "
            f"| {above:.2f} | {above_text} |"
        )
    verdicts = {sweep: judged(sweep, curves[sweep]) for sweep in curves}
    lines = [
        "Every trial of the default grid (11 learning rates, or γ of one role, half an octave apart) was trained to "
        "its end. The margins "
        f"are {SAFETY} times the largest excess of a trial within an octave of its sweep's best over any other trial "
        f"of the sweep, at least {SMALLEST_MARGIN} nats, from {len(CHOSEN_ON)} sweeps of the MLP; by tenths 2 to 8 of "
        "the run below the reference, and one number above it.",
        "",
        "| optimizers | below, computed | below, in force | above, computed | above, in force |",
        "|---|---|---|---|---|",
        *rows,
        "",
        *_summary("Sweeps that the margins were chosen on", [verdicts[sweep] for sweep in CHOSEN_ON]),
        "",
        *_summary("Other sweeps (held out)", [verdicts[sweep] for sweep in HELD_OUT]),
        "",
        "| held-out sweep | trials | stopped | of them wrongly | steps saved | optimum moved, octaves |",
        "|---|---|---|---|---|---|",
        *(_row(sweep.name, verdicts[sweep]) for sweep in HELD_OUT),
        "",
        "A stop is wrong where the trial, trained to its end, had a learning rate within an octave of the best of its "
        "sweep. The bound takes trials for independent; those of one sweep are not quite.",
    ]
    print(f"{time.perf_counter() - begun:.0f} s")
    data = {
        "margins": computed,
        "sweeps": [
            {**asdict(s), "chosen_on": s in CHOSEN_ON, **asdict(verdicts[s]), "runs": [asdict(r) for r in curves[s]]}
            for s in curves
        ],
    }
    write_result("early_stopping", "Early stopping", lines, data, options)


def margins(sweeps: Sequence[Sequence[Run]]) -> tuple[list[float], float]:
    """The margins that the curves of whole sweeps imply: below by tenth, and above; nats, rounded up to hundredths."""
    from workers.engine.early_stopping import FIRST_TENTH, LAST_TENTH

    tenths = slice(FIRST_TENTH - 1, LAST_TENTH)
    below, above = np.full(LAST_TENTH - FIRST_TENTH + 1, -np.inf), -np.inf
    for runs in sweeps:
        complete = [run for run in runs if run.loss is not None]
        for run in complete:
            if not _is_near(run, complete):
                continue
            for other in complete:
                excess = np.array(run.curve[tenths]) - np.array(other.curve[tenths])
                if run.learning_rate < other.learning_rate:
                    below = np.maximum(below, excess)
                elif run.learning_rate > other.learning_rate:
                    above = max(above, float(excess.max()))
    falling = np.maximum.accumulate(below[::-1])[::-1]  # no margin is below a later one
    return [_margin(excess) for excess in falling], _margin(above)


def _margin(excess: float) -> float:
    return max(SMALLEST_MARGIN, math.ceil(100 * SAFETY * excess) / 100)


def judged(sweep: Sweep, runs: Sequence[Run]) -> Verdict:
    """The rule in force applied to the curves of a whole sweep."""
    from workers.engine.early_stopping import Reference, hopeless, likely_first, varied
    from workers.engine.optimizers import OPTIMIZERS

    by_rate = {run.learning_rate: run for run in runs}
    complete = [run for run in runs if run.loss is not None]
    reference, kept = None, {}
    in_force = OPTIMIZERS[Optimizer(sweep.optimizer)].margins
    for trial in likely_first(sweep.trials):
        run = by_rate[varied(trial)]
        steps = run.steps
        if reference is not None:
            for count in range(1, len(run.curve)):
                step = count * sweep.steps // 10
                if hopeless(trial, run.curve[:count], reference, in_force, step=step, steps=sweep.steps):
                    steps = step
                    break
        if reference is None and run.loss is not None:
            reference = Reference(run.learning_rate, run.curve)
        kept[run.learning_rate] = steps
    stopped = [run for run in runs if kept[run.learning_rate] < run.steps]
    whole = sum(run.steps for run in runs)
    return Verdict(
        trials=len(runs),
        stopped=len(stopped),
        wrong=sum(run.loss is not None and _is_near(run, complete) for run in stopped),
        near=sum(_is_near(run, complete) for run in complete),
        steps=whole,
        saved=whole - sum(kept.values()),
        moved=_moved(runs, stopped),
    )


def _is_near(run: Run, complete: Sequence[Run]) -> bool:
    best = min(complete, key=lambda other: math.inf if other.loss is None else other.loss)
    return abs(math.log2(run.learning_rate / best.learning_rate)) <= WINDOW_OCTAVES + 1e-6


def _moved(runs: Sequence[Run], stopped: Sequence[Run]) -> float | None:
    ended = [run in stopped for run in runs]
    losses = [np.nan if run.loss is None else run.loss for run in runs]
    left = [np.nan if gone else loss for gone, loss in zip(ended, losses, strict=True)]
    rates = [run.learning_rate for run in runs]
    try:
        whole, cut = fit_optimum(rates, losses), fit_optimum(rates, left, stopped=ended)
    except EstimateError:
        return None
    return cut.log2_learning_rate - whole.log2_learning_rate


def _trained(sweep: Sweep, bank: Path) -> Iterator[Run]:
    """The trials of a sweep, from the bank where they are on file."""
    path = bank / f"{sweep.name.replace(', ', '_').replace(' ', '-')}.json"
    if path.exists():
        yield from (Run(**{**run, "curve": tuple(run["curve"])}) for run in json.loads(path.read_text()))
        return
    from workers.engine.data import load_corpus
    from workers.engine.early_stopping import varied
    from workers.engine.sweep import SweepProgram
    from workers.engine.width_program import WidthProgram

    spec = CalibrationSpec.from_dict(sweep.spec)
    program = SweepProgram(WidthProgram.of(spec, sweep.width, load_corpus(sweep.dataset)))
    runs = []
    for identity in sweep.trials:
        trial, curve = program.run(identity)
        finite = tuple(loss for loss in curve if math.isfinite(loss))
        runs.append(Run(varied(identity), finite, trial.loss, trial.steps or 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(run) for run in runs], allow_nan=False))
    print(f"trained: {sweep.name}", flush=True)
    yield from runs


def _summary(title: str, verdicts: Sequence[Verdict]) -> list[str]:
    stopped, wrong = sum(v.stopped for v in verdicts), sum(v.wrong for v in verdicts)
    bound = float(beta.ppf(CONFIDENCE, wrong + 1, max(stopped - wrong, 0))) if stopped > wrong else 1.0
    moves = [abs(v.moved) for v in verdicts if v.moved is not None]
    saved = sum(v.saved for v in verdicts) / sum(v.steps for v in verdicts)
    return [
        f"**{title}**: {len(verdicts)} sweeps, {sum(v.trials for v in verdicts)} trials. {stopped} stopped, {wrong} of "
        f"them wrongly: {wrong / max(stopped, 1):.1%}, at most {bound:.1%} ({CONFIDENCE:.0%}, Clopper-Pearson); of the "
        f"{sum(v.near for v in verdicts)} trials within an octave of the best {wrong} were lost. Training steps saved: "
        f"{saved:.0%}. The fitted optimum moved by {max(moves):.3f} octaves at most."
    ]


def _row(name: str, verdict: Verdict) -> str:
    moved = "" if verdict.moved is None else f"{verdict.moved:+.3f}"
    share = verdict.saved / verdict.steps
    return f"| {name} | {verdict.trials} | {verdict.stopped} | {verdict.wrong} | {share:.0%} | {moved} |"


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--bank", default="build/curves", help="folder of the curves made so far")
    return parser.parse_args()


if __name__ == "__main__":
    main()
