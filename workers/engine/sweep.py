"""The trials of a sweep or gamma shard: every learning rate, γ and seed of one width.

On a CPU they run one after another, the likely best of each seed first, and hopeless ones end early (`early_stopping`).
On an accelerator they run as one vmapped program (`batch`), in which ending a trial early would save nothing, spread
over all devices that JAX sees: the chips of a TPU host, which one process must hold together. GPUs are better divided
between workers that see one each (CUDA_VISIBLE_DEVICES).
"""

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache, partial
from time import perf_counter

import jax
import numpy as np

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import MeasurementIdentity, Trial, TrialIdentity
from widthwise.errors import InvalidInputError
from widthwise.vocabulary import ShardKind, TrialStatus
from workers.engine.batch import run_batches
from workers.engine.beyond_width import ONLY_WIDTH, BeyondWidth
from workers.engine.data import load_corpus
from workers.engine.early_stopping import FEWEST, Curve, Reference, comparable, hopeless, likely_first, varied
from workers.engine.optimizers import engine_optimizer
from workers.engine.order import in_order
from workers.engine.report import Progress
from workers.engine.training import hyperparameters
from workers.engine.width_program import PROGRAMS, WidthProgram, is_healthy


def run_shard(
    spec: CalibrationSpec,
    shard: ShardSpec,
    done: Collection[TrialIdentity | MeasurementIdentity] = (),
    *,
    corpora_dir: str | None = None,
    on_progress: Progress | None = None,
    batched: bool | None = None,
    beyond: BeyondWidth = ONLY_WIDTH,
) -> Iterator[Trial]:
    """Train the trials of a sweep or gamma `shard` under the calibration `spec`, and yield each as it finishes.

    `done` holds outcomes that are stored already; they are skipped. `corpora_dir` is the folder of corpora in files.
    `beyond` says what else than the width differs from the base. `batched` says whether to
    train many trials as one program; by default only on accelerators. The same arguments give the same losses bit for
    bit on the same device and versions, and `done` does not change the other trials.
    Raises InvalidInputError for a specification that can't be run.
    """
    if shard.kind not in (ShardKind.SWEEP, ShardKind.GAMMA):
        raise InvalidInputError(
            f"shard.kind is {shard.kind.value!r}; a sweep trains shards of kind sweep or gamma", field="shard.kind"
        )
    trials = in_order(shard)
    wanted = set(trials) - set(done)
    if not wanted:
        return

    def report(index: int, step: int) -> None:
        if on_progress is not None:
            on_progress(index, len(wanted), step, spec.steps)

    if jax.devices()[0].platform != "cpu" if batched is None else batched:
        shared = WidthProgram.of(spec, shard.width, load_corpus(spec.proxy.dataset, corpora_dir), beyond)
        yield from run_batches(shared, trials, wanted, report)
    else:
        yield from _run_in_turn(_program(spec, shard.width, corpora_dir, beyond), trials, wanted, report)


def prepare(spec: CalibrationSpec, width: int, corpora_dir: str | None = None) -> None:
    """Compile the program with which a CPU trains sweeps at this width; raises InvalidInputError as `run_shard`.

    An accelerator's depends on how many trials a shard has, so nothing is compiled there.
    """
    if jax.devices()[0].platform == "cpu":
        _program(spec, width, corpora_dir)


def _program(
    spec: CalibrationSpec, width: int, corpora_dir: str | None, beyond: BeyondWidth = ONLY_WIDTH
) -> "SweepProgram":
    """Return the compiled program of a width, which a process keeps for its next shard."""
    return _compiled(json.dumps(spec.to_dict(), sort_keys=True), width, corpora_dir, beyond)


@lru_cache(maxsize=PROGRAMS)
def _compiled(spec: str, width: int, corpora_dir: str | None, beyond: BeyondWidth) -> "SweepProgram":
    """By the specification as JSON: measured alignments make it unhashable."""
    read = CalibrationSpec.from_dict(json.loads(spec))
    return SweepProgram(WidthProgram.of(read, width, load_corpus(read.proxy.dataset, corpora_dir), beyond))


def _run_in_turn(
    program: "SweepProgram",
    trials: Sequence[TrialIdentity],
    wanted: Collection[TrialIdentity],
    report: Callable[[int, int], None],
) -> Iterator[Trial]:
    index = 0
    for group in comparable(trials):
        reference: Reference | None = None
        stops = program.spec.early_stopping and len(group) >= FEWEST
        for identity in likely_first(group) if any(each in wanted for each in group) else ():
            is_missing = identity in wanted
            # Stored trials are skipped, except the reference: without its curve a resumed shard would stop others
            if not is_missing and (reference is not None or not stops):
                continue
            index += is_missing
            trial, curve = program.run(identity, reference, partial(report, max(index, 1)))
            if reference is None and trial.status is TrialStatus.COMPLETED and stops:
                reference = Reference(varied(identity), curve)
            if is_missing:
                yield trial


class SweepProgram:
    """The compiled program of one width, for any of its trials."""

    def __init__(self, shared: WidthProgram) -> None:
        self._shared, self.spec = shared, shared.spec
        functions = shared.functions
        # Compiled ahead, so that no trial's time includes it. "float32", since accelerators multiply in fewer bits.
        hyper, draws, step = hyperparameters(shared.prescription, 1.0), shared.draw(0), np.int32(0)
        with jax.default_matmul_precision("float32"):
            state = jax.eval_shape(functions.start, hyper, draws.normals)
            self._start = jax.jit(functions.start).lower(hyper, draws.normals).compile()
            self._advance = (
                jax.jit(functions.advance).lower(hyper, state, shared.train_text, draws.starts, (step, step)).compile()
            )
            self._evaluate = jax.jit(functions.evaluate).lower(hyper, state, shared.held_out_text).compile()

    def run(
        self,
        identity: TrialIdentity,
        reference: Reference | None = None,
        report: Callable[[int], None] = lambda _: None,
    ) -> tuple[Trial, Curve]:
        """Return one trial and its curve; it ends early if it is hopeless compared with its group's `reference`.

        `report` is called with the steps done so far after each chunk.
        """
        begun, shared = perf_counter(), self._shared
        hyper, draws = shared.hyperparameters(identity), shared.draw(identity.seed)
        state, starts_SxB = self._start(hyper, draws.normals), jax.device_put(draws.starts)
        curve: list[float] = []
        margins = engine_optimizer(shared.spec.optimizer).margins
        step, healthy, stopped = 0, True, False
        for stop in shared.stops:
            span = np.int32(step), np.int32(stop)
            state, mean_loss = self._advance(hyper, state, shared.train_text, starts_SxB, span)
            step, healthy = stop, is_healthy(float(mean_loss))
            curve.append(float(mean_loss))
            report(step)
            if not healthy:
                break
            stopped = reference is not None and hopeless(
                identity, curve, reference, margins, step=step, steps=shared.spec.steps
            )
            if stopped:
                break
        loss = float(self._evaluate(hyper, state, shared.held_out_text)) if healthy and not stopped else None
        trial = shared.ended(identity, loss, seconds=perf_counter() - begun, steps=step, stopped=stopped)
        return trial, tuple(curve)
